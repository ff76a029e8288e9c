//! Where the time comes from.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Tells the time. Tests bring their own.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place where time comes in"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A moment `wait` after `start`; if there is no such moment, one that nobody lives to see.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_has_no_end_ends_in_decades() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(after(start, second), start + second);
        let decade = Duration::from_secs(10 * 365 * 86_400);
        assert!(after(start, Duration::MAX) > start + decade);
    }
}
