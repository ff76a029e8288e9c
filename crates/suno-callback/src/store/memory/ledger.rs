//! Submits and due tasks in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use suno_types::TaskId;

use super::events::Events;
use crate::delivery::Delivery;
use crate::store::bounds::{LEASE_MAX, POSTPONE_MAX};
use crate::store::rules::is_decided;
use crate::store::{
    DueRequest, DueTask, DueTasks, DueTicket, ExpectedTask, Intent, OpenIntent, Postponement,
    SubmitId,
};

/// How many tasks are looked at for one request.
const LOOKED_AT_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// In the order of recording.
    intents: BTreeMap<u64, StoredIntent>,
    numbers: BTreeMap<SubmitId, u64>,
    last_number: u64,
    tasks: BTreeMap<TaskId, Task>,
    /// The tasks in the order in which they are due.
    queue: BTreeSet<(Duration, TaskId)>,
    /// The epoch of the latest ticket of any task, so that no ticket outlives a task that is forgotten.
    last_epoch: u32,
}

#[derive(Debug)]
struct StoredIntent {
    submit: SubmitId,
    intended_at: Timestamp,
    stored_at: Duration,
    due_after: Duration,
}

#[derive(Debug)]
struct Task {
    expected_since: Duration,
    due: Duration,
    epoch: u32,
    answers: u32,
}

impl Ledger {
    pub(super) fn intend(&mut self, intent: &Intent, now: Duration) {
        self.withdraw(intent.submit);
        self.last_number += 1;
        self.numbers.insert(intent.submit, self.last_number);
        let stored = StoredIntent {
            submit: intent.submit,
            intended_at: intent.intended_at,
            stored_at: now,
            due_after: intent.due_after.min(POSTPONE_MAX),
        };
        self.intents.insert(self.last_number, stored);
    }

    pub(super) fn withdraw(&mut self, submit: SubmitId) {
        self.close(submit);
    }

    fn close(&mut self, submit: SubmitId) -> Option<StoredIntent> {
        let number = self.numbers.remove(&submit)?;
        self.intents.remove(&number)
    }

    pub(super) fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
        now: Duration,
    ) -> Vec<OpenIntent> {
        self.intents
            .range(after.map_or(0, |after| after.saturating_add(1))..)
            .map(|(number, intent)| {
                let open_for = now.saturating_sub(intent.stored_at);
                OpenIntent::new(*number, intent.submit, intent.intended_at, open_for)
            })
            .filter(|intent| intent.open_for >= open_for)
            .take(intents_max as usize)
            .collect()
    }

    pub(super) fn forget_intents(&mut self, older_than: Duration, now: Duration) {
        let is_old = |intent: &StoredIntent| now.saturating_sub(intent.stored_at) >= older_than;
        self.intents.retain(|_, intent| !is_old(intent));
        self.numbers
            .retain(|_, number| self.intents.contains_key(number));
    }

    /// Closes the intent that a delivery names, and expects its task.
    pub(super) fn meet(&mut self, delivery: &Delivery, now: Duration) {
        if let (Some(submit), Some(task_id)) = (delivery.submit, delivery.task_id())
            && let Some(intent) = self.close(submit)
        {
            let due = intent.stored_at + intent.due_after;
            self.add(task_id, intent.stored_at, due.max(now));
        }
    }

    pub(super) fn expect(&mut self, task: &ExpectedTask, now: Duration) {
        if let Some(submit) = task.submit {
            self.close(submit);
        }
        self.add(&task.task_id, now, now + task.due_after.min(POSTPONE_MAX));
    }

    fn add(&mut self, task_id: &TaskId, expected_since: Duration, due: Duration) {
        if self.tasks.contains_key(task_id) {
            return;
        }
        let task = Task {
            expected_since,
            due,
            epoch: 0,
            answers: 0,
        };
        self.tasks.insert(task_id.clone(), task);
        self.queue.insert((due, task_id.clone()));
    }

    fn remove(&mut self, task_id: &TaskId) {
        if let Some(task) = self.tasks.remove(task_id) {
            self.queue.remove(&(task.due, task_id.clone()));
        }
    }

    fn set_due(&mut self, task_id: &TaskId, due: Duration) -> Option<&mut Task> {
        let task = self.tasks.get_mut(task_id)?;
        self.queue.remove(&(task.due, task_id.clone()));
        task.due = due;
        self.queue.insert((due, task_id.clone()));
        Some(task)
    }

    fn holds(&self, ticket: &DueTicket) -> bool {
        let task = self.tasks.get(&ticket.task_id);
        task.is_some_and(|task| task.epoch == ticket.epoch && ticket.epoch > 0)
    }

    pub(super) fn postpone(
        &mut self,
        ticket: &DueTicket,
        postponement: Postponement,
        now: Duration,
    ) -> bool {
        if !self.holds(ticket) {
            return false;
        }
        let due = now + postponement.after.min(POSTPONE_MAX);
        if let Some(task) = self.set_due(&ticket.task_id, due) {
            task.answers += u32::from(postponement.is_answered);
        }
        true
    }

    pub(super) fn finish(&mut self, ticket: &DueTicket) -> bool {
        let holds = self.holds(ticket);
        if holds {
            self.remove(&ticket.task_id);
        }
        holds
    }
}

impl Events {
    pub(super) fn due(&mut self, request: &DueRequest, now: Duration) -> DueTasks {
        let mut due = DueTasks::default();
        for _ in 0..LOOKED_AT_MAX {
            let Some((first, task_id)) = self.ledger.queue.first().cloned() else {
                return due;
            };
            if first > now {
                due.next_due = Some(first - now);
                return due;
            }
            if due.tasks.len() >= request.tasks_max {
                due.more = true;
                return due;
            }
            if is_decided(&self.siblings(&task_id, now).1) {
                self.ledger.remove(&task_id);
                continue;
            }
            let until = now + request.lease.min(LEASE_MAX).max(Duration::from_nanos(1));
            self.ledger.last_epoch += 1;
            let epoch = self.ledger.last_epoch;
            if let Some(task) = self.ledger.set_due(&task_id, until) {
                task.epoch = epoch;
                let age = now.saturating_sub(task.expected_since);
                let answers = task.answers;
                let ticket = DueTicket { task_id, epoch };
                due.tasks.push(DueTask::new(ticket, age, answers));
            }
        }
        due.more = true;
        due
    }
}
