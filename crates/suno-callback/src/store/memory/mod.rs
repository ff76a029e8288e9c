//! A store in memory: for tests, and as a readable version of the contract. Its data is lost at
//! the end of the process, so a 200 means nothing after a restart.

mod claims;
mod events;
mod inspect;
#[cfg(all(test, feature = "conformance"))]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use suno_types::{Stage, TaskId};
use tokio::sync::Notify;

use self::events::Events;
use super::{
    Acceptance, AdoptedEvent, Adoption, ClaimRequest, Claims, ConflictRecord, Counts, Decision,
    DueRequest, DueTasks, DueTicket, EventRecord, ExpectedTask, ExtendResult, IdempotencyStore,
    Intent, ListRequest, OpenIntent, Page, Postponement, PurgeReport, PurgeRequest,
    QuarantinedDelivery, RecordedSubmit, RecordedTask, Redrive, RedriveResult, StoreError, Ticket,
};
use crate::clock::{Clock, SystemClock};
use crate::delivery::Delivery;
use crate::key::{EventId, Reference, SubmitId};

/// A store in memory.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    events: Mutex<Events>,
    changed: Notify,
}

/// Leaves out the stored data.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(SystemClock)
    }

    /// Creates an empty store that measures durations by [`Clock::monotonic`] of `clock`.
    #[must_use]
    pub fn with_clock(clock: impl Clock + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            events: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Returns the events, and the current time of the store.
    fn lock(&self) -> (MutexGuard<'_, Events>, Duration) {
        // No operation leaves the state inconsistent when something panics.
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        (events, self.clock.monotonic())
    }

    /// Wakes the waiting tasks if an event was added or became ready.
    fn wake(&self) {
        self.changed.notify_waiters();
    }
}

#[async_trait]
impl IdempotencyStore for MemoryStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>, StoreError> {
        let accepted = {
            let (mut events, now) = self.lock();
            let accept = |delivery| events.accept(delivery, now);
            deliveries.iter().map(accept).collect()
        };
        self.wake();
        Ok(accepted)
    }

    fn accepts_at_once(&self) -> usize {
        1
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let claims = {
            let (mut events, now) = self.lock();
            events.claim(request, now)
        };
        if !request.settlements.is_empty() {
            self.wake();
        }
        Ok(claims)
    }

    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<ExtendResult>, StoreError> {
        let (mut events, now) = self.lock();
        let extend = |ticket| events.extend(ticket, lease, now);
        Ok(tickets.iter().map(extend).collect())
    }

    async fn wait(&self, at_most: Duration) -> Result<(), StoreError> {
        // Registered before the check, so that no change in between is missed.
        let mut changed = std::pin::pin!(self.changed.notified());
        changed.as_mut().enable();
        let ready_in = {
            let (events, now) = self.lock();
            events.ready_in(now)
        };
        let pause = ready_in.unwrap_or(Duration::MAX).min(at_most);
        if !pause.is_zero() {
            let _ = tokio::time::timeout(pause, changed).await;
        }
        Ok(())
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError> {
        let (events, now) = self.lock();
        Ok(events.find(task_id, now))
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError> {
        let (events, now) = self.lock();
        Ok(events.list(request, now))
    }

    async fn conflicts(&self, event: EventId) -> Result<Vec<ConflictRecord>, StoreError> {
        let (events, _) = self.lock();
        Ok(events.conflicts(event))
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>, StoreError> {
        let (events, _) = self.lock();
        Ok(events.quarantine.page(after, entries_max))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let (events, now) = self.lock();
        Ok(events.counts(now))
    }

    async fn redrive(
        &self,
        ids: &[EventId],
        redrive: Redrive,
    ) -> Result<Vec<RedriveResult>, StoreError> {
        let redriven = {
            let (mut events, now) = self.lock();
            let redrive = |id: &EventId| events.redrive(*id, redrive, now);
            ids.iter().map(redrive).collect()
        };
        self.wake();
        Ok(redriven)
    }

    async fn adopt(&self, adopted: &[AdoptedEvent]) -> Result<Vec<Adoption>, StoreError> {
        let adoptions = {
            let (mut events, now) = self.lock();
            let adopt = |event| events.adopt(event, now);
            adopted.iter().map(adopt).collect()
        };
        self.wake();
        Ok(adoptions)
    }

    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> Result<Option<Acceptance>, StoreError> {
        let accepted = {
            let (mut events, now) = self.lock();
            events.requeue(entry, delivery, now)
        };
        self.wake();
        Ok(accepted)
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision, StoreError> {
        let decision = {
            let (mut events, now) = self.lock();
            events.decide(task_id, stage, now)
        };
        self.wake();
        Ok(decision)
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<PurgeReport, StoreError> {
        let (mut events, now) = self.lock();
        Ok(events.purge(request, now))
    }

    async fn intend(&self, intent: &Intent) -> Result<(), StoreError> {
        let (mut events, now) = self.lock();
        events.ledger.intend(intent, now);
        Ok(())
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        let (mut events, _) = self.lock();
        events.ledger.withdraw(submit);
        Ok(())
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>, StoreError> {
        let (events, now) = self.lock();
        Ok(events
            .ledger
            .open_intents(open_for, after, intents_max, now))
    }

    async fn submits(
        &self,
        reference: &Reference,
        submits_max: u32,
    ) -> Result<Vec<RecordedSubmit>, StoreError> {
        let (events, _) = self.lock();
        Ok(events.ledger.submits(reference, submits_max))
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<(), StoreError> {
        let (mut events, now) = self.lock();
        events.ledger.expect(task, now);
        Ok(())
    }

    async fn expected_tasks(
        &self,
        before: Option<u64>,
        tasks_max: u32,
    ) -> Result<Vec<RecordedTask>, StoreError> {
        let (events, now) = self.lock();
        Ok(events.ledger.expected_tasks(before, tasks_max, now))
    }

    async fn recorded_tasks(&self, task_ids: &[TaskId]) -> Result<Vec<RecordedTask>, StoreError> {
        let (events, now) = self.lock();
        let recorded = |task_id| events.ledger.recorded_task(task_id, now);
        Ok(task_ids.iter().map(recorded).collect())
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks, StoreError> {
        let (mut events, now) = self.lock();
        Ok(events.due(request, now))
    }

    async fn postpone(
        &self,
        ticket: &DueTicket,
        postponement: Postponement,
    ) -> Result<bool, StoreError> {
        let (mut events, now) = self.lock();
        Ok(events.ledger.postpone(ticket, postponement, now))
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool, StoreError> {
        let (mut events, _) = self.lock();
        Ok(events.ledger.finish(ticket))
    }
}
