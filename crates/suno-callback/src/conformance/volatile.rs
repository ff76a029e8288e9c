//! A bench for stores that lose their data at the end of the process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;

use super::{Bench, ManualClock};
use crate::store::{IdempotencyStore, StoreError};

/// A bench for stores that lose their data at the end of the process, with a clock that
/// it controls.
///
/// ```
/// use std::sync::Arc;
///
/// use suno_callback::MemoryStore;
/// use suno_callback::conformance::{VolatileBench, check};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let bench = VolatileBench::new(|clock| Arc::new(MemoryStore::with_clock(clock)));
/// let report = check(&bench).await;
/// assert!(report.broken().is_empty(), "{report}");
/// # }
/// ```
pub struct VolatileBench<F> {
    clock: ManualClock,
    make: F,
}

impl<F> VolatileBench<F>
where
    F: Fn(ManualClock) -> Arc<dyn IdempotencyStore> + Send + Sync,
{
    /// Creates a bench whose stores are created by `make`, each with the clock of the
    /// bench.
    pub fn new(make: F) -> Self {
        let clock = ManualClock::new();
        Self { clock, make }
    }
}

impl<F> fmt::Debug for VolatileBench<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolatileBench").finish_non_exhaustive()
    }
}

#[async_trait]
impl<F> Bench for VolatileBench<F>
where
    F: Fn(ManualClock) -> Arc<dyn IdempotencyStore> + Send + Sync,
{
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        Ok((self.make)(self.clock.clone()))
    }

    async fn reopen(
        &self,
        _: Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        Ok(None)
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    async fn step_wall_clock(&self, seconds: i64) -> bool {
        self.clock.step_wall(SignedDuration::from_secs(seconds));
        true
    }
}
