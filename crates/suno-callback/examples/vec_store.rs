//! A store of your own: the whole contract over a `Vec` of tasks behind one mutex.
//!
//! What happens to an event is the same in every store, and is in `suno_callback::rules`. What is left
//! to a store is to keep things, to find them again, and to do each operation in one transaction: here
//! that is the time for which the mutex is locked. This store is not durable and looks at everything
//! each time; a real one has an index wherever this one iterates.
//!
//! `cargo run -p suno-callback --example vec_store` shows what the suite says about it.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use suno_callback::conformance::{Report, VolatileBench, check};
use suno_callback::rules::{
    ClaimRound, LastRequests, Ledger, PurgeStep, Quarantine, StoredEvent, TaskEvents,
};
use suno_callback::*;
use suno_types::{Stage, TaskId};
use tokio::sync::watch;
use tokio::time::timeout;

type Result<T> = std::result::Result<T, StoreError>;

/// A store in memory.
#[derive(Debug)]
pub(crate) struct VecStore {
    clock: Box<dyn Clock>,
    tables: Mutex<Tables>,
    changed: watch::Sender<()>,
}

/// Everything that is stored.
#[derive(Debug, Default)]
struct Tables {
    tasks: Vec<TaskEvents>,
    quarantine: Quarantine,
    ledger: Ledger,
    requests: LastRequests,
    dropped: u64,
    /// The latest number, so that none is used twice.
    last: EventId,
}

impl Tables {
    fn task(&mut self, task_id: &TaskId) -> Option<&mut TaskEvents> {
        self.tasks.iter_mut().find(|task| task.is_of(task_id))
    }

    fn events(&self) -> impl Iterator<Item = &StoredEvent> {
        self.tasks.iter().flat_map(|task| &task.events)
    }

    /// The task with an event.
    fn task_of(&mut self, id: EventId) -> Option<&mut TaskEvents> {
        let has_event = |task: &&mut TaskEvents| task.events.iter().any(|event| event.id == id);
        self.tasks.iter_mut().find(has_event)
    }

    /// Everything that can be claimed at some time, in the order in which it becomes ready.
    fn queue(&self) -> Vec<(Duration, EventId)> {
        let mut queue: Vec<_> = self.tasks.iter().flat_map(TaskEvents::queue).collect();
        queue.sort_unstable();
        queue
    }

    fn accept(&mut self, delivery: &Delivery, now: Duration) -> Acceptance {
        // A number that nothing had before, and that perhaps nothing gets.
        self.last.0 += 1;
        let id = self.last;
        let met = self.ledger.meet(delivery);
        let in_task = match &delivery.content {
            Content::Event { key, .. } => self.entry(key.task_id()).accept(id, delivery, &met, now),
            _ => None,
        };
        let kept = in_task.unwrap_or_else(|| self.quarantine.keep(id, delivery, now));
        self.dropped += kept.1;
        kept.0
    }

    /// The events of a task, which may be a new one.
    fn entry(&mut self, task_id: &TaskId) -> &mut TaskEvents {
        let known = self.tasks.iter().position(|task| task.is_of(task_id));
        let place = known.unwrap_or(self.tasks.len());
        if known.is_none() {
            self.tasks.push(TaskEvents::default());
        }
        &mut self.tasks[place]
    }

    fn adopt(&mut self, adopted: &AdoptedEvent, now: Duration) -> Adoption {
        self.last.0 += 1;
        let id = self.last;
        let task = self.entry(adopted.record.key.task_id());
        match task.adopt(id, adopted, now) {
            true => Adoption::Adopted,
            false => Adoption::Known,
        }
    }

    fn claim(&mut self, request: &ClaimRequest, now: Duration) -> Claims {
        let settled = request.settlements.iter().map(|(ticket, settlement)| {
            let task = self.task_of(ticket.event);
            task.map_or(SettleResult::Lost, |task| {
                task.settle(ticket, settlement, now)
            })
        });
        let mut round = ClaimRound::new(request, settled.collect(), now);
        if let Some(granted) = self.requests.granted(request) {
            let held = |ticket: &Ticket| self.task_of(ticket.event)?.held_claim(ticket, now);
            return round.repeat(granted.iter().filter_map(held).collect());
        }
        for (ready_at, id) in self.queue() {
            if !round.goes_on(ready_at) {
                break;
            }
            if let Some(task) = self.task_of(id) {
                round.look_at(task, id);
            }
        }
        let claims = round.into_claims();
        self.requests.remember(request, &claims);
        claims
    }
}

impl VecStore {
    /// An empty store.
    pub(crate) fn new(clock: impl Clock + 'static) -> Self {
        Self {
            clock: Box::new(clock),
            tables: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Does an operation in one transaction, and wakes those who wait.
    fn transact<T>(&self, operation: impl FnOnce(&mut Tables, Duration) -> T) -> Result<T> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.send_replace(());
        Ok(operation(&mut tables, self.clock.monotonic()))
    }
}

#[async_trait]
impl IdempotencyStore for VecStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>> {
        self.transact(|tables, now| {
            let accept = |delivery| tables.accept(delivery, now);
            deliveries.iter().map(accept).collect()
        })
    }

    fn accepts_at_once(&self) -> usize {
        1
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        self.transact(|tables, now| tables.claim(request, now))
    }

    async fn extend(&self, tickets: &[Ticket], lease: Duration) -> Result<Vec<ExtendResult>> {
        self.transact(|tables, now| {
            let extend = |ticket: &Ticket| {
                let task = tables.task_of(ticket.event);
                task.map_or(ExtendResult::Lost, |task| task.extend(ticket, lease, now))
            };
            tickets.iter().map(extend).collect()
        })
    }

    async fn wait(&self, at_most: Duration) -> Result<()> {
        let mut changed = self.changed.subscribe();
        let queue = self
            .tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .queue();
        let ready_at = queue
            .first()
            .map_or(Duration::MAX, |(ready_at, _)| *ready_at);
        let pause = at_most.min(ready_at.saturating_sub(self.clock.monotonic()));
        let _ = timeout(pause, changed.changed()).await;
        Ok(())
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>> {
        self.transact(|tables, now| {
            let task = tables.tasks.iter().filter(|task| task.is_of(task_id));
            let events = task.flat_map(|task| &task.events);
            events.map(|event| event.record_with_body(now)).collect()
        })
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>> {
        self.transact(|tables, now| {
            let mut records: Vec<_> = tables.events().map(|event| event.record(now)).collect();
            records.retain(|record| request.contains(record));
            records.sort_by_key(|record| record.id);
            Page::first_of(records, request.events_max, |record| record.id)
        })
    }

    async fn conflicts(&self, event: EventId) -> Result<Vec<ConflictRecord>> {
        self.transact(|tables, _| {
            let event = tables.events().filter(|known| known.id == event);
            let conflicts = event.flat_map(|event| &event.conflicts);
            conflicts.map(|conflict| conflict.record.clone()).collect()
        })
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>> {
        self.transact(|tables, _| tables.quarantine.page(after, entries_max))
    }

    async fn counts(&self) -> Result<Counts> {
        self.transact(|tables, now| {
            let mut counts = Counts::default();
            let states = tables.events().map(|event| event.state.at(now));
            states.for_each(|state| *counts.of(state.into()) += 1);
            counts.quarantined = tables.quarantine.count();
            counts.dropped = tables.dropped;
            tables.ledger.count(&mut counts, now);
            counts
        })
    }

    async fn redrive(&self, events: &[EventId], redrive: Redrive) -> Result<Vec<RedriveResult>> {
        self.transact(|tables, now| {
            let redrive = |id: &EventId| {
                let task = tables.task_of(*id);
                task.map_or(RedriveResult::Gone, |task| task.redrive(*id, redrive, now))
            };
            events.iter().map(redrive).collect()
        })
    }

    async fn adopt(&self, events: &[AdoptedEvent]) -> Result<Vec<Adoption>> {
        self.transact(|tables, now| {
            events
                .iter()
                .map(|event| tables.adopt(event, now))
                .collect()
        })
    }

    async fn requeue(&self, entry: EventId, delivery: &Delivery) -> Result<Option<Acceptance>> {
        self.transact(|tables, now| {
            let is_there = tables.quarantine.take(entry);
            is_there.then(|| tables.accept(delivery, now))
        })
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision> {
        self.transact(|tables, now| {
            let task = tables.task(task_id);
            task.map_or(Decision::Gone, |task| task.decide(stage, now))
        })
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<PurgeReport> {
        self.transact(|tables, now| {
            let mut step = PurgeStep::new(request, now);
            tables
                .tasks
                .iter_mut()
                .for_each(|task| task.purge(&mut step));
            tables.tasks.retain(|task| !task.events.is_empty());
            tables.quarantine.purge(&mut step);
            tables.ledger.purge(&step);
            step.purged()
        })
    }

    async fn intend(&self, intent: &Intent) -> Result<()> {
        self.transact(|tables, now| tables.ledger.intend(intent, now))
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<()> {
        self.transact(|tables, _| tables.ledger.withdraw(submit))
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>> {
        self.transact(|tables, now| {
            let ledger = &tables.ledger;
            ledger.open_intents(open_for, after, intents_max, now)
        })
    }

    async fn submits(&self, reference: &Reference, most: u32) -> Result<Vec<RecordedSubmit>> {
        self.transact(|tables, _| tables.ledger.submits(reference, most))
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<()> {
        self.transact(|tables, now| tables.ledger.expect(task, now))
    }

    async fn expected_tasks(&self, before: Option<u64>, most: u32) -> Result<Vec<RecordedTask>> {
        self.transact(|tables, now| tables.ledger.expected_tasks(before, most, now))
    }

    async fn recorded_tasks(&self, task_ids: &[TaskId]) -> Result<Vec<RecordedTask>> {
        self.transact(|tables, now| {
            let recorded = |task_id| tables.ledger.recorded_task(task_id, now);
            task_ids.iter().map(recorded).collect()
        })
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks> {
        self.transact(|tables, now| {
            let tasks = &tables.tasks;
            tables.ledger.due(request, now, |task_id| {
                let mut task = tasks.iter().filter(|task| task.is_of(task_id));
                task.any(|task| task.is_decided(now))
            })
        })
    }

    async fn postpone(&self, ticket: &DueTicket, postponement: Postponement) -> Result<bool> {
        self.transact(|tables, now| tables.ledger.postpone(ticket, postponement, now))
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool> {
        self.transact(|tables, _| tables.ledger.finish(ticket))
    }
}

/// Checks the store.
pub(crate) async fn run() -> Report {
    let bench = VolatileBench::new(|clock| Arc::new(VecStore::new(clock)));
    check(&bench).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("{}", run().await);
}
