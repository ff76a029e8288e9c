//! Where the time comes from.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of the system and a clock that never goes back. Tests bring their own.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time of the system. People and programs set it, so that it may step in either direction:
    /// it is for timestamps that others read, not for measuring.
    fn now(&self) -> Timestamp;

    /// The time since some fixed moment. It never goes back, and steps of the system clock do not
    /// change it.
    ///
    /// Without an implementation of its own, a clock takes the time of tokio, which tests can pause.
    fn monotonic(&self) -> Duration {
        /// Added so that a clock that was paused before the start does not read zero.
        const BEFORE_START: Duration = Duration::from_secs(86_400);
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(|| Instant::from_std(std::time::Instant::now()));
        (Instant::now() + BEFORE_START).saturating_duration_since(start)
    }
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

/// The moment `wait` after `start`, or decades later if that cannot be expressed.
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
