//! The source of the provider's records.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use suno_types::{TaskId, TaskKind, TaskRecord};

/// Requests the provider's record of a task.
///
/// With the feature `client`, `suno_client::Client` implements it.
///
/// # Contract
///
/// * The answer must come from the provider itself: it overrides every callback.
/// * `None` means that the provider does not know the task, or does not know it yet
///   (`PROTOCOL.md 4.6`).
/// * A failed task is an answer. [`RecordInfoError`] means nothing about the task.
/// * An answer or an error is returned within a minute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be asked for records",
    note = "suno_client::Client implements `RecordInfo` with the feature `client` of suno-callback"
)]
#[async_trait]
pub trait RecordInfo: fmt::Debug + Send + Sync + 'static {
    /// Requests the record of a task once. The kind says where: each product and each route has a
    /// record of its own. It is the recorded one or, if the task was not submitted with the same
    /// store, the one that its callback shows.
    ///
    /// # Errors
    ///
    /// Returns [`RecordInfoError`] if there was no answer. The caller may ask again later.
    async fn record(
        &self,
        task_id: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError>;
}

#[async_trait]
impl<R: RecordInfo + ?Sized> RecordInfo for Arc<R> {
    async fn record(
        &self,
        task_id: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError> {
        (**self).record(task_id, kind).await
    }
}

/// An error: the provider did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the provider could not be asked about the task")]
pub struct RecordInfoError {
    #[source]
    source: Box<dyn Error + Send + Sync>,
    retry_after: Option<Duration>,
}

impl RecordInfoError {
    /// Creates an error with its cause, which must contain neither a key nor a URL.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
            retry_after: None,
        }
    }

    /// Adds how long the provider asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Returns how long the provider asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}
