//! The reasons why a destination did not answer.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// TLS failed: the certificate, the name or the handshake.
    Tls,
    /// The time ran out.
    TimedOut,
    /// The connection ended before the answer.
    Closed,
    /// The answer is not HTTP.
    Malformed,
    /// The command could not be started.
    Start,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

impl Failure {
    /// Returns the reason as one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::Start => "start",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection could be made",
            Self::Tls => "TLS failed",
            Self::TimedOut => "it did not answer in time",
            Self::Closed => "the connection ended before the answer",
            Self::Malformed => "the answer is not HTTP",
            Self::Start => "the command could not be started",
            Self::Other => "it failed",
        })
    }
}
