//! Attempts to deliver callbacks: in flight, and ended.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// One attempt to deliver one callback.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The number of the attempt among all attempts of the emulator, counted from 1.
    pub serial: u64,
    /// The id of the callback's task.
    pub task_id: String,
    /// The name of the callback: `text`, `first`, `complete`, `error`, or the name that a fault or
    /// a script gave it.
    pub callback: String,
    /// 1 for the first attempt of this callback, 2 and more for retries, and 0 if a fault dropped
    /// the callback.
    pub number: u32,
    /// The maximum number of attempts of this callback, if all fail.
    pub attempts_max: u32,
    /// The time of sending, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The callback URL.
    pub url: String,
    /// `X-Webhook-Timestamp` as sent.
    pub timestamp: Option<String>,
    /// `X-Webhook-Signature` as sent.
    pub signature: Option<String>,
    /// The body as sent.
    pub body: Bytes,
    /// Whether the callback is forged: another sender copied the signature of an earlier one, and
    /// its content is false.
    pub is_forged: bool,
    /// The outcome of the attempt.
    pub outcome: AttemptOutcome,
    /// The beginning of the answer's body, at most 4 KiB; empty if there was no answer.
    pub answer: Bytes,
    /// The time from the first byte sent to the last byte of the answer, in real time. Zero with a
    /// driven clock.
    pub duration: Duration,
}

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// The receiver answered. With a status from 200 to 299 the callback counts as delivered.
    Answered {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// The receiver did not answer in time.
    TimedOut,
    /// The connection failed or broke, or the URL is invalid.
    Failed {
        /// A description of the failure.
        reason: String,
    },
    /// The callback was not sent, because of a fault or after its task was given up.
    Dropped,
    /// The callback was not sent, since its host is not this machine; see
    /// [`Config::with_deliver_outside`](crate::Config::with_deliver_outside). It counts as answered
    /// with 200.
    Withheld,
}

impl AttemptOutcome {
    /// Whether the callback counts as delivered.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        match self {
            Self::Answered { status } => (200..300).contains(status),
            Self::Withheld => true,
            Self::TimedOut | Self::Failed { .. } | Self::Dropped => false,
        }
    }
}

/// Omits the URL, which may carry a token, the signature and the bodies.
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

/// An attempt to deliver a callback that has not ended.
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

/// The result of an attempt in flight.
pub(crate) struct AttemptResult {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) answer: Bytes,
    pub(crate) duration: Duration,
}

impl AttemptResult {
    /// Returns the result of a callback that is not sent.
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
