//! Keys that `Debug` never shows.

use std::fmt;

use crate::seed;

/// An API key or a webhook key of one emulator.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

/// The number of random hexadecimal digits in a generated key.
const DIGITS: usize = 32;

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Generates a key from the system's randomness. The prefix shows what the key is for.
    pub(crate) fn generate(prefix: &str) -> Self {
        let mut rng = fastrand::Rng::new();
        Self(format!("{prefix}{}", seed::hex(&mut rng, DIGITS)))
    }

    /// Whether the key can be sent in a header and typed by people.
    pub(crate) fn is_header_value(&self) -> bool {
        !self.0.is_empty() && self.0.chars().all(|c| c.is_ascii_graphic())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
