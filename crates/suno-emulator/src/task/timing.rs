//! How long the stages of a task take.

use std::time::Duration;

use fastrand::Rng;

/// When a task reaches its stages, counted from the submit (`PROTOCOL.md 4.14`).
///
/// Each task takes up to a fifth more or less, by the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) text_ms: u64,
    pub(crate) first_ms: u64,
    pub(crate) complete_ms: u64,
}

/// By how many thousandths of its usual time a task may be faster or slower.
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

    /// The times of one task. One factor for all three, so that they keep their order.
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

/// Whole milliseconds, as many as fit.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
