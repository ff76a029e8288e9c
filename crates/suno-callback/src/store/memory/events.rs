//! The events in memory, and what accepting a delivery does to them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use suno_types::TaskId;

use crate::delivery::{Content, Delivery};
use crate::store::rules::{LastRequests, Ledger, Quarantine, StoredEvent, TaskEvents};
use crate::store::{Accepted, EventId};

// It has no `Debug`, nor has an event: what is stored must not be logged by mistake.
#[derive(Default)]
pub(super) struct Events {
    pub(super) tasks: BTreeMap<TaskId, TaskEvents>,
    /// The task of each event, in the order of their numbers.
    pub(super) task_of: BTreeMap<EventId, TaskId>,
    /// Events that are or become claimable, by the moment at which they do.
    pub(super) queue: BTreeSet<(Duration, EventId)>,
    pub(super) quarantine: Quarantine,
    pub(super) dropped: u64,
    pub(super) requests: LastRequests,
    pub(super) ledger: Ledger,
    last_id: i64,
}

impl Events {
    /// The events of all tasks in the order of their numbers, after one of them.
    pub(super) fn after(&self, after: Option<EventId>) -> impl Iterator<Item = &StoredEvent> {
        let after = after.map_or(EventId(i64::MIN), |after| EventId(after.0 + 1));
        self.task_of.range(after..).filter_map(|(id, task_id)| {
            let mut events = self.tasks.get(task_id)?.events.iter();
            events.find(|event| event.id == *id)
        })
    }

    /// Changes the events of a task, and what is in the queue and in the index of them.
    pub(super) fn change<T>(
        &mut self,
        task_id: &TaskId,
        change: impl FnOnce(&mut TaskEvents) -> T,
    ) -> Option<T> {
        let task = self.tasks.get_mut(task_id)?;
        for queued in task.queue() {
            self.queue.remove(&queued);
        }
        let changed = change(task);
        self.queue.extend(task.queue());
        Some(changed)
    }

    /// Changes the events of the task of an event.
    pub(super) fn change_of<T>(
        &mut self,
        id: EventId,
        change: impl FnOnce(&mut TaskEvents) -> T,
    ) -> Option<T> {
        let task_id = self.task_of.get(&id)?.clone();
        self.change(&task_id, change)
    }

    pub(super) fn accept(&mut self, delivery: &Delivery, now: Duration) -> Accepted {
        // A number that nothing had before, and that perhaps nothing gets.
        self.last_id += 1;
        let id = EventId(self.last_id);
        self.ledger.meet(delivery);
        let in_task = match &delivery.content {
            Content::Event { key, .. } => self.accept_event(id, key.task_id(), delivery, now),
            Content::Quarantined { .. } => None,
        };
        let kept = in_task.unwrap_or_else(|| self.quarantine.keep(id, delivery, now));
        let (accepted, dropped) = kept;
        self.dropped += dropped;
        accepted
    }

    fn accept_event(
        &mut self,
        id: EventId,
        task_id: &TaskId,
        delivery: &Delivery,
        now: Duration,
    ) -> Option<(Accepted, u64)> {
        if !self.tasks.contains_key(task_id) {
            let task = TaskEvents::new(task_id.clone());
            self.tasks.insert(task_id.clone(), task);
        }
        let accepted = self.change(task_id, |task| task.accept(id, delivery, now))??;
        if matches!(accepted.0, Accepted::New | Accepted::Late) {
            self.task_of.insert(id, task_id.clone());
        }
        Some(accepted)
    }
}
