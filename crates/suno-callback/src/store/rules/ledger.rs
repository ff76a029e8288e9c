//! Intents and expected tasks as plain data.

use std::time::Duration;

use jiff::Timestamp;
use suno_types::TaskId;

use crate::store::bounds::{LEASE_MAX, POSTPONE_MAX};
use crate::store::{DueTask, DueTicket, ExpectedTask, Intent, OpenIntent, Postponement, SubmitId};

/// So that no lease ends at the moment at which it begins.
const LEASE_MIN: Duration = Duration::from_nanos(1);

/// An open intent.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredIntent {
    /// The store's number of the intent.
    pub number: u64,
    /// The name of the submit.
    pub submit: SubmitId,
    /// When it was recorded, by the caller's time.
    pub intended_at: Timestamp,
    /// The moment at which it was stored.
    pub stored_at: Duration,
    /// How long after that its task is due.
    pub due_after: Duration,
}

impl StoredIntent {
    /// An intent that is recorded now.
    #[must_use]
    pub fn new(number: u64, intent: &Intent, now: Duration) -> Self {
        Self {
            number,
            submit: intent.submit,
            intended_at: intent.intended_at,
            stored_at: now,
            due_after: intent.due_after.min(POSTPONE_MAX),
        }
    }

    /// The intent for lists.
    #[must_use]
    pub fn open(&self, now: Duration) -> OpenIntent {
        let open_for = now.saturating_sub(self.stored_at);
        OpenIntent::new(self.number, self.submit, self.intended_at, open_for)
    }

    /// The task that a delivery has named (A12).
    #[must_use]
    pub fn into_task(self, task_id: &TaskId) -> StoredTask {
        StoredTask {
            task_id: task_id.clone(),
            expected_since: self.stored_at,
            due_at: self.stored_at + self.due_after,
            answers: 0,
            epoch: 0,
        }
    }
}

/// A task whose callbacks are expected.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoredTask {
    /// The task.
    pub task_id: TaskId,
    /// The moment since which it is expected.
    pub expected_since: Duration,
    /// The moment at which it is due: what requests for due tasks are ordered by (L3).
    pub due_at: Duration,
    /// How often the provider has answered about it.
    pub answers: u32,
    /// The epoch of the latest ticket; zero before the first.
    pub epoch: u32,
}

impl StoredTask {
    /// A task that is expected from now on.
    #[must_use]
    pub fn new(task: &ExpectedTask, now: Duration) -> Self {
        Self {
            task_id: task.task_id.clone(),
            expected_since: now,
            due_at: now + task.due_after.min(POSTPONE_MAX),
            answers: 0,
            epoch: 0,
        }
    }

    /// Takes the task. The epoch must be greater than that of any ticket of the task, also of those
    /// from before it was forgotten (L6).
    pub fn take(&mut self, epoch: u32, lease: Duration, now: Duration) -> DueTask {
        self.epoch = epoch;
        self.due_at = now + lease.clamp(LEASE_MIN, LEASE_MAX);
        let task_id = self.task_id.clone();
        let age = now.saturating_sub(self.expected_since);
        DueTask::new(DueTicket { task_id, epoch }, age, self.answers)
    }

    /// True if this is the ticket of the latest lease.
    #[must_use]
    pub fn is_held_by(&self, ticket: &DueTicket) -> bool {
        self.task_id == ticket.task_id && self.epoch == ticket.epoch && self.epoch > 0
    }

    /// Makes the task due again after a pause. False if the ticket is lost.
    pub fn postpone(
        &mut self,
        ticket: &DueTicket,
        postponement: Postponement,
        now: Duration,
    ) -> bool {
        let is_held = self.is_held_by(ticket);
        if is_held {
            self.due_at = now + postponement.after.min(POSTPONE_MAX);
            self.answers += u32::from(postponement.is_answered);
        }
        is_held
    }
}
