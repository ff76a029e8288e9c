//! Submits and due tasks: which tasks are expected, and when to ask the provider about them.

use std::time::Duration;

use jiff::Timestamp;
use suno_types::{TaskId, TaskKind};

use crate::key::{Reference, SubmitId};

/// A submit that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intent {
    /// Its id.
    pub submit: SubmitId,
    /// The caller's time, for people.
    pub intended_at: Timestamp,
    /// The delay from now after which its task becomes due, if a callback makes the task known.
    pub due_after: Duration,
    /// The application's name for it.
    pub reference: Option<Reference>,
    /// The kind of its task.
    pub kind: TaskKind,
}

impl Intent {
    /// Creates a submit of a song by the direct route, without a reference, whose task becomes due
    /// after `due_after`.
    #[must_use]
    pub fn new(submit: SubmitId, intended_at: Timestamp, due_after: Duration) -> Self {
        Self {
            submit,
            intended_at,
            due_after,
            reference: None,
            kind: TaskKind::default(),
        }
    }

    /// Sets the application's name for the submit.
    #[must_use]
    pub fn with_reference(mut self, reference: Option<Reference>) -> Self {
        self.reference = reference;
        self
    }

    /// Sets the kind of the submit's task.
    #[must_use]
    pub fn with_kind(mut self, kind: TaskKind) -> Self {
        self.kind = kind;
        self
    }
}

/// What is known of the submit that a delivery names: nothing, unless its intent was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownSubmit {
    /// The application's name for it.
    pub reference: Option<Reference>,
    /// The kind of its task.
    pub kind: Option<TaskKind>,
}

/// An intent whose task is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenIntent {
    /// The store's number of the intent. Numbers increase in the order of recording.
    pub number: u64,
    /// Its id.
    pub submit: SubmitId,
    /// The time at which it was recorded, by the caller's clock.
    pub intended_at: Timestamp,
    /// The time since it was recorded.
    pub open_for: Duration,
    /// The application's name for it.
    pub reference: Option<Reference>,
    /// The kind of its task.
    pub kind: TaskKind,
}

impl OpenIntent {
    /// Creates an intent that has been open for some time. Stores set the other fields.
    #[must_use]
    pub fn new(number: u64, submit: SubmitId, intended_at: Timestamp, open_for: Duration) -> Self {
        Self {
            number,
            submit,
            intended_at,
            open_for,
            reference: None,
            kind: TaskKind::default(),
        }
    }
}

/// A submit that was recorded under a reference, whether or not its task is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedSubmit {
    /// Its id.
    pub submit: SubmitId,
    /// The time at which it was recorded, by the caller's clock.
    pub intended_at: Timestamp,
    /// The kind of its task.
    pub kind: TaskKind,
    /// Its task, once that is known. Until then the submit is an open intent.
    pub task_id: Option<TaskId>,
}

impl RecordedSubmit {
    /// Creates a submit whose task is not known. Stores set the other fields.
    #[must_use]
    pub fn new(submit: SubmitId, intended_at: Timestamp) -> Self {
        Self {
            submit,
            intended_at,
            kind: TaskKind::default(),
            task_id: None,
        }
    }
}

/// A task whose callbacks are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedTask {
    /// The task.
    pub task_id: TaskId,
    /// The submit that created it, if that was recorded.
    pub submit: Option<SubmitId>,
    /// The delay from now after which it becomes due.
    pub due_after: Duration,
    /// Its kind.
    pub kind: TaskKind,
}

impl ExpectedTask {
    /// Creates a task that makes a song by the direct route and becomes due after `due_after`.
    #[must_use]
    pub fn new(task_id: TaskId, due_after: Duration) -> Self {
        Self {
            task_id,
            submit: None,
            due_after,
            kind: TaskKind::default(),
        }
    }

    /// Sets the kind of the task.
    #[must_use]
    pub fn with_kind(mut self, kind: TaskKind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets the submit that created the task.
    #[must_use]
    pub fn with_submit(mut self, submit: SubmitId) -> Self {
        self.submit = Some(submit);
        self
    }
}

/// What is recorded of a task: its submit, and whether its callbacks are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedTask {
    /// The task.
    pub task_id: TaskId,
    /// The submit that created it, if that is known.
    pub submit: Option<SubmitId>,
    /// The time at which the submit was recorded, by the caller's clock.
    pub intended_at: Option<Timestamp>,
    /// The application's name for the submit.
    pub reference: Option<Reference>,
    /// The kind of the task, if anything is recorded of it.
    pub kind: Option<TaskKind>,
    /// What is expected of it. `None` if the task is not expected.
    pub expectation: Option<Expectation>,
}

impl RecordedTask {
    /// Creates a record that contains only the task. Stores set the other fields.
    #[must_use]
    pub fn new(task_id: TaskId) -> Self {
        Self {
            task_id,
            submit: None,
            intended_at: None,
            reference: None,
            kind: None,
            expectation: None,
        }
    }
}

/// What a store knows of an expected task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expectation {
    /// The store's number. Numbers increase in the order in which tasks became expected.
    pub number: u64,
    /// The time for which the callbacks of the task have been expected.
    pub age: Duration,
    /// The number of answers from the provider about it; see [`Postponement`].
    pub answers: u32,
    /// When the provider is asked about it.
    pub poll: PollState,
}

impl Expectation {
    /// Creates what is known of an expected task about which there was no answer yet.
    #[must_use]
    pub fn new(number: u64, age: Duration, poll: PollState) -> Self {
        Self {
            number,
            age,
            answers: 0,
            poll,
        }
    }
}

/// When the provider is asked about an expected task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollState {
    /// The task becomes due.
    Waiting {
        /// The time until then.
        due_in: Duration,
    },
    /// The task is due, or was taken with a lease that has ended.
    Due {
        /// The time since then.
        due_for: Duration,
    },
    /// The task was taken: the provider is being asked about it.
    Asked {
        /// The time until the end of the lease.
        holds_for: Duration,
    },
}

/// A request for due tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueRequest {
    /// The time for which the caller has the tasks alone, at most
    /// [`LEASE_MAX`](super::bounds::LEASE_MAX).
    pub lease: Duration,
    /// The maximum number of tasks.
    pub tasks_max: usize,
}

impl DueRequest {
    /// Requests at most `tasks_max` tasks for `lease`.
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
    /// Whether more tasks may be due now.
    pub more: bool,
    /// The time until the next task becomes due, as far as is known now. `None` if no task is
    /// expected.
    pub next_due: Option<Duration>,
}

/// A task to ask the provider about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueTask {
    /// The proof that it was taken.
    pub ticket: DueTicket,
    /// The time for which its callbacks have been expected.
    pub age: Duration,
    /// The number of answers from the provider about it; see [`Postponement`].
    pub answers: u32,
    /// The submit that created it, if that was recorded.
    pub submit: Option<SubmitId>,
    /// Its kind.
    pub kind: TaskKind,
}

impl DueTask {
    /// Creates a task that was taken with this ticket. Stores set the other fields.
    #[must_use]
    pub fn new(ticket: DueTicket, age: Duration, answers: u32) -> Self {
        Self {
            ticket,
            age,
            answers,
            submit: None,
            kind: TaskKind::default(),
        }
    }
}

/// The proof that a task was taken. The epoch grows each time, so that an earlier ticket is void.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DueTicket {
    /// The task.
    pub task_id: TaskId,
    /// The number of times the task was taken, including this one.
    pub epoch: u32,
}

/// The time at which a task becomes due again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Postponement {
    /// The pause, at most [`POSTPONE_MAX`](super::bounds::POSTPONE_MAX).
    pub after: Duration,
    /// Whether the provider answered, which the store counts.
    pub is_answered: bool,
}

impl Postponement {
    /// Postpones a task because the provider answered that it has not ended.
    #[must_use]
    pub fn answered(after: Duration) -> Self {
        Self {
            after,
            is_answered: true,
        }
    }

    /// Postpones a task because the provider did not answer.
    #[must_use]
    pub fn unanswered(after: Duration) -> Self {
        Self {
            after,
            is_answered: false,
        }
    }
}
