//! The source of a delivery, and how its sender was verified.

use std::fmt;

/// The way in which an event became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The provider sent a callback.
    Callback,
    /// The provider was asked for its record.
    Poll,
}

impl Source {
    /// Returns the source as one word: `callback` or `poll`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The methods by which a delivery was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct VerifiedBy {
    /// The webhook signature. It covers the task and the time, not the body.
    pub signature: bool,
    /// The token in the URL.
    pub token: bool,
    /// The provider's record of the task, which was requested. It also verifies the content.
    pub record: bool,
}

impl VerifiedBy {
    /// Returns the methods as words: `signature`, `token`, `record`.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let words = [
            (self.signature, "signature"),
            (self.token, "token"),
            (self.record, "record"),
        ];
        words
            .into_iter()
            .filter_map(|(is_so, word)| is_so.then_some(word))
    }

    /// Returns the methods as bits, for stores.
    #[must_use]
    pub fn bits(self) -> u8 {
        u8::from(self.signature) | u8::from(self.token) << 1 | u8::from(self.record) << 2
    }

    /// Creates the methods from [`bits`](Self::bits). Bits that this version does not know are
    /// dropped.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self {
            signature: bits & 1 != 0,
            token: bits & 2 != 0,
            record: bits & 4 != 0,
        }
    }
}
