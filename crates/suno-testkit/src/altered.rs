//! A store that changes some operations of another store and delegates the rest.

use std::fmt;
use std::time::Duration;

use suno_callback::{
    Accepted, ClaimRequest, Claims, Counts, Decision, Delivery, DueRequest, DueTasks, DueTicket,
    EventId, EventRecord, ExpectedTask, Extended, IdempotencyStore, Intent, ListRequest,
    OpenIntent, Page, Postponement, PurgeRequest, Purged, QuarantinedDelivery, Redrive, Redriven,
    StoreError, SubmitId, Ticket, async_trait,
};
use suno_types::{Stage, TaskId};

/// An alteration of a store: the operations that it does not implement are those of the
/// store.
#[async_trait]
pub trait Alteration: fmt::Debug + Send + Sync {
    /// The store that is changed.
    fn store(&self) -> &dyn IdempotencyStore;

    /// The changed [`IdempotencyStore::accept`].
    ///
    /// # Errors
    ///
    /// Uses the store's operation, or that of the alteration.
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        self.store().accept(deliveries).await
    }

    /// The changed [`IdempotencyStore::claim`].
    ///
    /// # Errors
    ///
    /// Uses the store's operation, or that of the alteration.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        self.store().claim(request).await
    }

    /// The changed [`IdempotencyStore::extend`].
    ///
    /// # Errors
    ///
    /// Uses the store's operation, or that of the alteration.
    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<Extended>, StoreError> {
        self.store().extend(tickets, lease).await
    }
}

/// A store with an alteration.
#[derive(Debug)]
pub struct AlteredStore<A>(pub A);

#[async_trait]
impl<A: Alteration> IdempotencyStore for AlteredStore<A> {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        self.0.accept(deliveries).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        self.0.claim(request).await
    }

    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<Extended>, StoreError> {
        self.0.extend(tickets, lease).await
    }

    async fn wait(&self, at_most: Duration) -> Result<(), StoreError> {
        self.0.store().wait(at_most).await
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError> {
        self.0.store().find(task_id).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError> {
        self.0.store().list(request).await
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>, StoreError> {
        self.0.store().quarantine(after, entries_max).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.0.store().counts().await
    }

    async fn redrive(
        &self,
        events: &[EventId],
        redrive: Redrive,
    ) -> Result<Vec<Redriven>, StoreError> {
        self.0.store().redrive(events, redrive).await
    }

    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> Result<Option<Accepted>, StoreError> {
        self.0.store().requeue(entry, delivery).await
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision, StoreError> {
        self.0.store().decide(task_id, stage).await
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<Purged, StoreError> {
        self.0.store().purge(request).await
    }

    async fn intend(&self, intent: &Intent) -> Result<(), StoreError> {
        self.0.store().intend(intent).await
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        self.0.store().withdraw(submit).await
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>, StoreError> {
        self.0
            .store()
            .open_intents(open_for, after, intents_max)
            .await
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<(), StoreError> {
        self.0.store().expect(task).await
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks, StoreError> {
        self.0.store().due(request).await
    }

    async fn postpone(
        &self,
        ticket: &DueTicket,
        postponement: Postponement,
    ) -> Result<bool, StoreError> {
        self.0.store().postpone(ticket, postponement).await
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool, StoreError> {
        self.0.store().finish(ticket).await
    }
}
