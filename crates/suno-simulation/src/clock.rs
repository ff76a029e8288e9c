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
        let ahead_ms = Arc::new(AtomicI64::new(ahead_ms));
        Self {
            start,
            ahead_ms,
            follows_wall: false,
        }
    }

    /// Sets the wall clock.
    pub(crate) fn step(&self, by_ms: i64) {
        self.ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    fn stepped(&self, time: Duration) -> Duration {
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let step = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 {
            time.saturating_sub(step)
        } else {
            time + step
        }
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let true_time = Duration::from_millis(START_MS) + self.start.elapsed();
        let now = self.stepped(true_time).as_millis();
        Timestamp::from_millisecond(now.try_into().unwrap_or(i64::MAX)).unwrap_or_default()
    }

    fn monotonic(&self) -> Duration {
        let time = UPTIME + self.start.elapsed();
        if self.follows_wall {
            self.stepped(time)
        } else {
            time
        }
    }
}
