//! The source of the time.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// Provides the system time, and a monotonic clock that never goes back. Tests use their own.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the system time. People and programs set it, so it may jump in either direction: use
    /// it for timestamps that others read, not to measure durations.
    fn now(&self) -> Timestamp;

    /// Returns the time since some fixed moment. It never goes back, and changes to the system
    /// clock do not affect it.
    ///
    /// By default this uses tokio's time, which tests can pause.
    fn monotonic(&self) -> Duration {
        /// The offset makes sure that a clock that was paused before the start does not return
        /// zero.
        const BEFORE_START: Duration = Duration::from_secs(86_400);
        static START: OnceLock<Instant> = OnceLock::new();
        let start = *START.get_or_init(|| Instant::from_std(std::time::Instant::now()));
        (Instant::now() + BEFORE_START).saturating_duration_since(start)
    }
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the only place that reads the system clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Returns the moment `wait` after `start`, or one decades later if that overflows.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}

/// Returns a wait that begins with `first` and doubles `times` times, up to `max`.
pub(crate) fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_its_bound() {
        let waits = [0, 1, 2, 3, u32::MAX];
        let waits = waits.map(|times| {
            let wait = doubled(Duration::from_secs(2), times, Duration::from_secs(10));
            wait.as_secs()
        });
        assert_eq!(waits, [2, 4, 8, 10, 10]);
    }

    #[test]
    fn a_wait_that_has_no_end_ends_in_decades() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(after(start, second), start + second);
        let decade = Duration::from_secs(10 * 365 * 86_400);
        assert!(after(start, Duration::MAX) > start + decade);
    }
}
