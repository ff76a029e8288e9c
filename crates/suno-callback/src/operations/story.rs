//! What is known of a task, for people.

use suno_types::TaskId;

use crate::history::{History, HistoryEntry};
use crate::store::{ConflictRecord, EventRecord, IdempotencyStore, StoreError};

/// Everything that a store and a history know of a task.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Story {
    /// The task.
    pub task_id: TaskId,
    /// Its events in the order of their arrival, with their bodies and conflicts.
    pub events: Vec<(EventRecord, Vec<ConflictRecord>)>,
    /// What happened, oldest first.
    pub history: Vec<HistoryEntry>,
}

impl Story {
    /// Reads the story of a task. It has no events if the task is unknown.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store or the history cannot be read.
    pub async fn of_task(
        store: &dyn IdempotencyStore,
        history: &dyn History,
        task_id: &TaskId,
    ) -> Result<Self, StoreError> {
        let mut events = Vec::new();
        for event in store.find(task_id).await? {
            let conflicts = match event.conflicts {
                0 => Vec::new(),
                _ => store.conflicts(event.id).await?,
            };
            events.push((event, conflicts));
        }
        Ok(Self {
            task_id: task_id.clone(),
            events,
            history: history.of_task(task_id).await?,
        })
    }
}
