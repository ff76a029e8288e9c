//! Implements [`RecordInfo`](crate::RecordInfo) for the client of `suno_client`.

use async_trait::async_trait;
use suno_client::Client;
use suno_types::{TaskId, TaskKind, TaskRecord};

use super::{RecordInfo, RecordInfoError};

#[async_trait]
impl RecordInfo for Client {
    async fn record(
        &self,
        task_id: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError> {
        self.record_of(task_id, kind).await.map_err(|err| {
            let wait = err.retry_after();
            RecordInfoError::new(err).with_retry_after(wait)
        })
    }
}
