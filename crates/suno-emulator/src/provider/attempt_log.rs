//! The log of attempts to deliver callbacks.

use std::collections::VecDeque;

use crate::task::attempt::Attempt;

/// The maximum total size of the bodies and answers that are kept.
const BODY_BYTES_KEPT_MAX: usize = 64 * 1024 * 1024;

/// The most recent attempts, oldest first.
#[derive(Debug)]
pub(crate) struct AttemptLog {
    kept: VecDeque<Attempt>,
    kept_max: usize,
    body_bytes: usize,
    serial: u64,
    is_observed: bool,
    /// Logged attempts that the observer has not taken yet. Always empty without an observer.
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

    /// Returns the attempts that were logged since the last call, including evicted ones.
    pub(crate) fn take_unobserved(&mut self) -> Vec<Attempt> {
        std::mem::take(&mut self.unobserved)
    }

    /// Appends an attempt with the next serial number and evicts the oldest ones.
    pub(crate) fn push(&mut self, mut attempt: Attempt) {
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

    /// Returns how many attempts were logged, including evicted ones.
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

    use super::{AttemptLog, BODY_BYTES_KEPT_MAX};
    use crate::task::attempt::{Attempt, AttemptOutcome};

    fn attempt(body: Bytes) -> Attempt {
        Attempt {
            serial: 0,
            task_id: String::new(),
            callback: String::new(),
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
            log.push(attempt(Bytes::from_static(b"{}")));
        }
        assert_eq!(
            log.iter().map(|attempt| attempt.serial).collect::<Vec<_>>(),
            [3, 4, 5]
        );
        let quarter = Bytes::from(vec![b' '; BODY_BYTES_KEPT_MAX / 4]);
        for _ in 0..3 {
            log.push(Attempt {
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
            log.push(attempt(Bytes::new()));
        }
        let serials = |attempts: Vec<Attempt>| -> Vec<u64> {
            attempts.iter().map(|attempt| attempt.serial).collect()
        };
        assert_eq!(serials(log.take_unobserved()), [1, 2, 3]);
        assert!(log.take_unobserved().is_empty());
    }
}
