//! The times at which a task reaches its stages.

use std::time::Duration;

use fastrand::Rng;

/// The times of the stages, counted from the submit (`PROTOCOL.md 4.14`).
///
/// Each task is up to a fifth faster or slower, depending on the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) text_ms: u64,
    pub(crate) first_ms: u64,
    pub(crate) complete_ms: u64,
}

/// The largest deviation of a task from the usual times, in thousandths.
const SPREAD_PER_MILLE: u64 = 200;

impl Default for Timing {
    fn default() -> Self {
        Self {
            text_ms: 10_000,
            first_ms: 40_000,
            complete_ms: 90_000,
        }
    }
}

impl Timing {
    pub(crate) fn new(text: Duration, first: Duration, complete: Duration) -> Self {
        Self {
            text_ms: millis(text),
            first_ms: millis(first),
            complete_ms: millis(complete),
        }
    }

    /// Draws the times of one task. One factor scales all three, so that they stay in order.
    pub(crate) fn of_task(self, rng: &mut Rng) -> Self {
        let per_mille = rng.u64(1000 - SPREAD_PER_MILLE..=1000 + SPREAD_PER_MILLE);
        let scale = |ms: u64| ms.saturating_mul(per_mille) / 1000;
        Self {
            text_ms: scale(self.text_ms),
            first_ms: scale(self.first_ms),
            complete_ms: scale(self.complete_ms),
        }
    }

    pub(crate) fn is_in_order(self) -> bool {
        self.text_ms <= self.first_ms && self.first_ms <= self.complete_ms
    }
}

/// Returns whole milliseconds, at most `u64::MAX`.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
