//! A store that can be made to fail, and that reports when every event is handled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suno_callback::{
    Acceptance, AdoptedEvent, Adoption, ClaimRequest, Claims, ConflictRecord, Counts, Decision,
    Delivery, DueRequest, DueTasks, DueTicket, Event, EventId, EventRecord, ExpectedTask,
    ExtendResult, IdempotencyStore, Intent, ListRequest, OpenIntent, Page, Postponement,
    PurgeReport, PurgeRequest, QuarantinedDelivery, RecordedSubmit, RecordedTask, Redrive,
    RedriveResult, Reference, StoreError, StoreErrorKind, SubmitId, Ticket, async_trait,
};
use suno_types::{Stage, TaskId};
use tokio::sync::Notify;

/// The maximum number of events that reach the handler. A receiver that passes on more never
/// ends, and has failed the case.
const HANDLED_MAX: usize = 64;

/// The history of a case, over all lives of its receiver. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct HandledLog(Arc<Record>);

#[derive(Debug, Default)]
struct Record {
    down: AtomicBool,
    handled: Mutex<Vec<Event>>,
}

impl HandledLog {
    /// Makes the store refuse everything from now on, or work again.
    pub(super) fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    /// Records an event that reached the handler.
    pub(super) fn note_handled(&self, event: Event) {
        lock(&self.0.handled).push(event);
    }

    fn is_overrun(&self) -> bool {
        lock(&self.0.handled).len() >= HANDLED_MAX
    }

    /// Returns the events that reached the handler, in order.
    pub(super) fn handled(&self) -> Vec<Event> {
        lock(&self.0.handled).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store that fails while it is down, and counts its claims.
#[derive(Debug)]
pub(super) struct WatchedStore {
    store: Box<dyn IdempotencyStore>,
    seen: HandledLog,
    /// The number of claims that are not settled.
    claimed: AtomicUsize,
    idle: Notify,
}

impl WatchedStore {
    pub(super) fn new(store: Box<dyn IdempotencyStore>, seen: HandledLog) -> Self {
        Self {
            store,
            seen,
            claimed: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    /// Notified as soon as there is nothing to claim and every claim is settled.
    pub(super) fn idle(&self) -> &Notify {
        &self.idle
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.seen.0.down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        Ok(())
    }

    /// Records the settlements and claims of a request, and returns the number of claims
    /// left.
    fn count(&self, request: &ClaimRequest, claims: &Claims) -> usize {
        let settled = request.settlements.len();
        let before = self.claimed.fetch_sub(settled, Ordering::SeqCst) - settled;
        let claimed = claims.claims.len();
        self.claimed.fetch_add(claimed, Ordering::SeqCst);
        before + claimed
    }
}

#[async_trait]
impl IdempotencyStore for WatchedStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>, StoreError> {
        self.check()?;
        self.store.accept(deliveries).await
    }

    fn accepts_at_once(&self) -> usize {
        self.store.accepts_at_once()
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        self.check()?;
        let is_overrun = self.seen.is_overrun();
        let mut allowed = request.clone();
        if is_overrun {
            allowed.events_max = 0;
        }
        let claims = self.store.claim(&allowed).await?;
        let left = self.count(&allowed, &claims);
        let is_empty = request.events_max > 0 && left == 0 && !claims.more;
        if is_empty || is_overrun {
            self.idle.notify_waiters();
        }
        Ok(claims)
    }

    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<ExtendResult>, StoreError> {
        self.check()?;
        self.store.extend(tickets, lease).await
    }

    async fn wait(&self, at_most: Duration) -> Result<(), StoreError> {
        self.store.wait(at_most).await
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError> {
        self.store.find(task_id).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError> {
        self.store.list(request).await
    }

    async fn conflicts(&self, event: EventId) -> Result<Vec<ConflictRecord>, StoreError> {
        self.store.conflicts(event).await
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>, StoreError> {
        self.store.quarantine(after, entries_max).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.counts().await
    }

    async fn redrive(
        &self,
        events: &[EventId],
        redrive: Redrive,
    ) -> Result<Vec<RedriveResult>, StoreError> {
        self.store.redrive(events, redrive).await
    }

    async fn adopt(&self, events: &[AdoptedEvent]) -> Result<Vec<Adoption>, StoreError> {
        self.store.adopt(events).await
    }

    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> Result<Option<Acceptance>, StoreError> {
        self.store.requeue(entry, delivery).await
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision, StoreError> {
        self.store.decide(task_id, stage).await
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<PurgeReport, StoreError> {
        self.store.purge(request).await
    }

    async fn intend(&self, intent: &Intent) -> Result<(), StoreError> {
        self.store.intend(intent).await
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        self.store.withdraw(submit).await
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>, StoreError> {
        self.store.open_intents(open_for, after, intents_max).await
    }

    async fn submits(
        &self,
        reference: &Reference,
        submits_max: u32,
    ) -> Result<Vec<RecordedSubmit>, StoreError> {
        self.store.submits(reference, submits_max).await
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<(), StoreError> {
        self.store.expect(task).await
    }

    async fn expected_tasks(
        &self,
        before: Option<u64>,
        tasks_max: u32,
    ) -> Result<Vec<RecordedTask>, StoreError> {
        self.store.expected_tasks(before, tasks_max).await
    }

    async fn recorded_tasks(&self, task_ids: &[TaskId]) -> Result<Vec<RecordedTask>, StoreError> {
        self.store.recorded_tasks(task_ids).await
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks, StoreError> {
        self.store.due(request).await
    }

    async fn postpone(
        &self,
        ticket: &DueTicket,
        postponement: Postponement,
    ) -> Result<bool, StoreError> {
        self.store.postpone(ticket, postponement).await
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool, StoreError> {
        self.store.finish(ticket).await
    }
}
