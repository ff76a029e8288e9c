//! Which task needs attention when.

use std::collections::{BTreeSet, HashMap};

/// Each task stands here at most once. Tasks of the same time come in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    by_time: BTreeSet<(u64, u64)>,
    by_task: HashMap<u64, u64>,
}

impl Schedule {
    /// Puts a task where it belongs, or takes it out.
    pub(super) fn put(&mut self, number: u64, at_ms: Option<u64>) {
        if let Some(was_ms) = self.by_task.remove(&number) {
            self.by_time.remove(&(was_ms, number));
        }
        if let Some(at_ms) = at_ms {
            self.by_task.insert(number, at_ms);
            self.by_time.insert((at_ms, number));
        }
    }

    /// The time and the task that come first.
    pub(super) fn first(&self) -> Option<(u64, u64)> {
        self.by_time.first().copied()
    }
}
