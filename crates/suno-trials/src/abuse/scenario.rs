//! The scenarios: what strangers send.

use std::fmt;

use clap::ValueEnum;

/// A way to load the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// No strangers send: the reference.
    Quiet,
    /// Large bodies without signature headers.
    Unsigned,
    /// Bodies with a signature of the right form and time, but made with another key.
    Forged,
    /// Bodies that lack their last byte.
    HalfSent,
    /// Small requests without a signature, as fast as they are answered.
    Refusals,
    /// One pair of signature headers, sent repeatedly with other stages and other bodies.
    Stages,
}

impl Scenario {
    /// Whether the strangers' requests may be stored: a signature does not cover the body, so a
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
