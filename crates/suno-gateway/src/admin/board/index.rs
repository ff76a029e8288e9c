//! The rows in memory: by task, by age, and by when they last changed. It does no I/O.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::row::{Filter, Row};

/// The rows of the latest tasks.
#[derive(Debug, Default)]
pub(super) struct Index {
    rows: HashMap<Box<str>, Entry>,
    by_age: BTreeMap<i64, Box<str>>,
    by_version: BTreeMap<u64, Box<str>>,
    version: u64,
    /// The version at which a row last left the list for good.
    removed_at: u64,
}

#[derive(Debug)]
struct Entry {
    row: Row,
    version: u64,
    /// Whether the bodies were looked at, which say the title.
    has_bodies: bool,
}

/// Rows that were selected, newest first.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) tasks: Vec<Box<str>>,
    /// The number of rows that match.
    pub(super) total: usize,
    pub(super) has_more: bool,
}

impl Index {
    /// The maximum number of rows. The oldest ones go first.
    pub(super) const TASKS_MAX: usize = 10_000;

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Whether a reader of this version has missed that a row left the list.
    pub(super) fn is_outdated(&self, version: u64) -> bool {
        version < self.removed_at
    }

    /// Whether a row of this order would not be the first to go.
    pub(super) fn takes(&self, order: i64) -> bool {
        let oldest = self.by_age.keys().next();
        self.rows.len() < Self::TASKS_MAX || oldest.is_some_and(|oldest| *oldest < order)
    }

    pub(super) fn row(&self, task: &str) -> Option<&Row> {
        self.rows.get(task).map(|entry| &entry.row)
    }

    pub(super) fn has_bodies(&self, task: &str) -> bool {
        self.rows.get(task).is_some_and(|entry| entry.has_bodies)
    }

    /// Keeps a row. It has a new version only if it has changed, and stays where the task was first put:
    /// before the rows that are older and, of rows of the same age, before those that were put earlier.
    pub(super) fn put(&mut self, task: &str, mut row: Row, mut has_bodies: bool) {
        match self.rows.get_mut(task) {
            Some(entry) => {
                row.continue_from(&entry.row);
                has_bodies |= entry.has_bodies;
                if entry.row == row {
                    entry.has_bodies = has_bodies;
                    return;
                }
                self.remove(task);
            }
            None => row.order = self.free(row.order),
        }
        self.version += 1;
        self.by_age.insert(row.order, task.into());
        self.by_version.insert(self.version, task.into());
        let entry = Entry {
            row,
            version: self.version,
            has_bodies,
        };
        self.rows.insert(task.into(), entry);
        while self.rows.len() > Self::TASKS_MAX {
            let Some((_, oldest)) = self.by_age.first_key_value() else {
                return;
            };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    /// Returns the first order from this one on that no row has.
    fn free(&self, mut order: i64) -> i64 {
        for taken in self.by_age.range(order..).map(|(taken, _)| *taken) {
            if taken != order {
                break;
            }
            order += 1;
        }
        order
    }

    /// Removes the row of a task that is gone, and lets readers of changes know.
    pub(super) fn forget(&mut self, task: &str) {
        if self.rows.contains_key(task) {
            self.remove(task);
            self.version += 1;
            self.removed_at = self.version;
        }
    }

    fn remove(&mut self, task: &str) {
        if let Some(entry) = self.rows.remove(task) {
            self.by_age.remove(&entry.row.order);
            self.by_version.remove(&entry.version);
        }
    }

    /// The tasks that change by themselves, newest first.
    pub(super) fn open(&self, tasks_max: usize) -> Vec<Box<str>> {
        let all = self.by_age.values().rev();
        let is_open = |task: &str| self.row(task).is_some_and(|row| !row.is_settled());
        all.filter(|task| is_open(task))
            .take(tasks_max)
            .cloned()
            .collect()
    }

    /// The tasks that are expected, the one that is due first first.
    pub(super) fn expected(&self) -> Vec<(Timestamp, &str)> {
        let rows = self.rows.iter();
        let mut expected: Vec<_> = rows
            .filter_map(|(task, entry)| Some((entry.row.due_at?, &**task)))
            .collect();
        expected.sort_unstable();
        expected
    }

    /// Selects rows that are older than `before`.
    pub(super) fn select(&self, filter: &Filter, before: Option<i64>, rows_max: usize) -> Selected {
        let mut selected = Selected {
            tasks: Vec::new(),
            total: 0,
            has_more: false,
        };
        for (order, task) in self.by_age.iter().rev() {
            if !self.row(task).is_some_and(|row| row.matches(filter)) {
                continue;
            }
            selected.total += 1;
            if before.is_none_or(|before| *order < before) {
                match selected.tasks.len() < rows_max {
                    true => selected.tasks.push(task.clone()),
                    false => selected.has_more = true,
                }
            }
        }
        selected
    }

    /// The tasks that changed after a version, the first change first, with the version of the last.
    pub(super) fn changed(&self, after: u64, rows_max: usize) -> (Vec<Box<str>>, u64) {
        let changed = self.by_version.range(after.saturating_add(1)..);
        let changed: Vec<_> = changed.take(rows_max).collect();
        let last = match changed.last() {
            Some((version, _)) if changed.len() == rows_max => **version,
            _ => self.version,
        };
        (
            changed.into_iter().map(|(_, task)| task.clone()).collect(),
            last,
        )
    }

    pub(super) fn needing_person(&self) -> usize {
        let rows = self.rows.values();
        rows.filter(|entry| entry.row.needs_person()).count()
    }
}
