//! A store whose events become visible when a test says so, as with several writers.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use suno_callback::{
    EventId, EventRecord, IdempotencyStore, ListRequest, MemoryStore, Page, StoreError,
};
use suno_types::TaskId;

use crate::wrapper::{Faults, Wrapper};

/// A store in memory that hides events: their numbers are drawn, but their transactions are open.
#[derive(Debug, Default)]
pub struct LateStore {
    store: MemoryStore,
    faults: Faults,
    hidden: Mutex<BTreeSet<EventId>>,
}

impl LateStore {
    /// Hides the event with this number, now or when it is stored.
    pub fn hide(&self, id: i64) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        hidden.insert(EventId(id));
    }

    /// Makes an event visible.
    pub fn show(&self, id: i64) {
        let mut hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        hidden.remove(&EventId(id));
    }

    fn is_visible(&self, event: &EventRecord) -> bool {
        let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner);
        !hidden.contains(&event.id)
    }
}

#[async_trait]
impl Wrapper for LateStore {
    fn inner(&self) -> &dyn IdempotencyStore {
        &self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError> {
        let mut events = self.store.find(task_id).await?;
        events.retain(|event| self.is_visible(event));
        Ok(events)
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError> {
        // A page is full although events are hidden, as with a store that does not see them.
        let mut all = request.clone();
        all.events_max = u32::MAX;
        let events = self.store.list(&all).await?.records.into_iter();
        let visible = events.filter(|event| self.is_visible(event));
        Ok(Page::first_of(visible, request.events_max, |event| {
            event.id
        }))
    }
}
