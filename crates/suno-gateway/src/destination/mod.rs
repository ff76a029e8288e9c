//! Decides what the answer of a destination means for the event and for the destination. Pure: time
//! and randomness are arguments.
//!
//! A dead letter is for a bad event, a pause is for a bad destination:
//!
//! | answer | action |
//! | --- | --- |
//! | 2xx | [`Done`](Action::Done) |
//! | 400, 413, 415, 422 | [`BadEvent`](Action::BadEvent): a few attempts, minutes apart, then a dead letter |
//! | 3xx, 401, 403, 404, 405, 407, 410, 421, 426, 431 | [`Pause`](Action::Pause): the destination is set up wrongly, and events wait |
//! | anything else, and no answer at all | [`Retry`](Action::Retry), with back-off |
//!
//! `webhook-delivery: abort-message` on an answer that is not 2xx is a dead letter at once, and
//! `webhook-delivery: disable` counts as 410. `Retry-After` is a floor of the next attempt, up to a
//! bound; on 429 and 503 it holds for the whole destination.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use http::{HeaderMap, StatusCode};
//! use suno_gateway::destination::{Action, Policy, Step};
//!
//! let policy = Policy::new().with_status(StatusCode::GONE, Action::Abandon);
//! let judge = |status| policy.judge(status, &HeaderMap::new(), SystemTime::UNIX_EPOCH);
//! assert_eq!(judge(StatusCode::NO_CONTENT).action, Action::Done);
//! assert_eq!(judge(StatusCode::GONE).action, Action::Abandon);
//!
//! // The third attempt, and a random number from 0 to 1.
//! let verdict = judge(StatusCode::BAD_GATEWAY);
//! let Step::Retry(wait) = policy.step(&verdict, 3, 0.5) else { unreachable!() };
//! assert_eq!(wait, Duration::from_secs(10));
//! ```

mod failure;
mod name;
mod policy;
mod retry_after;

use serde::{Deserialize, Serialize};

pub use failure::Failure;
pub use name::{DestinationName, InvalidDestinationName};
pub use policy::{Backoff, Policy, Step, Verdict};
pub use retry_after::IgnoredRetryAfter;
#[cfg(feature = "forward")]
pub(crate) use retry_after::date;

/// An action after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// The event is handled.
    Done,
    /// The event is tried again, with back-off.
    Retry,
    /// The event is at fault: it is tried a few times more, and is then a dead letter.
    BadEvent,
    /// The event is a dead letter at once.
    Abandon,
    /// The destination is at fault: it is paused, and its events wait.
    Pause,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 5] = [
        Self::Done,
        Self::Retry,
        Self::BadEvent,
        Self::Abandon,
        Self::Pause,
    ];

    /// Returns the action as one word: `done`, `retry`, `bad_event`, `abandon` or `pause`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::BadEvent => "bad_event",
            Self::Abandon => "abandon",
            Self::Pause => "pause",
        }
    }

    /// Parses the word of an action.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
