//! A clock that is stepped.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use suno_callback::Clock;

/// The clock of one world. The provider's runs along with it.
#[derive(Debug, Clone)]
pub(super) struct StepClock(Arc<AtomicI64>);

impl StepClock {
    /// When every world begins, in milliseconds since 1970.
    pub(super) const START_MS: u64 = 1_790_000_000_000;

    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(Self::START_MS.cast_signed())))
    }

    pub(super) fn step(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        let millis = self.0.load(Ordering::SeqCst);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}
