//! The name of a destination.

use std::fmt;
use std::str::FromStr;

/// The name of a destination, as the configuration gives it. It is what logs, metrics and stored
/// attempts call the destination, so its URL need not be shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DestinationName(Box<str>);

/// An error: the text is not a [`DestinationName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a destination's name must have 1 to {} of the characters a-z, 0-9, `-` and `_`",
    DestinationName::BYTES_MAX
)]
#[non_exhaustive]
pub struct InvalidDestinationName;

impl DestinationName {
    /// The maximum length of a name, in bytes.
    pub const BYTES_MAX: usize = 64;

    /// Creates a name.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidDestinationName`] unless the text has 1 to 64 characters, each a lower-case
    /// letter, a digit, `-` or `_`.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, InvalidDestinationName> {
        let text = text.into();
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        let is_valid = (1..=Self::BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        is_valid.then_some(Self(text)).ok_or(InvalidDestinationName)
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DestinationName {
    type Err = InvalidDestinationName;

    fn from_str(text: &str) -> Result<Self, InvalidDestinationName> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_fits_into_a_label() {
        for right in ["a", "shop-eu_2", &"x".repeat(64)] {
            assert_eq!(DestinationName::new(right).unwrap().as_str(), right);
        }
        for wrong in ["", "Shop", "a b", "https://a.example", "ü", &"x".repeat(65)] {
            assert_eq!(
                wrong.parse::<DestinationName>(),
                Err(InvalidDestinationName)
            );
        }
    }
}
