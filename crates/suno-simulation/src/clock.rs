//! The clocks of a world: the wall clock of each node, which is set, and the store's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use suno_callback::Clock;
use tokio::time::Instant;

/// The true time at which every run begins, in milliseconds since 1970.
pub(crate) const START_MS: u64 = 1_790_000_000_000;
/// The monotonic time at the start.
const UPTIME: Duration = Duration::from_secs(86_400);

/// A clock of one machine.
#[derive(Debug, Clone)]
pub(crate) struct MachineClock {
    start: Instant,
    /// How far the wall clock is ahead of the truth.
    ahead_ms: Arc<AtomicI64>,
    /// The monotonic time follows the wall clock, which is a mistake.
    pub(crate) follows_wall: bool,
}

impl MachineClock {
    pub(crate) fn new(start: Instant, ahead_ms: i64) -> Self {
        Self {
            start,
            ahead_ms: Arc::new(AtomicI64::new(ahead_ms)),
            follows_wall: false,
        }
    }

    /// Sets the wall clock.
    pub(crate) fn step(&self, by_ms: i64) {
        self.ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// A time that follows the wall clock.
    fn of_wall(&self, origin: Duration) -> Duration {
        let (time, ahead) = (
            origin + self.start.elapsed(),
            self.ahead_ms.load(Ordering::Relaxed),
        );
        let step = Duration::from_millis(ahead.unsigned_abs());
        match ahead < 0 {
            true => time.saturating_sub(step),
            false => time + step,
        }
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let now = self.of_wall(Duration::from_millis(START_MS));
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(now).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        match self.follows_wall {
            true => self.of_wall(UPTIME),
            false => UPTIME + self.start.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_of_the_wall_clock_does_not_change_the_monotonic_time() {
        let clock = MachineClock::new(Instant::now(), 500);
        tokio::time::advance(Duration::from_secs(1)).await;
        clock.step(-3_600_000);
        let ahead = clock.now().as_millisecond() - START_MS.cast_signed();
        assert_eq!(ahead, 1_000 + 500 - 3_600_000);
        assert_eq!(clock.monotonic(), UPTIME + Duration::from_secs(1));
    }
}
