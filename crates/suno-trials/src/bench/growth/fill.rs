//! A filled store, and its operations that are measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use suno_callback::{
    Claim, ClaimRequest, Delivery, EventRecord, IdempotencyStore, PurgeRequest, Settlement, Ticket,
    WorkerId,
};
use suno_types::TaskId;

use super::{Content, Held, LEASE, check_time, delivery};
use crate::stored::StorePlace;

/// The number of deliveries in a commit, and of events in a claim, while a store is filled.
const BATCH: usize = 512;
/// For how long the events of [`Held::Waiting`] wait: longer than anything is measured.
const WAIT: Duration = Duration::from_secs(86_400);

/// An open store.
pub(super) struct Store {
    store: Arc<dyn IdempotencyStore>,
    closed: ClosedStore,
}

/// A closed store.
pub(super) struct ClosedStore {
    place: StorePlace,
    content: Content,
    body_bytes: usize,
    /// The number of events created so far.
    events: u64,
    /// The number of claim requests made so far.
    requests: u64,
}

impl ClosedStore {
    pub(super) async fn open(self) -> Result<Store> {
        Ok(Store {
            store: self.place.open().await?,
            closed: self,
        })
    }
}

impl Store {
    /// Creates a store with the contents described by `content`.
    pub(super) async fn fill(
        place: StorePlace,
        content: Content,
        body_bytes: usize,
        deadline: Instant,
    ) -> Result<Self> {
        let closed = ClosedStore {
            place,
            content,
            body_bytes,
            events: 0,
            requests: 0,
        };
        let mut store = closed.open().await?;
        while store.closed.events < content.events {
            check_time(deadline)?;
            let left = usize::try_from(content.events - store.closed.events)?;
            let deliveries = store.deliveries(left.min(BATCH))?;
            store.accept(&deliveries).await?;
            let settlement = match content.held {
                Held::Ready => continue,
                Held::Handled => Settlement::Done,
                Held::Waiting => Settlement::Retry {
                    after: WAIT,
                    reason: "the handler failed".to_owned(),
                },
            };
            let claims = store.claim(BATCH).await?;
            store.settle(&claims, &settlement).await?;
        }
        Ok(store)
    }

    pub(super) fn content(&self) -> Content {
        self.closed.content
    }

    pub(super) fn inner(&self) -> &dyn IdempotencyStore {
        &*self.store
    }

    pub(super) fn close(self) -> ClosedStore {
        self.closed
    }

    /// Opens the store once more, as another process would.
    pub(super) async fn another(&self) -> Result<Arc<dyn IdempotencyStore>> {
        self.closed.place.open().await
    }

    /// Creates deliveries of new events.
    pub(super) fn deliveries(&mut self, count: usize) -> Result<Vec<Delivery>> {
        (0..count)
            .map(|_| {
                self.closed.events += 1;
                delivery(&task(self.closed.events), self.closed.body_bytes)
            })
            .collect()
    }

    /// Returns a task whose event was stored or, if not `known`, one without events.
    pub(super) fn task_id(&self, known: bool) -> Result<TaskId> {
        let number = fastrand::u64(1..=self.closed.events);
        let unknown = if known { 0 } else { u64::MAX / 2 };
        Ok(TaskId::new(task(number + unknown))?)
    }

    pub(super) async fn accept(&self, deliveries: &[Delivery]) -> Result<()> {
        self.store.accept(deliveries).await?;
        Ok(())
    }

    pub(super) async fn claim(&mut self, events_max: usize) -> Result<Vec<Claim>> {
        let request = self.request(events_max);
        Ok(self.store.claim(&request).await?.claims)
    }

    pub(super) async fn settle(&mut self, claims: &[Claim], settlement: &Settlement) -> Result<()> {
        let settlements: Vec<(Ticket, Settlement)> = claims
            .iter()
            .map(|claim| (claim.ticket, settlement.clone()))
            .collect();
        let request = self.request(0).with_settlements(settlements);
        self.store.claim(&request).await?;
        Ok(())
    }

    fn request(&mut self, events_max: usize) -> ClaimRequest {
        self.closed.requests += 1;
        ClaimRequest::new(WorkerId(1), self.closed.requests, LEASE, events_max)
    }

    pub(super) async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>> {
        Ok(self.store.find(task_id).await?)
    }

    pub(super) async fn purge(&self, request: &PurgeRequest) -> Result<()> {
        self.store.purge(request).await?;
        Ok(())
    }
}

/// Returns the id of a task: mixed, so that the ids are in no order, like the provider's.
fn task(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{mixed:016x}{number:016x}")
}
