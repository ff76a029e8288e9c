//! How a delivery became known, and how its sender was verified.

use std::fmt;

/// How an event became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The provider sent a callback.
    Callback,
    /// The provider was asked.
    Poll,
}

impl Source {
    /// The source as one word: `callback` or `poll`.
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

/// What spoke for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct VerifiedBy {
    /// The webhook signature: task and moment, not the body.
    pub signature: bool,
    /// The token in the URL.
    pub token: bool,
    /// The provider's record of the task, which was asked for: it speaks for what is said as well.
    pub record: bool,
}

impl VerifiedBy {
    /// The methods as bits, for stores.
    #[must_use]
    pub fn bits(self) -> u8 {
        u8::from(self.signature) | u8::from(self.token) << 1 | u8::from(self.record) << 2
    }

    /// The methods from [`bits`](Self::bits); bits that this version does not know are dropped.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self {
            signature: bits & 1 != 0,
            token: bits & 2 != 0,
            record: bits & 4 != 0,
        }
    }
}
