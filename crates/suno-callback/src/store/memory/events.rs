//! The events in memory, and the effect of a delivery on them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use suno_types::TaskId;

use crate::content::Content;
use crate::delivery::Delivery;
use crate::key::EventId;
use crate::store::rules::{KnownSubmit, LastRequests, Ledger, Quarantine, StoredEvent, TaskEvents};
use crate::store::{Acceptance, AdoptedEvent, Adoption};

/// Events that are or will become claimable, ordered by the time of that.
type Queue = BTreeSet<(Duration, EventId)>;

// Neither this nor an event implements `Debug`, so that stored data cannot be logged by mistake.
#[derive(Default)]
pub(super) struct Events {
    /// The events of each task. The order of the tasks differs between runs, but nothing depends on
    /// it.
    pub(super) tasks: HashMap<Arc<str>, TaskEvents>,
    /// The number and the task of each event, ordered by number, which is the order of insertion.
    pub(super) numbered: Vec<(EventId, Arc<str>)>,
    pub(super) queue: Queue,
    pub(super) quarantine: Quarantine,
    pub(super) dropped: u64,
    pub(super) requests: LastRequests,
    pub(super) ledger: Ledger,
    last_id: i64,
}

impl Events {
    /// Iterates over the events of all tasks in the order of their numbers, starting after one of
    /// them.
    pub(super) fn after(&self, after: Option<EventId>) -> impl Iterator<Item = &StoredEvent> {
        let is_before = |(id, _): &(EventId, _)| after.is_some_and(|after| *id <= after);
        let first = self.numbered.partition_point(is_before);
        self.numbered[first..].iter().filter_map(|(id, task_id)| {
            let mut events = self.tasks.get(task_id)?.events.iter();
            events.find(|event| event.id == *id)
        })
    }

    /// Returns the task of an event.
    pub(super) fn task_of(&self, id: EventId) -> Option<&Arc<str>> {
        let place = self.numbered.binary_search_by_key(&id, |(id, _)| *id);
        Some(&self.numbered[place.ok()?].1)
    }

    /// Changes the events of a task, and updates their entries in the queue.
    pub(super) fn change<T>(
        &mut self,
        task_id: &str,
        change: impl FnOnce(&mut TaskEvents) -> T,
    ) -> Option<T> {
        let task = self.tasks.get_mut(task_id)?;
        Some(change_queued(&mut self.queue, task, change))
    }

    /// Changes the events of the task of an event.
    pub(super) fn change_of<T>(
        &mut self,
        id: EventId,
        change: impl FnOnce(&mut TaskEvents) -> T,
    ) -> Option<T> {
        let task_id = self.task_of(id)?.clone();
        self.change(&task_id, change)
    }

    pub(super) fn accept(&mut self, delivery: &Delivery, now: Duration) -> Acceptance {
        // Returns a number that was never used before. It may remain unused.
        self.last_id += 1;
        let id = EventId(self.last_id);
        let submit = self.ledger.meet(delivery);
        let in_task = match &delivery.content {
            Content::Event { key, .. } => {
                self.accept_event(id, key.task_id(), delivery, &submit, now)
            }
            Content::Quarantined { .. } => None,
        };
        let kept = in_task.unwrap_or_else(|| self.quarantine.keep(id, delivery, now));
        let (accepted, dropped) = kept;
        self.dropped += dropped;
        accepted
    }

    pub(super) fn adopt(&mut self, adopted: &AdoptedEvent, now: Duration) -> Adoption {
        let task_id: Arc<str> = adopted.record.key.task_id().as_str().into();
        let task = self.tasks.entry(task_id.clone()).or_default();
        let id = EventId(self.last_id + 1);
        let adopt = |task: &mut TaskEvents| task.adopt(id, adopted, now);
        if !change_queued(&mut self.queue, task, adopt) {
            return Adoption::Known;
        }
        self.last_id += 1;
        self.numbered.push((id, task_id));
        Adoption::Adopted
    }

    fn accept_event(
        &mut self,
        id: EventId,
        task_id: &TaskId,
        delivery: &Delivery,
        submit: &KnownSubmit,
        now: Duration,
    ) -> Option<(Acceptance, u64)> {
        let task_id: Arc<str> = task_id.as_str().into();
        let task = self.tasks.entry(task_id.clone()).or_default();
        let accept = |task: &mut TaskEvents| task.accept(id, delivery, submit, now);
        let accepted = change_queued(&mut self.queue, task, accept)?;
        if matches!(
            accepted.0,
            Acceptance::New | Acceptance::Late | Acceptance::Revised
        ) {
            self.numbered.push((id, task_id));
        }
        Some(accepted)
    }
}

/// Changes the events of a task, and updates their entries in the queue.
fn change_queued<T>(
    queue: &mut Queue,
    task: &mut TaskEvents,
    change: impl FnOnce(&mut TaskEvents) -> T,
) -> T {
    for queued in task.queue() {
        queue.remove(&queued);
    }
    let changed = change(task);
    queue.extend(task.queue());
    changed
}
