//! Which events a task has: the structure that dedupes.
//!
//! Task ids are random, so that an index over them would write another page for nearly every
//! event. Events are appended instead, and the writer keeps the keys of the latest ones in memory.
//! When there are many, they are merged into the table `keys` in sorted slices, a slice with each
//! commit: neighbours share pages, and no commit takes long.
//!
//! Memory is never trusted alone: every transaction begins by taking in what other processes
//! appended, and after a transaction that failed everything is read again. A merge that is
//! interrupted is begun again, and merging a key twice does nothing.

use std::collections::HashMap;

use rusqlite::{Transaction, params};
use suno_callback::StoreError;

use crate::error::store_error;
use crate::thread::Memory;

/// How many keys are kept in memory before they are merged.
const UNMERGED_MAX: usize = 32_768;
/// How many keys are merged in one transaction at least, and at most.
const SLICE_MIN: usize = 64;
const SLICE_MAX: usize = 1_024;

/// The keys that are not merged yet.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The events of each task hash, in the order of their arrival.
    unmerged: HashMap<i64, Events>,
    /// How many there are.
    count: usize,
    /// The last event that was taken in.
    taken_through: i64,
    merging: Option<Merge>,
    unmerged_max: usize,
}

/// The events of one task hash. Nearly all have few.
type Events = Vec<i64>;

/// A merge under way.
#[derive(Debug)]
struct Merge {
    /// What is still to be merged, the smallest last.
    sorted: Vec<(i64, i64)>,
    /// The last event of the merge.
    through: i64,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            unmerged: HashMap::new(),
            count: 0,
            taken_through: 0,
            merging: None,
            unmerged_max: UNMERGED_MAX,
        }
    }
}

impl Memory for Keys {
    fn forget(&mut self) {
        self.unmerged.clear();
        self.count = 0;
        self.taken_through = 0;
        self.merging = None;
    }
}

impl Keys {
    /// Takes in what was appended since the last transaction, by whichever process. To be called
    /// in every transaction before anything is looked up.
    pub(crate) fn catch_up(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        if self.taken_through == 0 {
            self.taken_through = merged_through(transaction).map_err(store_error)?;
        }
        self.take_in(transaction).map_err(store_error)
    }

    fn take_in(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction
            .prepare_cached("SELECT id, task_hash FROM events WHERE id > ?1 ORDER BY id")?;
        let mut rows = statement.query([self.taken_through])?;
        while let Some(row) = rows.next()? {
            self.add(row.get(1)?, row.get(0)?);
        }
        Ok(())
    }

    /// Notes an event that was appended.
    pub(crate) fn add(&mut self, task_hash: i64, event: i64) {
        self.unmerged.entry(task_hash).or_default().push(event);
        self.count += 1;
        self.taken_through = self.taken_through.max(event);
    }

    /// The events that may be of a task, in the order of their arrival. Hashes can collide, and
    /// events can be purged: the rows decide.
    pub(crate) fn of_task(
        &self,
        transaction: &Transaction<'_>,
        task_hash: i64,
    ) -> rusqlite::Result<Events> {
        let mut events = transaction
            .prepare_cached("SELECT event_id FROM keys WHERE task_hash = ?1 ORDER BY event_id")?
            .query_map([task_hash], |row| row.get(0))?
            .collect::<rusqlite::Result<Events>>()?;
        if let Some(unmerged) = self.unmerged.get(&task_hash) {
            events.extend(unmerged);
            // A merge that is under way has put some into both places.
            events.sort_unstable();
            events.dedup();
        }
        Ok(events)
    }

    /// Merges a slice, if there is something to merge. `appended` is how many events the
    /// transaction has stored: merging is always faster than appending.
    pub(crate) fn merge(
        &mut self,
        transaction: &Transaction<'_>,
        appended: usize,
    ) -> Result<(), StoreError> {
        if self.merging.is_none() && self.count > self.unmerged_max {
            // Another process may have merged them.
            self.drop_through(merged_through(transaction).map_err(store_error)?);
            if self.count > self.unmerged_max {
                self.begin_merge();
            }
        }
        let Some(merge) = &mut self.merging else {
            return Ok(());
        };
        let slice = (appended * 2).clamp(SLICE_MIN, SLICE_MAX);
        let rest = merge.sorted.len().saturating_sub(slice);
        for (task_hash, event) in merge.sorted.drain(rest..).rev() {
            transaction
                .prepare_cached(
                    // An event can have been purged since.
                    "INSERT OR IGNORE INTO keys SELECT ?1, ?2
                     WHERE EXISTS (SELECT 1 FROM events WHERE id = ?2)",
                )
                .and_then(|mut statement| statement.execute(params![task_hash, event]))
                .map_err(store_error)?;
        }
        if merge.sorted.is_empty() {
            let through = merge.through;
            transaction
                .execute(
                    "UPDATE keys_merged SET merged_through = max(merged_through, ?1)",
                    [through],
                )
                .map_err(store_error)?;
            self.merging = None;
            self.drop_through(through);
        }
        Ok(())
    }

    fn begin_merge(&mut self) {
        let pairs = self
            .unmerged
            .iter()
            .flat_map(|(hash, events)| events.iter().map(|event| (*hash, *event)));
        let mut sorted: Vec<_> = pairs.collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        self.merging = Some(Merge {
            sorted,
            through: self.taken_through,
        });
    }

    /// Forgets keys that are in the table.
    fn drop_through(&mut self, through: i64) {
        self.count = 0;
        self.unmerged.retain(|_, events| {
            events.retain(|event| *event > through);
            self.count += events.len();
            !events.is_empty()
        });
    }
}

/// The last event whose key is in the table.
pub(crate) fn merged_through(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    transaction.query_row("SELECT merged_through FROM keys_merged", (), |row| {
        row.get(0)
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::schema;

    /// A file of which each connection has keys of its own, as processes have.
    fn process(dir: &tempfile::TempDir) -> (Connection, Keys) {
        let connection = schema::open(&dir.path().join("suno.db")).unwrap();
        let keys = Keys {
            unmerged_max: 50,
            ..Keys::default()
        };
        (connection, keys)
    }

    /// Appends an event, as accepting does.
    fn append(transaction: &Transaction<'_>, keys: &mut Keys, hash: i64) -> i64 {
        transaction
            .execute(
                "INSERT INTO events (task_hash, task_id, stage, code, source, verified_by,
                     received_at, strict, semantic, state, due)
                 VALUES (?1, ?1, 'text', 200, 0, 0, 0, x'', x'', 0, 0)",
                [hash],
            )
            .unwrap();
        let event = transaction.last_insert_rowid();
        keys.add(hash, event);
        event
    }

    #[test]
    fn two_processes_know_all_events_through_any_number_of_merges() {
        let dir = tempfile::tempdir().unwrap();
        let mut processes = [process(&dir), process(&dir)];
        let mut expected: HashMap<i64, Vec<i64>> = HashMap::new();
        for number in 0..2_000_i64 {
            let (connection, keys) = &mut processes[usize::from(number % 3 == 0)];
            let hash = (number * 7_919) % 601;
            let transaction = connection.transaction().unwrap();
            keys.catch_up(&transaction).unwrap();
            let known = expected.entry(hash).or_default();
            assert_eq!(
                keys.of_task(&transaction, hash).unwrap(),
                *known,
                "event {number}"
            );
            known.push(append(&transaction, keys, hash));
            keys.merge(&transaction, 1).unwrap();
            transaction.commit().unwrap();
        }
        let (connection, _) = &processes[0];
        let merged: i64 = connection
            .query_row("SELECT merged_through FROM keys_merged", (), |row| {
                row.get(0)
            })
            .unwrap();
        assert!(merged > 1_800, "{merged}");
        assert!(processes.iter().all(|(_, keys)| keys.count < 300));
    }

    #[test]
    fn what_was_rolled_back_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, mut keys) = process(&dir);
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        append(&transaction, &mut keys, 5);
        transaction.rollback().unwrap();
        keys.forget();
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        assert_eq!(keys.of_task(&transaction, 5).unwrap(), Vec::<i64>::new());
    }
}
