//! The events in memory, and what accepting a delivery does to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use suno_types::TaskId;

use super::ledger::Ledger;
use crate::delivery::{Content, Delivery, Fingerprint};
use crate::event::EventKey;
use crate::store::bounds::{EVENTS_OF_TASK_MAX, QUARANTINED_MAX};
use crate::store::rules::{LastRequests, StoredEvent, StoredState, is_late};
use crate::store::{Accepted, EventId, QuarantinedDelivery, Sibling};

// It has no `Debug`, nor has an event: what is stored must not be logged by mistake.
#[derive(Default)]
pub(super) struct Events {
    /// In the order of their numbers.
    pub(super) by_id: BTreeMap<EventId, QueuedEvent>,
    /// The events of each task, in the order of arrival.
    pub(super) of_task: HashMap<TaskId, Vec<EventId>>,
    /// Events that are or become claimable, by the moment at which they do. Those whose task has a
    /// claimed event are left out until it is settled.
    pub(super) queue: BTreeSet<(Duration, EventId)>,
    pub(super) quarantine: BTreeMap<EventId, QuarantineEntry>,
    /// What is in quarantine, by its bytes.
    pub(super) quarantined: HashMap<Fingerprint, EventId>,
    pub(super) dropped: u64,
    pub(super) requests: LastRequests,
    pub(super) ledger: Ledger,
    last_id: i64,
}

#[derive(Debug)]
pub(super) struct QueuedEvent {
    pub(super) event: StoredEvent,
    /// The moment under which the event is in the queue.
    pub(super) queued_at: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct QuarantineEntry {
    pub(super) delivery: QuarantinedDelivery,
    pub(super) strict: Fingerprint,
    pub(super) stored_at: Duration,
}

impl Events {
    pub(super) fn get(&self, id: EventId) -> Option<&StoredEvent> {
        self.by_id.get(&id).map(|queued| &queued.event)
    }

    /// The events of a task and their numbers, in the order of their arrival.
    pub(super) fn siblings(&self, task_id: &TaskId, now: Duration) -> (Vec<EventId>, Vec<Sibling>) {
        let ids = self.of_task.get(task_id).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.get(*id)?.sibling(now))))
            .unzip()
    }

    /// Changes an event, and its place in the queue. `None` if there is no such event.
    pub(super) fn change<T>(
        &mut self,
        id: EventId,
        change: impl FnOnce(&mut StoredEvent) -> T,
    ) -> Option<T> {
        let queued = self.by_id.get_mut(&id)?;
        let changed = change(&mut queued.event);
        let ready_at = queued.event.ready_at();
        if let Some(before) = std::mem::replace(&mut queued.queued_at, ready_at) {
            self.queue.remove(&(before, id));
        }
        self.queue.extend(ready_at.map(|ready_at| (ready_at, id)));
        Some(changed)
    }

    pub(super) fn supersede(&mut self, id: EventId) {
        self.change(id, |event| event.state = StoredState::Superseded);
    }

    pub(super) fn accept(&mut self, delivery: &Delivery, now: Duration) -> Accepted {
        self.ledger.meet(delivery, now);
        match &delivery.content {
            Content::Event { key, .. } => self.accept_event(delivery, key, now),
            Content::Quarantined { reason, .. } => {
                self.put_in_quarantine(delivery, reason.to_string(), now)
            }
        }
    }

    fn accept_event(&mut self, delivery: &Delivery, key: &EventKey, now: Duration) -> Accepted {
        let (ids, siblings) = self.siblings(key.task_id(), now);
        let known = siblings
            .iter()
            .position(|sibling| sibling.stage == *key.stage());
        if let Some(place) = known {
            let again = self.change(ids[place], |event| event.accept_again(delivery, now));
            let (accepted, dropped) = again.unwrap_or((Accepted::Dropped, 1));
            self.dropped += dropped;
            return accepted;
        }
        if siblings.len() >= EVENTS_OF_TASK_MAX {
            let reason = "the task has too many events".to_owned();
            return self.put_in_quarantine(delivery, reason, now);
        }
        let is_late = is_late(&siblings, key.stage());
        self.add(delivery, key, is_late, now);
        match is_late {
            true => Accepted::Late,
            false => Accepted::New,
        }
    }

    fn add(&mut self, delivery: &Delivery, key: &EventKey, is_late: bool, now: Duration) {
        let id = self.next_id();
        let Some(event) = StoredEvent::new(id, delivery, is_late, now) else {
            return;
        };
        let queued_at = event.ready_at();
        self.queue.extend(queued_at.map(|ready_at| (ready_at, id)));
        self.by_id.insert(id, QueuedEvent { event, queued_at });
        let of_task = self.of_task.entry(key.task_id().clone());
        of_task.or_default().push(id);
    }

    fn next_id(&mut self) -> EventId {
        self.last_id += 1;
        EventId(self.last_id)
    }

    fn put_in_quarantine(
        &mut self,
        delivery: &Delivery,
        reason: String,
        now: Duration,
    ) -> Accepted {
        if self.quarantined.contains_key(&delivery.strict) {
            return Accepted::Quarantined;
        }
        if self.quarantine.len() >= QUARANTINED_MAX {
            self.dropped += 1;
            return Accepted::Dropped;
        }
        let id = self.next_id();
        let entry = QuarantineEntry {
            delivery: QuarantinedDelivery::of(id, delivery, reason),
            strict: delivery.strict,
            stored_at: now,
        };
        self.quarantined.insert(delivery.strict, id);
        self.quarantine.insert(id, entry);
        Accepted::Quarantined
    }
}
