//! A circuit breaker for requests to the provider: if they keep failing, fewer are sent.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{after, doubled};

/// The number of failures in a row after which requests pause.
const FAILURES_MAX: u32 = 5;
/// The length of the first pause; it doubles with each further pause.
const PAUSE_MIN: Duration = Duration::from_secs(10);
/// The maximum length of a pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Counts failures in a row. While the breaker is open, one request is let through after each
/// pause.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may be sent now; if not, returns how long to wait. A request that is
    /// let through while the breaker is open blocks the others until it ends or the pause is
    /// over.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.open_until {
            Some(until) if until > now => Err(until - now),
            Some(_) => {
                self.open_until = Some(after(now, self.pause()));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Returns how many requests may run at once, out of `asking_max`.
    pub(super) fn places(&self, now: Instant, asking_max: usize) -> Result<usize, Duration> {
        match self.open_until {
            Some(until) if until > now => Err(until - now),
            Some(_) => Ok(1),
            None => Ok(asking_max),
        }
    }

    /// Records that the provider answered. Returns true if the breaker was open.
    pub(super) fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.open_until.take().is_some()
    }

    /// Records that the provider did not answer. Returns true if this opens the breaker.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures == FAILURES_MAX;
        if self.failures >= FAILURES_MAX {
            self.open_until = Some(after(now, self.pause()));
        }
        opens
    }

    fn pause(&self) -> Duration {
        let times = self.failures.saturating_sub(FAILURES_MAX);
        doubled(PAUSE_MIN, times, PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_one_question_after_each_pause_may_close_it() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let opened: Vec<_> = (0..5).map(|_| breaker.failed(start)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert_eq!(breaker.admit(at(9)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(10)), Ok(()));
        assert!(breaker.admit(at(11)).is_err(), "only one at a time");
        assert!(!breaker.failed(at(12)));
        assert_eq!(breaker.admit(at(31)), Err(Duration::from_secs(1)));
        assert!(breaker.succeeded());
        assert_eq!(breaker.admit(at(31)), Ok(()));
        assert!(!breaker.succeeded());
    }

    #[test]
    fn a_pause_is_bounded_however_often_asking_fails() {
        let mut breaker = Breaker::default();
        let start = Instant::now();
        for _ in 0..1_000 {
            breaker.failed(start);
        }
        assert_eq!(breaker.admit(start), Err(PAUSE_MAX));
    }
}
