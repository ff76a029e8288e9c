//! Asking the provider about a task.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use suno_types::{TaskId, TaskRecord};

/// Asks the provider about a task.
///
/// With the feature `client`, `suno_client::Client` does.
///
/// # Contract
///
/// * The answer comes from the provider itself: it is believed over every callback.
/// * `None` means that the provider does not know the task, or not yet (`PROTOCOL.md 4.6`).
/// * A failed task is an answer; [`CouldNotAsk`] says nothing of the task.
/// * An answer or an error comes within a minute.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be asked for records",
    note = "suno_client::Client implements `RecordInfo` with the feature `client` of suno-callback"
)]
#[async_trait]
pub trait RecordInfo: fmt::Debug + Send + Sync + 'static {
    /// Asks once how a task stands.
    ///
    /// # Errors
    ///
    /// [`CouldNotAsk`] if there was no answer.
    async fn record(&self, task_id: &TaskId) -> Result<Option<TaskRecord>, CouldNotAsk>;
}

#[async_trait]
impl<R: RecordInfo + ?Sized> RecordInfo for Arc<R> {
    async fn record(&self, task_id: &TaskId) -> Result<Option<TaskRecord>, CouldNotAsk> {
        (**self).record(task_id).await
    }
}

/// The provider could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the provider could not be asked about the task")]
pub struct CouldNotAsk {
    #[source]
    source: Box<dyn Error + Send + Sync>,
    retry_after: Option<Duration>,
}

impl CouldNotAsk {
    /// An error with what caused it, which must hold neither a key nor a URL.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            source: source.into(),
            retry_after: None,
        }
    }

    /// The same with how long the provider asked to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// How long the provider asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}
