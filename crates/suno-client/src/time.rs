//! Arithmetic on times that does not panic. A caller can set any time, and a server can ask for any
//! pause, so a result that does not fit becomes a very long time.

use std::time::Duration;

use tokio::time::Instant;

/// The time `wait` after `start`, or 100 years after it if `wait` is longer.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    start + wait.min(YEARS)
}

/// The product of a time and a factor, or the longest time if it does not fit.
pub(crate) fn stretch(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_far_away() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        assert_eq!(after(start, second), start + second);
        let decade = Duration::from_secs(10 * 365 * 86_400);
        let far = after(start, Duration::MAX);
        assert!(far > start + decade);
        assert!(after(far, Duration::MAX) > far);
        assert_eq!(stretch(second, 1.5), Duration::from_millis(1_500));
        assert_eq!(stretch(Duration::MAX, 1.1), Duration::MAX);
        assert_eq!(stretch(Duration::MAX, 1.0), Duration::MAX);
    }
}
