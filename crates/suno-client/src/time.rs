//! Sums and products of times. A caller may set any of them to anything, and a server may ask for
//! any pause: what does not fit is as good as for ever, and no panic.

use std::time::Duration;

use tokio::time::Instant;

/// A moment `wait` after `start`, or so far away that it makes no difference.
pub(crate) fn after(start: Instant, wait: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    start + wait.min(YEARS)
}

/// A time `factor` times as long, or the longest there is.
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
