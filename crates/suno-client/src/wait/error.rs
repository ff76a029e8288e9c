//! How a wait can end without a finished task.

use std::fmt;

use suno_types::{Code, TaskId, TaskRecord, TaskStatus};

use crate::ClientError;

/// How a wait ended without a finished task.
///
/// Only [`Failed`](Self::Failed) says something about the task. After the others it may still
/// finish: wait again with the [`task_id`](Self::task_id).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The task failed. Nothing more will come.
    #[error("the task failed")]
    Failed(#[source] TaskFailure),
    /// The provider could not be asked, too often in a row or for a reason that does not pass.
    #[error("the provider could not be asked about the task, which may still finish")]
    #[non_exhaustive]
    CouldNotAsk {
        /// The task.
        task_id: TaskId,
        /// Why the last poll failed.
        source: ClientError,
    },
    /// The provider does not know the task, for longer than it may take after a submit.
    #[error("the provider does not know the task: check the id and the account")]
    #[non_exhaustive]
    NotVisible {
        /// The task.
        task_id: TaskId,
    },
    /// The task was still running at the deadline.
    #[error("the task had not ended at the deadline")]
    #[non_exhaustive]
    Deadline {
        /// The task.
        task_id: TaskId,
        /// The status that was heard last, if the task was visible.
        last_status: Option<TaskStatus>,
        /// Why the last poll failed, if it did.
        source: Option<ClientError>,
    },
}

impl WaitError {
    /// The task, to wait for it again.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        match self {
            Self::Failed(failure) => &failure.record.task_id,
            Self::CouldNotAsk { task_id, .. }
            | Self::NotVisible { task_id }
            | Self::Deadline { task_id, .. } => task_id,
        }
    }

    /// True if the task itself failed, so that waiting again is of no use.
    #[must_use]
    pub fn is_task_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// How the task failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&TaskFailure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Why the last poll failed, if it did.
    #[must_use]
    pub fn client_error(&self) -> Option<&ClientError> {
        match self {
            Self::CouldNotAsk { source, .. } => Some(source),
            Self::Deadline { source, .. } => source.as_ref(),
            Self::Failed(_) | Self::NotVisible { .. } => None,
        }
    }
}

/// A task that failed, with what the provider said of it.
#[derive(Debug)]
pub struct TaskFailure {
    record: Box<TaskRecord>,
}

impl TaskFailure {
    pub(super) fn new(record: TaskRecord) -> Self {
        Self {
            record: Box::new(record),
        }
    }

    /// The record that says so.
    #[must_use]
    pub fn record(&self) -> &TaskRecord {
        &self.record
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_record(self) -> TaskRecord {
        *self.record
    }

    /// The code of the failure, if there is one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.record.error_code
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.record.status)?;
        match self.record.error_code {
            Some(code) => write!(f, ", code {code}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TaskFailure {}
