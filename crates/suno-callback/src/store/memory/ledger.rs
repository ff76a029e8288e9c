//! Submits and due tasks in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use suno_types::TaskId;

use super::events::Events;
use crate::delivery::Delivery;
use crate::store::rules::{StoredIntent, StoredTask, is_decided};
use crate::store::{
    DueRequest, DueTasks, DueTicket, ExpectedTask, Intent, OpenIntent, Postponement, SubmitId,
};

/// How many tasks are looked at for one request.
const LOOKED_AT_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// In the order of recording.
    intents: BTreeMap<u64, StoredIntent>,
    numbers: BTreeMap<SubmitId, u64>,
    last_number: u64,
    tasks: BTreeMap<TaskId, StoredTask>,
    /// The tasks in the order in which they are due.
    queue: BTreeSet<(Duration, TaskId)>,
    /// The epoch of the latest ticket of any task, so that no ticket outlives a task that is forgotten.
    last_epoch: u32,
}

impl Ledger {
    pub(super) fn intend(&mut self, intent: &Intent, now: Duration) {
        self.withdraw(intent.submit);
        self.last_number += 1;
        self.numbers.insert(intent.submit, self.last_number);
        let stored = StoredIntent::new(self.last_number, intent, now);
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
            .map(|(_, intent)| intent.open(now))
            .filter(|intent| intent.open_for >= open_for)
            .take(intents_max as usize)
            .collect()
    }

    pub(super) fn forget_intents(&mut self, older_than: Duration, now: Duration) {
        self.intents
            .retain(|_, intent| intent.open(now).open_for < older_than);
        self.numbers
            .retain(|_, number| self.intents.contains_key(number));
    }

    /// Closes the intent that a delivery names, and expects its task.
    pub(super) fn meet(&mut self, delivery: &Delivery) {
        if let (Some(submit), Some(task_id)) = (delivery.submit, delivery.task_id())
            && let Some(intent) = self.close(submit)
        {
            self.add(intent.into_task(task_id));
        }
    }

    pub(super) fn expect(&mut self, task: &ExpectedTask, now: Duration) {
        if let Some(submit) = task.submit {
            self.close(submit);
        }
        self.add(StoredTask::new(task, now));
    }

    fn add(&mut self, task: StoredTask) {
        if !self.tasks.contains_key(&task.task_id) {
            self.queue.insert((task.due_at, task.task_id.clone()));
            self.tasks.insert(task.task_id.clone(), task);
        }
    }

    fn remove(&mut self, task_id: &TaskId) {
        if let Some(task) = self.tasks.remove(task_id) {
            self.queue.remove(&(task.due_at, task.task_id));
        }
    }

    /// Changes a task, and its place in the queue. `None` if it is not expected.
    fn change<T>(
        &mut self,
        task_id: &TaskId,
        change: impl FnOnce(&mut StoredTask) -> T,
    ) -> Option<T> {
        let task = self.tasks.get_mut(task_id)?;
        self.queue.remove(&(task.due_at, task_id.clone()));
        let changed = change(task);
        self.queue.insert((task.due_at, task_id.clone()));
        Some(changed)
    }

    pub(super) fn postpone(
        &mut self,
        ticket: &DueTicket,
        postponement: Postponement,
        now: Duration,
    ) -> bool {
        let postpone = |task: &mut StoredTask| task.postpone(ticket, postponement, now);
        self.change(&ticket.task_id, postpone).unwrap_or(false)
    }

    pub(super) fn finish(&mut self, ticket: &DueTicket) -> bool {
        let task = self.tasks.get(&ticket.task_id);
        let is_held = task.is_some_and(|task| task.is_held_by(ticket));
        if is_held {
            self.remove(&ticket.task_id);
        }
        is_held
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
            self.ledger.last_epoch += 1;
            let epoch = self.ledger.last_epoch;
            let take = |task: &mut StoredTask| task.take(epoch, request.lease, now);
            due.tasks.extend(self.ledger.change(&task_id, take));
        }
        due.more = true;
        due
    }
}
