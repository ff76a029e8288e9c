//! A store of your own: the whole contract over a few `Vec`s behind one mutex.
//!
//! What happens to an event is the same in every store, and is in `suno_callback::rules`. What is left
//! to a store is to keep things, to find them again, and to do each operation in one transaction, which
//! is here the time for which the mutex is locked. This store is not durable, and it looks at
//! everything each time: a real one has an index wherever this one iterates, and repeats nothing of
//! the rules.
//!
//! `cargo run -p suno-callback --example vec_store` shows what the suite says about it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suno_callback::bounds::QUARANTINED_MAX;
use suno_callback::conformance::{Bench, ManualClock, Report, check};
use suno_callback::rules::{
    self, Arrival, LastRequests, StoredEvent, StoredIntent, StoredState, StoredTask,
};
use suno_callback::*;
use suno_types::{Stage, TaskId};

type Result<T> = std::result::Result<T, StoreError>;

/// A store in memory.
#[derive(Debug)]
pub struct VecStore {
    clock: ManualClock,
    tables: Mutex<Tables>,
    changed: tokio::sync::watch::Sender<()>,
}

/// Everything that is stored.
#[derive(Debug, Default)]
struct Tables {
    events: Vec<StoredEvent>,
    quarantine: Vec<(QuarantinedDelivery, Fingerprint, Duration)>,
    intents: Vec<StoredIntent>,
    tasks: Vec<StoredTask>,
    requests: LastRequests,
    dropped: u64,
    /// The latest number of anything, so that none is used twice.
    last: u32,
}

impl Tables {
    fn next(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    fn find(&mut self, id: EventId) -> Option<&mut StoredEvent> {
        self.events.iter_mut().find(|event| event.id == id)
    }

    /// The events of a task: their places in the table, and what they are to one another.
    fn siblings(&self, task_id: &TaskId, now: Duration) -> (Vec<usize>, Vec<Sibling>) {
        let events = self.events.iter().enumerate();
        let of_task = events.filter(|(_, event)| event.key.task_id() == task_id);
        of_task
            .map(|(place, event)| (place, event.sibling(now)))
            .unzip()
    }

    fn supersede(&mut self, places: &[usize], siblings: Vec<usize>) {
        for sibling in siblings {
            self.events[places[sibling]].state = StoredState::Superseded;
        }
    }

    fn close(&mut self, submit: Option<SubmitId>) -> Option<StoredIntent> {
        let place = self
            .intents
            .iter()
            .position(|intent| Some(intent.submit) == submit)?;
        Some(self.intents.remove(place))
    }

    fn expect(&mut self, task: StoredTask) {
        if self.tasks.iter().all(|known| known.task_id != task.task_id) {
            self.tasks.push(task);
        }
    }

    fn accept(&mut self, delivery: &Delivery, now: Duration) -> Accepted {
        if let Some(task_id) = delivery.task_id()
            && let Some(intent) = self.close(delivery.submit)
        {
            self.expect(intent.into_task(task_id));
        }
        let key = match &delivery.content {
            Content::Event { key, .. } => key,
            Content::Quarantined { reason, .. } => {
                return self.keep(delivery, &reason.to_string(), now);
            }
            _ => return self.keep(delivery, "unknown to this version", now),
        };
        let (places, siblings) = self.siblings(key.task_id(), now);
        match rules::arrival(&siblings, key.stage()) {
            Arrival::New { is_late } => {
                let id = EventId(self.next().into());
                self.events
                    .extend(StoredEvent::new(id, delivery, is_late, now));
                if is_late {
                    Accepted::Late
                } else {
                    Accepted::New
                }
            }
            Arrival::Again(sibling) => {
                let event = &mut self.events[places[sibling]];
                let (accepted, dropped) = event.accept_again(delivery, now);
                self.dropped += dropped;
                accepted
            }
            _ => self.keep(delivery, "the task has too many events", now),
        }
    }

    /// Puts a delivery into quarantine.
    fn keep(&mut self, delivery: &Delivery, reason: &str, now: Duration) -> Accepted {
        if self
            .quarantine
            .iter()
            .any(|entry| entry.1 == delivery.strict)
        {
            return Accepted::Quarantined;
        }
        if self.quarantine.len() >= QUARANTINED_MAX {
            self.dropped += 1;
            return Accepted::Dropped;
        }
        let entry = QuarantinedDelivery::of(EventId(self.next().into()), delivery, reason);
        self.quarantine.push((entry, delivery.strict, now));
        Accepted::Quarantined
    }

    fn claim(&mut self, request: &ClaimRequest, now: Duration) -> Claims {
        let mut claims = Claims::default();
        for (ticket, settlement) in &request.settlements {
            claims.settled.push(self.settle(ticket, settlement, now));
        }
        if let Some(granted) = self.requests.granted(request) {
            let held = |ticket: &Ticket| self.find(ticket.event)?.held_claim(ticket, now);
            claims.claims = granted.iter().filter_map(held).collect();
            claims.more = true;
        } else {
            self.grant(request, now, &mut claims);
            self.requests.remember(request, &claims);
        }
        claims
    }

    fn settle(&mut self, ticket: &Ticket, settlement: &Settlement, now: Duration) -> Settled {
        let Some(event) = self.find(ticket.event) else {
            return Settled::Lost;
        };
        let (settled, key) = (event.settle(ticket, settlement, now), event.key.clone());
        if settled == Settled::Settled && *settlement == Settlement::Done {
            let (places, siblings) = self.siblings(key.task_id(), now);
            let done = siblings
                .iter()
                .position(|sibling| sibling.stage == *key.stage());
            let pointless = done.map(|done| rules::superseded_by(&siblings, done));
            self.supersede(&places, pointless.unwrap_or_default());
        }
        settled
    }

    fn grant(&mut self, request: &ClaimRequest, now: Duration, claims: &mut Claims) {
        let events = self.events.iter().enumerate();
        let mut order: Vec<_> = events
            .filter_map(|(place, event)| Some((event.ready_at()?, place)))
            .collect();
        order.sort_unstable();
        for (ready_at, place) in order {
            if ready_at > now {
                claims.next_due = Some(ready_at - now);
                return;
            }
            claims.more = claims.claims.len() >= request.events_max;
            if claims.more {
                return;
            }
            let (places, siblings) = self.siblings(self.events[place].key.task_id(), now);
            let Some(turn) = turn(&siblings).filter(|turn| places[turn.claim] == place) else {
                continue;
            };
            let is_suspected = self.events[place].is_suspected(now);
            if is_suspected && (request.running > 0 || !claims.claims.is_empty()) {
                claims.suspected = true;
                continue;
            }
            self.supersede(&places, turn.supersede);
            let claim = self.events[place].claim(request.worker, request.lease, now);
            claims.claims.push(claim);
            claims.more = is_suspected;
            if is_suspected {
                return;
            }
        }
    }

    fn purge(&mut self, request: &PurgeRequest, now: Duration) -> Purged {
        let (mut purged, mut events_left) = (Purged::default(), request.events_max);
        self.events.retain_mut(|event| {
            if !event.is_forgettable(request, now) {
                return true;
            }
            purged.more |= events_left == 0;
            let is_in_step = events_left > 0;
            events_left = events_left.saturating_sub(1);
            !(is_in_step && event.forget(request, now, &mut purged))
        });
        self.quarantine.retain(|(_, _, stored_at)| {
            let is_old = now - *stored_at >= request.quarantined_after;
            let is_in_step = purged.quarantined < request.events_max.into();
            purged.more |= is_old && !is_in_step;
            purged.quarantined += u64::from(is_old && is_in_step);
            !(is_old && is_in_step)
        });
        self.intents
            .retain(|intent| now - intent.stored_at < request.keys_after);
        purged
    }

    fn due(&mut self, request: &DueRequest, now: Duration) -> DueTasks {
        let mut due = DueTasks::default();
        let tasks = std::mem::take(&mut self.tasks);
        let is_undecided = |task: &StoredTask| {
            task.due_at > now || !rules::is_decided(&self.siblings(&task.task_id, now).1)
        };
        self.tasks = tasks.into_iter().filter(is_undecided).collect();
        self.tasks.sort_by_key(|task| task.due_at);
        for task in &mut self.tasks {
            if task.due_at <= now && due.tasks.len() < request.tasks_max {
                self.last += 1;
                due.tasks.push(task.take(self.last, request.lease, now));
            }
            due.more |= task.due_at <= now;
        }
        due.next_due = self
            .tasks
            .iter()
            .map(|task| task.due_at.saturating_sub(now))
            .min();
        due
    }
}

impl VecStore {
    /// Begins a transaction. Those who wait look again when it has ended.
    fn begin(&self) -> (MutexGuard<'_, Tables>, Duration) {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.send_replace(());
        (tables, self.clock.monotonic())
    }
}

#[async_trait]
impl IdempotencyStore for VecStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>> {
        let (mut tables, now) = self.begin();
        Ok(deliveries
            .iter()
            .map(|delivery| tables.accept(delivery, now))
            .collect())
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        let (mut tables, now) = self.begin();
        Ok(tables.claim(request, now))
    }

    async fn extend(&self, tickets: &[Ticket], lease: Duration) -> Result<Vec<Extended>> {
        let (mut tables, now) = self.begin();
        let mut extend =
            |ticket: &Ticket| Some(tables.find(ticket.event)?.extend(ticket, lease, now));
        Ok(tickets
            .iter()
            .map(|ticket| extend(ticket).unwrap_or(Extended::Lost))
            .collect())
    }

    async fn wait(&self, at_most: Duration) -> Result<()> {
        let mut changed = self.changed.subscribe();
        let ready_at = {
            let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.events.iter().filter_map(StoredEvent::ready_at).min()
        };
        let ready_in = ready_at.map_or(at_most, |at| at.saturating_sub(self.clock.monotonic()));
        let _ = tokio::time::timeout(at_most.min(ready_in), changed.changed()).await;
        Ok(())
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>> {
        let (tables, now) = self.begin();
        let (places, _) = tables.siblings(task_id, now);
        Ok(places
            .into_iter()
            .map(|place| tables.events[place].record_with_body(now))
            .collect())
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>> {
        let (tables, now) = self.begin();
        let records = tables
            .events
            .iter()
            .map(|event| event.record(now))
            .filter(|record| {
                let is_after = request.after.is_none_or(|after| record.id > after);
                is_after
                    && request
                        .filter
                        .contains(record.state, record.key.stage(), record.received_at)
            });
        Ok(Page::first_of(records, request.events_max, |record| {
            record.id
        }))
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>> {
        let (tables, _) = self.begin();
        let entries = tables.quarantine.iter().map(|(entry, ..)| entry.clone());
        let entries = entries.filter(|entry| after.is_none_or(|after| entry.id > after));
        Ok(Page::first_of(entries, entries_max, |entry| entry.id))
    }

    async fn counts(&self) -> Result<Counts> {
        let (tables, now) = self.begin();
        let mut counts = Counts::default();
        for event in &tables.events {
            *counts.of(event.state.at(now).into()) += 1;
        }
        (counts.quarantined, counts.dropped) = (tables.quarantine.len() as u64, tables.dropped);
        Ok(counts)
    }

    async fn redrive(&self, events: &[EventId], redrive: Redrive) -> Result<Vec<Redriven>> {
        let (mut tables, now) = self.begin();
        let mut try_redrive = |id: &EventId| {
            let task_id = tables.find(*id)?.key.task_id().clone();
            let (_, siblings) = tables.siblings(&task_id, now);
            Some(tables.find(*id)?.try_redrive(&siblings, redrive, now))
        };
        Ok(events
            .iter()
            .map(|id| try_redrive(id).unwrap_or(Redriven::Gone))
            .collect())
    }

    async fn requeue(&self, entry: EventId, delivery: &Delivery) -> Result<Option<Accepted>> {
        let (mut tables, now) = self.begin();
        let Some(place) = tables.quarantine.iter().position(|kept| kept.0.id == entry) else {
            return Ok(None);
        };
        tables.quarantine.remove(place);
        Ok(Some(tables.accept(delivery, now)))
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision> {
        let (mut tables, now) = self.begin();
        let (places, siblings) = tables.siblings(task_id, now);
        let choice = rules::decide(&siblings, stage);
        if let Some(place) = choice.redrive.map(|sibling| places[sibling]) {
            if tables.events[place].raw.is_none() {
                return Ok(Decision::Gone);
            }
            tables.events[place].redrive(now);
        }
        tables.supersede(&places, choice.supersede);
        Ok(choice.decision)
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<Purged> {
        let (mut tables, now) = self.begin();
        Ok(tables.purge(request, now))
    }

    async fn intend(&self, intent: &Intent) -> Result<()> {
        let (mut tables, now) = self.begin();
        tables.close(Some(intent.submit));
        let number = tables.next().into();
        tables.intents.push(StoredIntent::new(number, intent, now));
        Ok(())
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<()> {
        self.begin().0.close(Some(submit));
        Ok(())
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>> {
        let (tables, now) = self.begin();
        let open = tables
            .intents
            .iter()
            .map(|intent| intent.open(now))
            .filter(|open| {
                open.open_for >= open_for && after.is_none_or(|after| open.number > after)
            });
        Ok(open.take(intents_max as usize).collect())
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<()> {
        let (mut tables, now) = self.begin();
        tables.close(task.submit);
        tables.expect(StoredTask::new(task, now));
        Ok(())
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks> {
        let (mut tables, now) = self.begin();
        Ok(tables.due(request, now))
    }

    async fn postpone(&self, ticket: &DueTicket, postponement: Postponement) -> Result<bool> {
        let (mut tables, now) = self.begin();
        Ok(tables
            .tasks
            .iter_mut()
            .any(|task| task.postpone(ticket, postponement, now)))
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool> {
        let (mut tables, _) = self.begin();
        let before = tables.tasks.len();
        tables.tasks.retain(|task| !task.is_held_by(ticket));
        Ok(tables.tasks.len() < before)
    }
}

/// Where the suite gets its stores from.
struct VecBench(ManualClock);

#[async_trait]
impl Bench for VecBench {
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>> {
        Ok(Arc::new(VecStore {
            clock: self.0.clone(),
            tables: Mutex::default(),
            changed: tokio::sync::watch::Sender::new(()),
        }))
    }

    async fn reopen(
        &self,
        _: Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>> {
        Ok(None) // It forgets at the end of the process.
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time);
    }
}

/// Runs the suite.
pub async fn run() -> Report {
    check(&VecBench(ManualClock::new())).await
}

#[tokio::main]
async fn main() {
    println!("{}", run().await);
}
