//! What the emulator sent, attempt by attempt.

use std::collections::VecDeque;
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
    pub post: String,
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
            .field("post", &self.post)
            .field("number", &self.number)
            .field("attempts_max", &self.attempts_max)
            .field("unix_ms", &self.unix_ms)
            .field("is_forged", &self.is_forged)
            .field("outcome", &self.outcome)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// How many bytes of bodies and answers are kept.
const BODY_BYTES_KEPT_MAX: usize = 64 * 1024 * 1024;

/// The most recent attempts, oldest first.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    kept: VecDeque<Attempt>,
    kept_max: usize,
    body_bytes: usize,
    serial: u64,
    is_observed: bool,
    /// Filed, and not taken by the observer yet. Always empty without an observer.
    unobserved: Vec<Attempt>,
}

impl AttemptLog {
    pub(crate) fn new(kept_max: usize, is_observed: bool) -> Self {
        Self {
            kept: VecDeque::new(),
            kept_max: kept_max.max(1),
            body_bytes: 0,
            serial: 0,
            is_observed,
            unobserved: Vec::new(),
        }
    }

    /// Takes what was filed since the last call, also attempts that made room for others.
    pub(crate) fn take_unobserved(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.unobserved)
    }

    /// Files an attempt under the next serial number. The oldest ones make room for it.
    pub(crate) fn file(&mut self, mut attempt: Attempt) {
        self.serial += 1;
        attempt.serial = self.serial;
        if self.is_observed {
            self.unobserved.push(attempt.clone());
        }
        self.body_bytes += bytes(&attempt);
        self.kept.push_back(attempt);
        while self.kept.len() > self.kept_max || self.body_bytes > BODY_BYTES_KEPT_MAX {
            let Some(oldest) = self.kept.pop_front() else {
                return;
            };
            self.body_bytes -= bytes(&oldest);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Attempt> {
        self.kept.iter()
    }

    /// How many attempts were filed, those that are no longer kept included.
    pub(crate) fn count(&self) -> u64 {
        self.serial
    }

    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.body_bytes = 0;
    }
}

fn bytes(attempt: &Attempt) -> usize {
    attempt.body.len() + attempt.answer.len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::{Attempt, AttemptLog, AttemptOutcome, BODY_BYTES_KEPT_MAX};

    fn attempt(body: Bytes) -> Attempt {
        Attempt {
            serial: 0,
            task_id: String::new(),
            post: String::new(),
            number: 1,
            attempts_max: 1,
            unix_ms: 0,
            url: String::new(),
            timestamp: None,
            signature: None,
            body,
            is_forged: false,
            outcome: AttemptOutcome::TimedOut,
            answer: Bytes::new(),
            duration: Duration::ZERO,
        }
    }

    #[test]
    fn the_log_is_bounded_in_attempts_and_in_bytes() {
        let mut log = AttemptLog::new(3, false);
        for _ in 0..5 {
            log.file(attempt(Bytes::from_static(b"{}")));
        }
        assert_eq!(
            log.iter().map(|attempt| attempt.serial).collect::<Vec<_>>(),
            [3, 4, 5]
        );
        let quarter = Bytes::from(vec![b' '; BODY_BYTES_KEPT_MAX / 4]);
        for _ in 0..3 {
            log.file(Attempt {
                answer: quarter.clone(),
                ..attempt(quarter.clone())
            });
        }
        assert_eq!(
            log.iter().map(|attempt| attempt.serial).collect::<Vec<_>>(),
            [7, 8]
        );
        assert_eq!(log.count(), 8);
    }

    #[test]
    fn an_observer_misses_no_attempt_that_made_room_for_others() {
        let mut log = AttemptLog::new(1, true);
        for _ in 0..3 {
            log.file(attempt(Bytes::new()));
        }
        let serials = |attempts: Vec<Attempt>| -> Vec<u64> {
            attempts.iter().map(|attempt| attempt.serial).collect()
        };
        assert_eq!(serials(log.take_unobserved()), [1, 2, 3]);
        assert!(log.take_unobserved().is_empty());
    }
}
