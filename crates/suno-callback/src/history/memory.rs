//! A history in memory: for tests, and for processes whose store is in memory as well.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use suno_types::TaskId;

use super::{
    ENTRIES_OF_TASK_MAX, History, HistoryEntry, HistoryKind, POLLS_OF_TASK_MAX, PURGED_MAX,
};
use crate::store::StoreError;

/// A history in memory, of a bounded number of tasks. The task that is known for longest is forgotten
/// first.
#[derive(Default)]
pub struct MemoryHistory {
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    entries: HashMap<TaskId, VecDeque<HistoryEntry>>,
    /// In the order of their first entries. A task that was purged may still be here.
    order: VecDeque<TaskId>,
}

impl MemoryHistory {
    /// The maximum number of tasks.
    pub const TASKS_MAX: usize = 4_096;

    /// Creates an empty history.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Tasks> {
        // No operation leaves the state inconsistent when something panics.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tasks {
    fn record(&mut self, entry: HistoryEntry) {
        if !self.entries.contains_key(&entry.task_id) {
            while self.order.len() >= MemoryHistory::TASKS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
            self.order.push_back(entry.task_id.clone());
        }
        let entries = self.entries.entry(entry.task_id.clone()).or_default();
        entries.push_back(entry);
        let is_poll = |entry: &HistoryEntry| entry.kind == HistoryKind::POLL;
        if entries.iter().filter(|entry| is_poll(entry)).count() > POLLS_OF_TASK_MAX
            && let Some(oldest) = entries.iter().position(is_poll)
        {
            entries.remove(oldest);
        }
        if entries.len() > ENTRIES_OF_TASK_MAX {
            entries.pop_front();
        }
    }

    fn purge(&mut self, before: Timestamp) -> u64 {
        let mut purged = 0;
        self.order.retain(|task_id| {
            let Some(entries) = self.entries.get_mut(task_id) else {
                return false;
            };
            entries.retain(|entry| {
                let is_purged = entry.at < before && purged < u64::from(PURGED_MAX);
                purged += u64::from(is_purged);
                !is_purged
            });
            !entries.is_empty()
        });
        self.entries.retain(|_, entries| !entries.is_empty());
        purged
    }
}

/// Leaves out the entries.
impl fmt::Debug for MemoryHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryHistory").finish_non_exhaustive()
    }
}

#[async_trait]
impl History for MemoryHistory {
    async fn record(&self, entries: &[HistoryEntry]) -> Result<(), StoreError> {
        let mut tasks = self.lock();
        entries.iter().for_each(|entry| tasks.record(entry.clone()));
        Ok(())
    }

    async fn of_task(&self, task_id: &TaskId) -> Result<Vec<HistoryEntry>, StoreError> {
        let tasks = self.lock();
        let entries = tasks.entries.get(task_id).into_iter().flatten();
        Ok(entries.cloned().collect())
    }

    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.lock().purge(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_number_of_tasks_is_bounded() {
        let history = MemoryHistory::new();
        let id = |number: usize| TaskId::new(number.to_string()).unwrap();
        for number in 0..=MemoryHistory::TASKS_MAX {
            let at = Timestamp::UNIX_EPOCH;
            let entry = HistoryEntry::new(id(number), HistoryKind::REPLAY, at);
            history.record(&[entry]).await.unwrap();
        }
        assert!(history.of_task(&id(0)).await.unwrap().is_empty());
        assert_eq!(history.of_task(&id(1)).await.unwrap().len(), 1);
        assert_eq!(history.lock().order.len(), MemoryHistory::TASKS_MAX);
    }

    #[cfg(feature = "conformance")]
    #[tokio::test]
    async fn it_keeps_the_contract() {
        crate::conformance::check_history(&MemoryHistory::new())
            .await
            .unwrap();
    }
}
