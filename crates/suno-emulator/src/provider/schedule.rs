//! The times at which tasks have something to do.

use std::collections::{BTreeSet, HashMap};

/// A queue of tasks by due time. It holds each task at most once; tasks with the same time are
/// ordered by number.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    by_time: BTreeSet<(u64, u64)>,
    by_task: HashMap<u64, u64>,
}

impl Schedule {
    /// Sets the due time of a task, or removes the task.
    pub(super) fn put(&mut self, number: u64, at_ms: Option<u64>) {
        if let Some(was_ms) = self.by_task.remove(&number) {
            self.by_time.remove(&(was_ms, number));
        }
        if let Some(at_ms) = at_ms {
            self.by_task.insert(number, at_ms);
            self.by_time.insert((at_ms, number));
        }
    }

    /// Returns the earliest due time and its task.
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        self.by_time.first().copied()
    }
}
