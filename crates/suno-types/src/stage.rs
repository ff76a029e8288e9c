//! How far a task has come: the word that was sent and the stage that follows from it.

use std::fmt;

use crate::Code;
use crate::word::open_word;

open_word! {
    /// `data.callbackType` exactly as it was sent.
    CallbackType {
        /// Titles and lyrics exist.
        TEXT = "text",
        /// One track is ready.
        FIRST = "first",
        /// Every track is ready.
        COMPLETE = "complete",
        /// The task failed.
        ERROR = "error",
    }
}

/// The stage of a task that an event reports.
///
/// A stage is derived, never taken at its word: a code other than 200 is [`Failed`](Self::Failed)
/// whatever the callback type says (`PROTOCOL.md 2.12`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Titles, tags and lyrics are there; no audio yet.
    Text,
    /// One track is ready; the others are not.
    First,
    /// Every track is ready. Terminal.
    Complete,
    /// The task failed. Terminal.
    Failed,
    /// A stage that this version does not know, as it was sent.
    Other(Box<str>),
}

impl Stage {
    /// The most bytes that the word for a stage may have. A callback with a longer word does not
    /// decode: the word is part of the key of an event, which is kept in memory and in indexes.
    pub const WORD_BYTES_MAX: usize = 64;
    /// The stage of a payload that says success but names no stage.
    pub(crate) const UNSPECIFIED: &str = "unspecified";

    /// The stage that follows from a code and the word that came with it.
    pub(crate) fn derive(code: Code, word: Option<&str>) -> Self {
        if code != Code::SUCCESS {
            return Self::Failed;
        }
        match word {
            Some("error") => Self::Failed,
            Some(word) => Self::from(word),
            None => Self::from(Self::UNSPECIFIED),
        }
    }

    /// The stage as one word: `text`, `first`, `complete`, `failed`, or as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::First => "first",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Other(word) => word,
        }
    }

    /// True for stages after which nothing more is to come.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// The place of the stage in a task's life: text, first, and then one of the terminal stages.
    /// `None` for a stage that this version does not know: it comes neither before nor after.
    #[must_use]
    pub fn rank(&self) -> Option<u8> {
        match self {
            Self::Text => Some(1),
            Self::First => Some(2),
            Self::Complete | Self::Failed => Some(3),
            Self::Other(_) => None,
        }
    }

    /// True if a task that has reached this stage has nothing more to learn from `other`: an
    /// earlier stage, or another terminal one.
    #[must_use]
    pub fn supersedes(&self, other: &Self) -> bool {
        match (self.rank(), other.rank()) {
            (Some(rank), Some(other_rank)) => {
                rank > other_rank || (self.is_terminal() && other.is_terminal() && self != other)
            }
            _ => false,
        }
    }
}

impl From<&str> for Stage {
    fn from(word: &str) -> Self {
        match word {
            "text" => Self::Text,
            "first" => Self::First,
            "complete" => Self::Complete,
            "failed" => Self::Failed,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
