//! The error of a wait that ends without a finished task.

use std::fmt;

use suno_types::{Code, TaskId, TaskRecord, TaskStatus};

use crate::ClientError;

/// The reason why a wait ended without a finished task.
///
/// Only [`Failed`](Self::Failed) is about the task itself. After any other error the task may still
/// finish: wait again with the [`task_id`](Self::task_id).
///
/// ```
/// use suno_client::WaitError;
///
/// fn advice(err: &WaitError) -> String {
///     match err.failure() {
///         Some(failure) => format!("the task failed: {failure}"),
///         None => format!("wait again for {}", err.task_id()),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The task failed. This is final.
    #[error("the task failed")]
    Failed(#[source] TaskFailure),
    /// The provider says that the task succeeded, but its record has had no result for 120 s
    /// (`PROTOCOL.md 7.57`).
    #[error("the provider says that the task succeeded, but no result was found in its record")]
    #[non_exhaustive]
    WithoutResult {
        /// The record as it was last received, with all its members.
        record: Box<TaskRecord>,
    },
    /// The polls failed too often in a row, or for a permanent reason.
    #[error("the provider could not be asked about the task, which may still finish")]
    #[non_exhaustive]
    CouldNotAsk {
        /// The task that was waited for.
        task_id: TaskId,
        /// The error of the last poll.
        source: ClientError,
    },
    /// The provider did not know the task for longer than
    /// [`with_visible_within`](crate::Wait::with_visible_within) allows.
    #[error("the provider does not know the task: check the id and the account")]
    #[non_exhaustive]
    NotVisible {
        /// The task that was waited for.
        task_id: TaskId,
    },
    /// The task was still running at the deadline.
    #[error("the task had not ended at the deadline")]
    #[non_exhaustive]
    Deadline {
        /// The task that was waited for.
        task_id: TaskId,
        /// The last status that was received, if the task was visible.
        last_status: Option<TaskStatus>,
        /// The error of the last poll, if it failed.
        source: Option<ClientError>,
    },
}

impl WaitError {
    /// The task that was waited for.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        match self {
            Self::Failed(failure) => &failure.record.task_id,
            Self::WithoutResult { record } => &record.task_id,
            Self::CouldNotAsk { task_id, .. }
            | Self::NotVisible { task_id }
            | Self::Deadline { task_id, .. } => task_id,
        }
    }

    /// Returns whether the task itself failed, so that another wait is useless.
    #[must_use]
    pub fn is_task_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// The failure of the task, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&TaskFailure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The error of the last poll, if it failed.
    #[must_use]
    pub fn client_error(&self) -> Option<&ClientError> {
        match self {
            Self::CouldNotAsk { source, .. } => Some(source),
            Self::Deadline { source, .. } => source.as_ref(),
            Self::Failed(_) | Self::WithoutResult { .. } | Self::NotVisible { .. } => None,
        }
    }
}

/// A failed task, with the record that says so.
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

    /// The record of the failed task.
    #[must_use]
    pub fn record(&self) -> &TaskRecord {
        &self.record
    }

    /// Returns the record of the failed task.
    #[must_use]
    pub fn into_record(self) -> TaskRecord {
        *self.record
    }

    /// The code of the failure, if the provider sent one.
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
