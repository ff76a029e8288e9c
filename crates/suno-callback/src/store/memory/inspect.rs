//! Inspecting, redriving and purging in memory.

use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use suno_types::{Stage, TaskId};

use super::events::{Events, QueuedEvent};
use crate::delivery::Delivery;
use crate::store::rules::{decide, may_redrive};
use crate::store::{
    Accepted, Counts, Decision, EventId, EventRecord, ListRequest, Page, PurgeRequest, Purged,
    QuarantinedDelivery, Redrive, Redriven,
};

impl Events {
    pub(super) fn find(&self, task_id: &TaskId, now: Duration) -> Vec<EventRecord> {
        let ids = self.of_task.get(task_id).into_iter().flatten();
        ids.filter_map(|id| Some(self.get(*id)?.record_with_body(now)))
            .collect()
    }

    pub(super) fn list(&self, request: &ListRequest, now: Duration) -> Page<EventRecord> {
        let after = request.after.map_or(Unbounded, Excluded);
        let events = self.by_id.range((after, Unbounded));
        let matching = events.map(|(_, queued)| &queued.event).filter(|event| {
            let (state, stage) = (event.state.at(now), event.key.stage());
            request.filter.contains(state, stage, event.received_at)
        });
        page(matching, request.events_max, |event| event.record(now))
    }

    pub(super) fn list_quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Page<QuarantinedDelivery> {
        let after = after.map_or(Unbounded, Excluded);
        let entries = self.quarantine.range((after, Unbounded));
        page(entries, entries_max, |(_, entry)| entry.delivery.clone())
    }

    pub(super) fn counts(&self, now: Duration) -> Counts {
        let mut counts = Counts::default();
        for queued in self.by_id.values() {
            *counts.of(queued.event.state.at(now).into()) += 1;
        }
        counts.quarantined = self.quarantine.len() as u64;
        counts.dropped = self.dropped;
        counts
    }

    pub(super) fn redrive(&mut self, id: EventId, redrive: Redrive, now: Duration) -> Redriven {
        let Some(event) = self.get(id).filter(|event| event.raw.is_some()) else {
            return Redriven::Gone;
        };
        if !event.state.at(now).is_settled() {
            return Redriven::NotSettled;
        }
        let (_, siblings) = self.siblings(event.key.task_id(), now);
        if !may_redrive(&siblings, event.key.stage(), redrive) {
            return Redriven::Superseded;
        }
        self.change(id, |event| event.redrive(now));
        Redriven::Ready
    }

    pub(super) fn requeue(
        &mut self,
        entry: EventId,
        delivery: &Delivery,
        now: Duration,
    ) -> Option<Accepted> {
        let entry = self.quarantine.remove(&entry)?;
        self.quarantined.remove(&entry.strict);
        Some(self.accept(delivery, now))
    }

    pub(super) fn decide(&mut self, task_id: &TaskId, stage: &Stage, now: Duration) -> Decision {
        let (ids, siblings) = self.siblings(task_id, now);
        let choice = decide(&siblings, stage);
        let redriven = choice.redrive.map(|place| ids[place]);
        if let Some(id) = redriven
            && self.get(id).is_none_or(|event| event.raw.is_none())
        {
            return Decision::Gone;
        }
        for place in choice.supersede {
            self.supersede(ids[place]);
        }
        if let Some(id) = redriven {
            self.change(id, |event| event.redrive(now));
        }
        choice.decision
    }

    pub(super) fn purge(&mut self, request: &PurgeRequest, now: Duration) -> Purged {
        let mut purged = Purged::default();
        let steps = request.events_max as usize;
        let old = |(id, queued): (&EventId, &QueuedEvent)| {
            queued.event.is_forgettable(request, now).then_some(*id)
        };
        let ids: Vec<EventId> = self.by_id.iter().filter_map(old).take(steps + 1).collect();
        purged.more = ids.len() > steps;
        for id in ids.into_iter().take(steps) {
            self.purge_event(id, request, now, &mut purged);
        }
        self.purge_quarantine(request, now, &mut purged);
        self.ledger.forget_intents(request.keys_after, now);
        purged
    }

    fn purge_event(
        &mut self,
        id: EventId,
        request: &PurgeRequest,
        now: Duration,
        purged: &mut Purged,
    ) {
        let is_forgotten = self.change(id, |event| event.forget(request, now, purged));
        if is_forgotten == Some(true)
            && let Some(forgotten) = self.by_id.remove(&id)
        {
            let task_id = forgotten.event.key.task_id();
            if let Some(siblings) = self.of_task.get_mut(task_id) {
                siblings.retain(|sibling| *sibling != id);
                if siblings.is_empty() {
                    self.of_task.remove(task_id);
                }
            }
        }
    }

    fn purge_quarantine(&mut self, request: &PurgeRequest, now: Duration, purged: &mut Purged) {
        let steps = request.events_max as usize;
        let is_old =
            |stored_at: Duration| now.saturating_sub(stored_at) >= request.quarantined_after;
        let old: Vec<EventId> = self
            .quarantine
            .iter()
            .filter(|(_, entry)| is_old(entry.stored_at))
            .map(|(id, _)| *id)
            .take(steps + 1)
            .collect();
        purged.more |= old.len() > steps;
        for id in old.into_iter().take(steps) {
            if let Some(entry) = self.quarantine.remove(&id) {
                self.quarantined.remove(&entry.strict);
                purged.quarantined += 1;
            }
        }
    }
}

/// The first records, and where the list goes on.
fn page<T, R>(mut found: impl Iterator<Item = T>, max: u32, record: impl Fn(T) -> R) -> Page<R>
where
    R: Numbered,
{
    let records: Vec<R> = found.by_ref().take(max as usize).map(record).collect();
    let next = found.next().and(records.last().map(Numbered::number));
    Page::new(records, next)
}

/// What a list is ordered by.
trait Numbered {
    fn number(&self) -> EventId;
}

impl Numbered for EventRecord {
    fn number(&self) -> EventId {
        self.id
    }
}

impl Numbered for QuarantinedDelivery {
    fn number(&self) -> EventId {
        self.id
    }
}
