//! The stages of a task, and the words that the provider sends for them.

use std::fmt;

use crate::Code;
use crate::word::open_word;

open_word! {
    /// The word in `data.callbackType`, exactly as it was sent.
    CallbackType {
        /// Titles and lyrics are ready.
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
/// It is derived from the code and the word that were sent: a code other than 200 is
/// [`Failed`](Self::Failed), whatever the word says (`PROTOCOL.md 2.12`).
///
/// ```
/// use suno_types::Stage;
///
/// assert!(Stage::Complete.supersedes(&Stage::Text));
/// assert!(!Stage::Text.supersedes(&Stage::Complete));
/// assert_eq!(Stage::from("mastered").rank(), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Titles, tags and lyrics are ready; there is no audio yet.
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
    /// The maximum number of bytes of a word for a stage. A callback with a longer word does not
    /// decode, because the word is part of an event's key, which is kept in memory and in indexes.
    pub const WORD_BYTES_MAX: usize = 64;
    /// The word for the stage of a payload that says success but has no word for its stage.
    pub(crate) const UNSPECIFIED: &str = "unspecified";

    /// Derives the stage from a code and the word that was sent with it.
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

    /// Returns whether the task has ended at this stage.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }

    /// The number of the stage in the order text, first, terminal. `None` for a stage that this
    /// version does not know, which has no place in the order.
    #[must_use]
    pub fn rank(&self) -> Option<u8> {
        match self {
            Self::Text => Some(1),
            Self::First => Some(2),
            Self::Complete | Self::Failed => Some(3),
            Self::Other(_) => None,
        }
    }

    /// Returns whether `other` brings nothing new for a task at this stage, because it is an
    /// earlier stage or another terminal stage.
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
