//! Submits and due tasks: which tasks are expected, and when to ask about them.

use std::time::Duration;

use jiff::Timestamp;
use suno_types::TaskId;

use crate::key::SubmitId;

/// A submit that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intent {
    /// Its name.
    pub submit: SubmitId,
    /// The caller's time, for people.
    pub intended_at: Timestamp,
    /// How long after now its task is due, if a callback makes the task known.
    pub due_after: Duration,
}

impl Intent {
    /// A submit whose task is due `due_after` later.
    #[must_use]
    pub fn new(submit: SubmitId, intended_at: Timestamp, due_after: Duration) -> Self {
        Self {
            submit,
            intended_at,
            due_after,
        }
    }
}

/// An intent whose task is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenIntent {
    /// The store's number of the intent. Numbers grow in the order of recording.
    pub number: u64,
    /// Its name.
    pub submit: SubmitId,
    /// When it was recorded, by the caller's time.
    pub intended_at: Timestamp,
    /// How long it has been open.
    pub open_for: Duration,
}

impl OpenIntent {
    /// An intent that has been open for some time.
    #[must_use]
    pub fn new(number: u64, submit: SubmitId, intended_at: Timestamp, open_for: Duration) -> Self {
        Self {
            number,
            submit,
            intended_at,
            open_for,
        }
    }
}

/// A task whose callbacks are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedTask {
    /// The task.
    pub task_id: TaskId,
    /// The submit that made it, if that was recorded.
    pub submit: Option<SubmitId>,
    /// How long after now it is due.
    pub due_after: Duration,
}

impl ExpectedTask {
    /// A task that is due `due_after` later.
    #[must_use]
    pub fn new(task_id: TaskId, due_after: Duration) -> Self {
        Self {
            task_id,
            submit: None,
            due_after,
        }
    }

    /// The same with the submit that made it.
    #[must_use]
    pub fn with_submit(mut self, submit: SubmitId) -> Self {
        self.submit = Some(submit);
        self
    }
}

/// Which due tasks to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueRequest {
    /// How long they are left to the caller, at most [`LEASE_MAX`](super::bounds::LEASE_MAX).
    pub lease: Duration,
    /// How many at most.
    pub tasks_max: usize,
}

impl DueRequest {
    /// Takes at most `tasks_max` tasks for `lease`.
    #[must_use]
    pub fn new(lease: Duration, tasks_max: usize) -> Self {
        Self { lease, tasks_max }
    }
}

/// The answer to a [`DueRequest`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DueTasks {
    /// The tasks that were taken.
    pub tasks: Vec<DueTask>,
    /// True if more may be due now.
    pub more: bool,
    /// After what time the next task is due, as far as is known now. `None` if none is expected.
    pub next_due: Option<Duration>,
}

/// A task about which the provider is to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueTask {
    /// The proof that it was taken.
    pub ticket: DueTicket,
    /// How long its callbacks have been expected.
    pub age: Duration,
    /// How often the provider has answered about it, as [`Postponement`] says.
    pub answers: u32,
}

impl DueTask {
    /// A task that was taken.
    #[must_use]
    pub fn new(ticket: DueTicket, age: Duration, answers: u32) -> Self {
        Self {
            ticket,
            age,
            answers,
        }
    }
}

/// The proof that a task was taken. The epoch grows each time, so that an earlier ticket is void.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueTicket {
    /// The task.
    pub task_id: TaskId,
    /// How often the task was taken, this time included.
    pub epoch: u32,
}

/// When a task is due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Postponement {
    /// After what pause, at most [`POSTPONE_MAX`](super::bounds::POSTPONE_MAX).
    pub after: Duration,
    /// True if the provider has answered, which the store counts.
    pub is_answered: bool,
}

impl Postponement {
    /// Due again after a pause, because the provider answered that the task has not ended.
    #[must_use]
    pub fn answered(after: Duration) -> Self {
        Self {
            after,
            is_answered: true,
        }
    }

    /// Due again after a pause, because the provider could not be asked.
    #[must_use]
    pub fn unanswered(after: Duration) -> Self {
        Self {
            after,
            is_answered: false,
        }
    }
}
