//! Implements [`RecordInfo`](crate::RecordInfo) for the client of `suno_client`.

use async_trait::async_trait;
use suno_client::Client;
use suno_types::{TaskId, TaskKind, TaskRecord};

use super::{RecordInfo, RecordInfoError};

#[async_trait]
impl RecordInfo for Client {
    // This client reads the records of songs that were submitted by the direct route.
    async fn record(
        &self,
        task_id: &TaskId,
        _kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError> {
        Self::record(self, task_id).await.map_err(|err| {
            let wait = err.retry_after();
            RecordInfoError::new(err).with_retry_after(wait)
        })
    }
}
