//! Checks that the store in memory keeps the contract.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::MemoryStore;
use crate::conformance::{Bench, ManualClock, check};
use crate::store::{IdempotencyStore, StoreError};

struct InMemory(ManualClock);

#[async_trait]
impl Bench for InMemory {
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        Ok(Arc::new(MemoryStore::with_clock(self.0.clone())))
    }

    /// Behaves as if the memory outlived the process.
    async fn reopen(
        &self,
        store: Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        Ok(Some(store))
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time);
    }

    async fn another(
        &self,
        store: &Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        Ok(Some(Arc::clone(store)))
    }

    async fn step_wall_clock(&self, seconds: i64) -> bool {
        self.0.step_wall(jiff::SignedDuration::from_secs(seconds));
        true
    }
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    let report = check(&InMemory(ManualClock::new())).await;
    assert!(report.broken().is_empty(), "{report}");
    let damage = "a_damaged_event_becomes_a_dead_letter_and_keeps_up_no_other";
    assert_eq!(report.not_applicable(), [damage]);
}
