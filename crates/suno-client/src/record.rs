//! Requests for a task's record and for the account's credits.

use bytes::Bytes;
use http::Method;
use suno_types::{Credits, TaskId, TaskKind, TaskRecord};

use crate::answer::{self, Effect};
use crate::{Client, ClientError, ErrorKind};

impl Client {
    /// Returns the provider's record of a task that makes songs by the direct route, or `None` if
    /// the provider does not know the task, or not yet (`PROTOCOL.md 4.6`). For other tasks, use
    /// [`record_of`](Self::record_of). To follow a task to its end, use [`wait`](Self::wait).
    ///
    /// A failed task is not an error of this call: see [`TaskRecord::outcome`].
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the provider could not be reached, or did not return a record.
    pub async fn record(&self, task: &TaskId) -> Result<Option<TaskRecord>, ClientError> {
        self.record_of(task, &TaskKind::default()).await
    }

    /// Returns the provider's record of a task of any kind, as [`record`](Self::record) does for
    /// songs (`PROTOCOL.md 1.50`).
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the provider could not be reached, or did not return a record, or if this
    /// version does not know where such a task is polled.
    pub async fn record_of(
        &self,
        task: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, ClientError> {
        self.repeat(|| self.record_once(task, kind)).await
    }

    async fn record_once(
        &self,
        task: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, ClientError> {
        let uri = self.shared.endpoints.record(task, kind)?;
        let request = self.request(Method::GET, uri, Bytes::new());
        let _turn = self.shared.limiter.poll(task).await;
        let answer = self.ask(request, Effect::Reads).await?;
        match answer::read_record(&self.shared, task, kind, &answer)? {
            Some(record) if record.task_id != *task => Err(ClientError::new(
                ErrorKind::UnexpectedAnswer,
                "the answer is the record of another task",
            )
            .with_status(answer.status)),
            record => Ok(record),
        }
    }

    /// Returns the number of credits that the account has left.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the provider could not be reached, or did not return a number.
    pub async fn credits(&self) -> Result<Credits, ClientError> {
        self.repeat(|| self.credits_once()).await
    }

    async fn credits_once(&self) -> Result<Credits, ClientError> {
        let uri = self.shared.endpoints.credits();
        let request = self.request(Method::GET, uri, Bytes::new());
        let answer = self.ask(request, Effect::Reads).await?;
        answer::read(&self.shared, Effect::Reads, &answer)?.ok_or_else(|| {
            let what = "the answer says success but has no number of credits";
            answer::without_data(Effect::Reads, &answer, what)
        })
    }
}
