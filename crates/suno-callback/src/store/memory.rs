//! A store in memory: for tests, and to read the contract in code. It forgets at the end of the
//! process, so that a 200 means nothing after a restart.

mod ledger;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use suno_types::{Code, TaskId};

use self::ledger::Ledger;
use super::turn::{EventState, turn};
use super::{
    Accepted, Claim, ClaimRequest, Counts, EventId, Held, IdempotencyStore, Inspect, Page,
    PurgeRequest, Purged, Quarantined, Record, Redriven, Settlement, StoreError, Ticket,
};
use crate::delivery::{Content, Delivery, Fingerprint};
use crate::event::EventKey;

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every operation leaves the state whole before anything could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// In the order of their numbers.
    events: BTreeMap<EventId, Event>,
    /// The events of each task, in the order of arrival.
    tasks: HashMap<TaskId, Vec<EventId>>,
    quarantine: BTreeMap<EventId, Delivery>,
    /// What is in quarantine, by its bytes.
    quarantined: HashMap<Fingerprint, EventId>,
    last_id: i64,
    /// No event before this one is still to be handled.
    settled_below: EventId,
    ledger: Ledger,
}

#[derive(Debug)]
struct Event {
    key: EventKey,
    code: Code,
    /// The first delivery; its body is empty when it was purged.
    delivery: Delivery,
    purged: bool,
    fingerprints: Vec<(Fingerprint, Fingerprint)>,
    conflicts: Vec<Delivery>,
    state: EventState,
    attempts: u32,
    epoch: u32,
    reason: Option<String>,
}

impl Inner {
    fn next_id(&mut self) -> EventId {
        self.last_id += 1;
        EventId(self.last_id)
    }

    fn accept(&mut self, delivery: &Delivery) -> Accepted {
        self.ledger.meet(delivery);
        match &delivery.content {
            Content::Event {
                key,
                code,
                semantic,
            } => self.accept_event(delivery, key, *code, *semantic),
            Content::Quarantined { .. } => {
                if !self.quarantined.contains_key(&delivery.strict) {
                    let id = self.next_id();
                    self.quarantined.insert(delivery.strict, id);
                    self.quarantine.insert(id, delivery.clone());
                }
                Accepted::Quarantined
            }
        }
    }

    fn accept_event(
        &mut self,
        delivery: &Delivery,
        key: &EventKey,
        code: Code,
        semantic: Fingerprint,
    ) -> Accepted {
        let print = (delivery.strict, semantic);
        let id = self.next_id();
        let siblings = self.tasks.entry(key.task_id().clone()).or_default();
        for known in siblings.iter() {
            if let Some(event) = self.events.get_mut(known)
                && event.key == *key
            {
                return event.meet(print, delivery);
            }
        }
        let late = siblings
            .iter()
            .filter_map(|sibling| self.events.get(sibling))
            .any(|sibling| sibling.key.stage().supersedes(key.stage()));
        siblings.push(id);
        let event = Event {
            key: key.clone(),
            code,
            delivery: delivery.clone(),
            purged: false,
            fingerprints: vec![print],
            conflicts: Vec::new(),
            state: if late {
                EventState::Superseded
            } else {
                EventState::Ready
            },
            attempts: 0,
            epoch: 0,
            reason: None,
        };
        self.events.insert(id, event);
        if late { Accepted::Late } else { Accepted::New }
    }

    /// Claims the event of the task of `id` whose turn it is.
    fn claim(&mut self, id: EventId, request: &ClaimRequest) -> Option<Claim> {
        let event = self.events.get(&id)?;
        if !event.state.is_claimable(request.now) {
            return None;
        }
        let siblings = self.tasks.get(event.key.task_id())?;
        let standing: Vec<_> = siblings
            .iter()
            .filter_map(|id| self.events.get(id))
            .map(|event| (event.key.stage().clone(), event.state))
            .collect();
        let turn = turn(&standing, request.now)?;
        for place in turn.supersede {
            self.events.get_mut(&siblings[place])?.state = EventState::Superseded;
        }
        let id = siblings[turn.claim];
        Some(self.events.get_mut(&id)?.claim(id, request.until()))
    }

    fn held(&mut self, ticket: &Ticket) -> Option<&mut Event> {
        let event = self.events.get_mut(&ticket.event)?;
        let held = matches!(event.state, EventState::Claimed { .. }) && event.epoch == ticket.epoch;
        held.then_some(event)
    }

    fn forget_key(&mut self, id: EventId) {
        if let Some(event) = self.events.remove(&id)
            && let Some(siblings) = self.tasks.get_mut(event.key.task_id())
        {
            siblings.retain(|sibling| *sibling != id);
            if siblings.is_empty() {
                self.tasks.remove(event.key.task_id());
            }
        }
    }

    fn purge(&mut self, request: &PurgeRequest) -> Purged {
        let mut purged = Purged::default();
        let old = |event: &&Event| event.is_forgettable(request);
        let ids: Vec<EventId> = self
            .events
            .iter()
            .filter(|(_, event)| old(event))
            .map(|(id, _)| *id)
            .take(request.events_max as usize + 1)
            .collect();
        purged.more = ids.len() > request.events_max as usize;
        for id in ids.into_iter().take(request.events_max as usize) {
            let Some(event) = self.events.get_mut(&id) else {
                continue;
            };
            purged.bodies += event.forget_bodies();
            if event.delivery.received_at < request.keys_before {
                self.forget_key(id);
                purged.keys += 1;
            }
        }
        self.purge_quarantine(request, &mut purged);
        self.ledger.forget_intents(request.keys_before);
        purged
    }

    fn purge_quarantine(&mut self, request: &PurgeRequest, purged: &mut Purged) {
        let ids: Vec<EventId> = self
            .quarantine
            .iter()
            .filter(|(_, delivery)| delivery.received_at < request.keys_before)
            .map(|(id, _)| *id)
            .take(request.events_max as usize + 1)
            .collect();
        purged.more |= ids.len() > request.events_max as usize;
        for id in ids.into_iter().take(request.events_max as usize) {
            if let Some(delivery) = self.quarantine.remove(&id) {
                self.quarantined.remove(&delivery.strict);
                purged.bodies += 1;
            }
        }
    }
}

impl Event {
    /// Another delivery of the same key.
    fn meet(&mut self, print: (Fingerprint, Fingerprint), delivery: &Delivery) -> Accepted {
        let known = |(strict, semantic): &(Fingerprint, Fingerprint)| {
            *strict == print.0 || *semantic == print.1
        };
        if self.fingerprints.iter().any(known) {
            return Accepted::Duplicate;
        }
        self.fingerprints.push(print);
        self.conflicts.push(delivery.clone());
        Accepted::Conflict
    }

    fn claim(&mut self, id: EventId, until: Timestamp) -> Claim {
        self.epoch += 1;
        self.attempts += 1;
        self.state = EventState::Claimed { until };
        let ticket = Ticket {
            event: id,
            epoch: self.epoch,
        };
        let mut claim = Claim::new(ticket, self.key.clone(), self.delivery.raw.clone());
        claim.attempt = self.attempts;
        claim.source = self.delivery.source;
        claim.verified_by = self.delivery.verified_by;
        claim.received_at = self.delivery.received_at;
        claim
    }

    fn settle(&mut self, settlement: &Settlement) {
        let (state, reason) = match settlement {
            Settlement::Done => (EventState::Done, None),
            Settlement::RetryAt { at, reason } => (EventState::Waiting { at: *at }, Some(reason)),
            Settlement::Dead { reason } => (EventState::Dead, Some(reason)),
            Settlement::Release => {
                self.attempts = self.attempts.saturating_sub(1);
                (EventState::Ready, None)
            }
        };
        self.state = state;
        if let Some(reason) = reason {
            self.reason = Some(reason.clone());
        }
    }

    fn is_forgettable(&self, request: &PurgeRequest) -> bool {
        let received_at = self.delivery.received_at;
        let body = !self.purged && received_at < request.bodies_before;
        self.state.is_settled() && (body || received_at < request.keys_before)
    }

    fn forget_bodies(&mut self) -> u64 {
        let bodies = u64::from(!self.purged) + self.conflicts.len() as u64;
        self.purged = true;
        self.delivery.raw = bytes::Bytes::new();
        self.conflicts.clear();
        bodies
    }

    fn record(&self, id: EventId) -> Record {
        let received_at = self.delivery.received_at;
        let mut record = Record::new(id, self.key.clone(), self.code, received_at);
        record.state = self.state;
        record.attempts = self.attempts;
        record.reason.clone_from(&self.reason);
        record.source = self.delivery.source;
        record.verified_by = self.delivery.verified_by;
        record.conflicts = u32::try_from(self.fingerprints.len() - 1).unwrap_or(u32::MAX);
        record
    }
}

#[async_trait]
impl IdempotencyStore for MemoryStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let mut inner = self.inner();
        Ok(deliveries
            .iter()
            .map(|delivery| inner.accept(delivery))
            .collect())
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        let inner = &mut *self.inner();
        let open = |(_, event): &(&EventId, &Event)| !event.state.is_settled();
        let first = inner.events.range(inner.settled_below..).find(open);
        inner.settled_below = first.map_or(EventId(inner.last_id + 1), |(id, _)| *id);
        let claimable = |(_, event): &(&EventId, &Event)| event.state.is_claimable(request.now);
        let (mut claims, mut next) = (Vec::new(), inner.settled_below);
        while claims.len() < request.events_max {
            let Some((&id, _)) = inner.events.range(next..).find(claimable) else {
                break;
            };
            claims.extend(inner.claim(id, &request));
            next = EventId(id.0 + 1);
        }
        Ok(claims)
    }

    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError> {
        let mut inner = self.inner();
        let extend = |ticket| match inner.held(ticket) {
            Some(event) => {
                event.state = EventState::Claimed { until };
                Held::Held
            }
            None => Held::Lost,
        };
        Ok(tickets.iter().map(extend).collect())
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        let mut inner = self.inner();
        let settle = |(ticket, settlement): &(Ticket, Settlement)| match inner.held(ticket) {
            Some(event) => {
                event.settle(settlement);
                Held::Held
            }
            None => Held::Lost,
        };
        Ok(settled.iter().map(settle).collect())
    }
}

#[async_trait]
impl Inspect for MemoryStore {
    async fn find(&self, task_id: &TaskId) -> Result<Vec<Record>, StoreError> {
        let inner = self.inner();
        let ids = inner.tasks.get(task_id).into_iter().flatten();
        let events = ids.filter_map(|id| Some((id, inner.events.get(id)?)));
        Ok(events
            .map(|(id, event)| {
                let mut record = event.record(*id);
                record.raw = (!event.purged).then(|| event.delivery.raw.clone());
                record
            })
            .collect())
    }

    async fn list(&self, page: Page) -> Result<Vec<Record>, StoreError> {
        let inner = self.inner();
        let after = inner.events.range((Excluded(page.after), Unbounded));
        let records = after.map(|(id, event)| event.record(*id));
        Ok(records.take(page.records_max as usize).collect())
    }

    async fn quarantine(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        let inner = self.inner();
        let after = inner.quarantine.range((Excluded(page.after), Unbounded));
        let quarantined = after.filter_map(|(id, delivery)| match &delivery.content {
            Content::Quarantined { task_id, reason } => Some(Quarantined::new(
                *id,
                task_id.clone(),
                reason.to_string(),
                delivery.received_at,
                delivery.raw.clone(),
            )),
            Content::Event { .. } => None,
        });
        Ok(quarantined.take(page.records_max as usize).collect())
    }

    async fn redrive(&self, event: EventId) -> Result<Redriven, StoreError> {
        let inner = &mut *self.inner();
        let Some(found) = inner.events.get_mut(&event).filter(|event| !event.purged) else {
            return Ok(Redriven::Gone);
        };
        if !found.state.is_settled() {
            return Ok(Redriven::NotSettled);
        }
        found.state = EventState::Ready;
        found.attempts = 0;
        inner.settled_below = inner.settled_below.min(event);
        Ok(Redriven::Ready)
    }

    async fn purge(&self, request: PurgeRequest) -> Result<Purged, StoreError> {
        Ok(self.inner().purge(&request))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let inner = self.inner();
        let mut counts = Counts::default();
        for event in inner.events.values() {
            counts.add(event.state, 1);
        }
        counts.quarantined = inner.quarantine.len() as u64;
        Ok(counts)
    }
}
