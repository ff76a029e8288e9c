//! What the emulator sent, attempt by attempt.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// One attempt to deliver one callback.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Counts all attempts of one emulator, from 1.
    pub serial: u64,
    /// The task that the callback speaks of.
    pub task_id: String,
    /// What the callback is in the life of the task: `text`, `first`, `complete`, `error`, or a
    /// name of its own where a fault or a scenario added it.
    pub callback: String,
    /// 1 for the first attempt of this callback, then 2 and so on for the retries; 0 for one that
    /// a fault kept from leaving.
    pub number: u32,
    /// How many attempts this callback gets at most, if all fail.
    pub attempts_max: u32,
    /// When it was sent, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Where it was sent.
    pub url: String,
    /// `X-Webhook-Timestamp` as sent.
    pub timestamp: Option<String>,
    /// `X-Webhook-Signature` as sent.
    pub signature: Option<String>,
    /// The body as sent.
    pub body: Bytes,
    /// Whether a stranger sent it, under headers that were seen: what it says is not so.
    pub is_forged: bool,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// How the body of the answer began, at most 4 KiB; empty if there was none.
    pub answer: Bytes,
    /// From the first byte sent to the last one of the answer, in real time. Zero with a driven
    /// clock, which stands still meanwhile.
    pub duration: Duration,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// The receiver answered; from 200 to 299 the callback counts as delivered.
    Answered {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// No answer within the time that is granted.
    TimedOut,
    /// No connection, or one that broke, or a URL that cannot be called.
    Failed {
        /// What went wrong, for people.
        reason: String,
    },
    /// A fault or the silence after failed retries kept it from leaving.
    Dropped,
}

impl AttemptOutcome {
    /// Whether the callback counts as delivered.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Answered { status } if (200..300).contains(status))
    }
}

/// Neither URL, signature nor bodies: a URL may carry a token.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("serial", &self.serial)
            .field("task_id", &self.task_id)
            .field("post", &self.callback)
            .field("number", &self.number)
            .field("attempts_max", &self.attempts_max)
            .field("unix_ms", &self.unix_ms)
            .field("is_forged", &self.is_forged)
            .field("outcome", &self.outcome)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// One callback on its way out.
#[derive(Clone)]
pub(crate) struct AttemptInFlight {
    pub(crate) generation: u64,
    pub(crate) task_number: u64,
    pub(crate) task_id: String,
    pub(crate) callback: String,
    pub(crate) number: u32,
    pub(crate) attempts_max: u32,
    pub(crate) unix_ms: u64,
    pub(crate) url: String,
    pub(crate) timestamp: Option<String>,
    pub(crate) signature: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) is_forged: bool,
}

/// What came of a dispatch.
pub(crate) struct AttemptResult {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) answer: Bytes,
    pub(crate) duration: Duration,
}

impl AttemptResult {
    /// It never left.
    pub(crate) fn dropped() -> Self {
        Self {
            outcome: AttemptOutcome::Dropped,
            answer: Bytes::new(),
            duration: Duration::ZERO,
        }
    }
}

impl AttemptInFlight {
    pub(crate) fn to_attempt(&self, outcome: AttemptResult) -> Attempt {
        Attempt {
            serial: 0,
            task_id: self.task_id.clone(),
            callback: self.callback.clone(),
            number: self.number,
            attempts_max: self.attempts_max,
            unix_ms: self.unix_ms,
            url: self.url.clone(),
            timestamp: self.timestamp.clone(),
            signature: self.signature.clone(),
            body: self.body.clone(),
            is_forged: self.is_forged,
            outcome: outcome.outcome,
            answer: outcome.answer,
            duration: outcome.duration,
        }
    }
}
