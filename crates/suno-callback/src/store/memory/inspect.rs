//! Inspecting, redriving and purging in memory.

use std::time::Duration;

use suno_types::{Stage, TaskId};

use super::events::Events;
use crate::delivery::Delivery;
use crate::key::EventId;
use crate::store::rules::PurgeStep;
use crate::store::{
    Acceptance, ConflictRecord, Counts, Decision, DueRequest, DueTasks, EventRecord, ListRequest,
    Page, PurgeReport, PurgeRequest, Redrive, RedriveResult,
};

impl Events {
    pub(super) fn find(&self, task_id: &TaskId, now: Duration) -> Vec<EventRecord> {
        let events = self.tasks.get(task_id.as_str()).map(|task| &task.events);
        let events = events.into_iter().flatten();
        events.map(|event| event.record_with_body(now)).collect()
    }

    pub(super) fn conflicts(&self, id: EventId) -> Vec<ConflictRecord> {
        let task = self.task_of(id).and_then(|task_id| self.tasks.get(task_id));
        let events = task.into_iter().flat_map(|task| &task.events);
        let conflicts = events
            .filter(|event| event.id == id)
            .flat_map(|event| &event.conflicts);
        conflicts.map(|conflict| conflict.record.clone()).collect()
    }

    pub(super) fn list(&self, request: &ListRequest, now: Duration) -> Page<EventRecord> {
        let matching = self.after(request.after).filter(|event| {
            let (state, stage) = (event.state.at(now), event.key.stage());
            request.filter.contains(state, stage, event.received_at)
        });
        let records = matching.map(|event| event.record(now));
        Page::first_of(records, request.events_max, |event| event.id)
    }

    pub(super) fn counts(&self, now: Duration) -> Counts {
        let mut counts = Counts::default();
        for event in self.tasks.values().flat_map(|task| &task.events) {
            *counts.of(event.state.at(now).into()) += 1;
        }
        counts.quarantined = self.quarantine.count();
        counts.dropped = self.dropped;
        self.ledger.count(&mut counts, now);
        counts
    }

    pub(super) fn redrive(
        &mut self,
        id: EventId,
        redrive: Redrive,
        now: Duration,
    ) -> RedriveResult {
        self.change_of(id, |task| task.redrive(id, redrive, now))
            .unwrap_or(RedriveResult::Gone)
    }

    pub(super) fn requeue(
        &mut self,
        entry: EventId,
        delivery: &Delivery,
        now: Duration,
    ) -> Option<Acceptance> {
        let is_there = self.quarantine.take(entry);
        is_there.then(|| self.accept(delivery, now))
    }

    pub(super) fn decide(&mut self, task_id: &TaskId, stage: &Stage, now: Duration) -> Decision {
        self.change(task_id.as_str(), |task| task.decide(stage, now))
            .unwrap_or(Decision::Gone)
    }

    pub(super) fn purge(&mut self, request: &PurgeRequest, now: Duration) -> PurgeReport {
        let mut step = PurgeStep::new(request, now);
        // The oldest first. Purged events are settled, and settled events are not in the queue.
        self.numbered.retain(|(id, task_id)| {
            let Some(task) = self.tasks.get_mut(task_id) else {
                return false;
            };
            task.purge(&mut step);
            task.events.iter().any(|event| event.id == *id)
        });
        self.tasks.retain(|_, task| !task.events.is_empty());
        self.quarantine.purge(&mut step);
        self.ledger.purge(&step);
        step.purged()
    }

    pub(super) fn due(&mut self, request: &DueRequest, now: Duration) -> DueTasks {
        let tasks = &self.tasks;
        self.ledger.due(request, now, |task_id| {
            let task = tasks.get(task_id.as_str());
            task.is_some_and(|task| task.is_decided(now))
        })
    }
}
