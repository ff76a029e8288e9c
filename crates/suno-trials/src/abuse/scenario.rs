//! What strangers do.

use std::fmt;

use clap::ValueEnum;

/// A way to load the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// Nobody else sends: the reference.
    Quiet,
    /// Large bodies without signature headers.
    Unsigned,
    /// Bodies whose signature has the right form and time, and was made with another key.
    Forged,
    /// Bodies that lack their last byte.
    HalfSent,
    /// Small requests without a signature, as fast as they are answered.
    Refusals,
    /// One signed pair of headers, sent again and again with other stages and other bodies.
    Stages,
}

impl Scenario {
    /// True if what the strangers send may be stored: a signature does not cover the body, so that a
    /// replayed one proves its task.
    pub(super) fn may_store(self) -> bool {
        self == Self::Stages
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
