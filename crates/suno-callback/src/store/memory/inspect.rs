//! Inspecting, redriving and purging in memory.

use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use suno_types::{Stage, TaskId};

use super::events::{Events, State, StoredEvent};
use crate::delivery::Delivery;
use crate::store::{
    Accepted, Counts, Decision, EventId, EventRecord, EventState, ListRequest, Page, PurgeRequest,
    Purged, QuarantinedDelivery, Redrive, Redriven,
};

impl Events {
    pub(super) fn find(&self, task_id: &TaskId, now: Duration) -> Vec<EventRecord> {
        let ids = self.of_task.get(task_id).into_iter().flatten();
        ids.filter_map(|id| {
            let event = self.by_id.get(id)?;
            let mut record = event.record(*id, now);
            record.raw.clone_from(&event.raw);
            Some(record)
        })
        .collect()
    }

    pub(super) fn list(&self, request: &ListRequest, now: Duration) -> Page<EventRecord> {
        let after = request.after.map_or(Unbounded, Excluded);
        let matching = self.by_id.range((after, Unbounded)).filter(|(_, event)| {
            let (state, stage) = (event.state.at(now), event.key.stage());
            request.filter.contains(state, stage, event.received_at)
        });
        page(matching, request.events_max, |(id, event)| {
            event.record(*id, now)
        })
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
        for event in self.by_id.values() {
            *counts.of(event.state.at(now).into()) += 1;
        }
        counts.quarantined = self.quarantine.len() as u64;
        counts.dropped = self.dropped;
        counts
    }

    pub(super) fn redrive(&mut self, id: EventId, redrive: Redrive, now: Duration) -> Redriven {
        let Some(event) = self.by_id.get(&id).filter(|event| event.raw.is_some()) else {
            return Redriven::Gone;
        };
        if !event.state.at(now).is_settled() {
            return Redriven::NotSettled;
        }
        let key = event.key.clone();
        let siblings = self.siblings(key.task_id(), now);
        let is_superseded = siblings.iter().any(|(_, sibling)| {
            sibling.state == EventState::Done && sibling.stage.supersedes(key.stage())
        });
        if is_superseded && redrive == Redrive::Current {
            return Redriven::Superseded;
        }
        self.reopen(id, now);
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
        let siblings = self.siblings(task_id, now);
        let decided = siblings
            .iter()
            .find(|(_, sibling)| sibling.stage == *stage)
            .map(|(id, sibling)| (*id, sibling.state));
        let Some((id, state)) = decided else {
            return Decision::Gone;
        };
        let is_purged = self.by_id.get(&id).is_none_or(|event| event.raw.is_none());
        if !stage.is_terminal() {
            return Decision::Unchanged;
        }
        if is_purged && state == EventState::Superseded {
            return Decision::Gone;
        }
        for (other, sibling) in siblings {
            let waits = matches!(
                sibling.state,
                EventState::Ready | EventState::Waiting { .. }
            );
            if other != id && sibling.stage.is_terminal() && waits {
                self.set_state(other, State::Superseded);
            }
        }
        if state != EventState::Superseded {
            return Decision::Unchanged;
        }
        self.reopen(id, now);
        Decision::Ready
    }

    pub(super) fn purge(&mut self, request: &PurgeRequest, now: Duration) -> Purged {
        let mut purged = Purged::default();
        let steps = request.events_max as usize;
        let old = |(id, event): (&EventId, &StoredEvent)| {
            event.is_forgettable(request, now).then_some(*id)
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
        let Some(event) = self.by_id.get_mut(&id) else {
            return;
        };
        let age = now.saturating_sub(event.stored_at);
        purged.bodies += event.forget_bodies();
        if event.state == State::Dead {
            purged.dead += 1;
        } else if age >= request.keys_after {
            purged.keys += 1;
        } else {
            return;
        }
        let task_id = event.key.task_id().clone();
        self.by_id.remove(&id);
        if let Some(siblings) = self.of_task.get_mut(&task_id) {
            siblings.retain(|sibling| *sibling != id);
            if siblings.is_empty() {
                self.of_task.remove(&task_id);
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

impl StoredEvent {
    fn is_forgettable(&self, request: &PurgeRequest, now: Duration) -> bool {
        let age = now.saturating_sub(self.stored_at);
        match self.state {
            State::Done | State::Superseded => {
                age >= request.keys_after || (age >= request.bodies_after && self.bodies() > 0)
            }
            State::Dead => age >= request.dead_after,
            _ => false,
        }
    }

    /// How many bodies are kept: of the event and of its conflicts.
    fn bodies(&self) -> u64 {
        let conflicts = self.conflicts.iter().map(|conflict| &conflict.raw);
        conflicts.chain([&self.raw]).flatten().count() as u64
    }

    fn forget_bodies(&mut self) -> u64 {
        let bodies = self.bodies();
        self.raw = None;
        for conflict in &mut self.conflicts {
            conflict.raw = None;
        }
        bodies
    }

    fn record(&self, id: EventId, now: Duration) -> EventRecord {
        let mut record = EventRecord::new(id, self.key.clone(), self.code, self.received_at);
        record.state = self.state.at(now);
        record.attempts = self.attempts;
        record.lapses = self.lapses;
        record.reason.clone_from(&self.reason);
        record.dead_cause = self.dead_cause;
        record.source = self.source;
        record.verified_by = self.verified_by;
        record.unconfirmed = self.unconfirmed;
        record.conflicts = u32::try_from(self.conflicts.len()).unwrap_or(u32::MAX);
        record
    }
}
