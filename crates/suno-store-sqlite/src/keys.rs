//! Which events a task has: the structure that dedupes.
//!
//! Task ids are random, so that an index over them would write another page for nearly every
//! event. Events are appended instead, and the writer keeps the keys of the latest ones in memory.
//! When there are many, they are merged into the table `keys` in sorted slices, a slice with each
//! commit: neighbours share pages, and no commit takes long. Filters answer for most tasks that
//! they have no keys, or none in the table.
//!
//! Memory is never trusted alone: every transaction begins by taking in what other processes
//! appended, and everything is read again after a transaction that failed, and after a purge of
//! events that were not merged. A merge that is interrupted is begun again, and merging a key twice
//! does nothing.

use std::collections::BTreeSet;

use rusqlite::{CachedStatement, Transaction, params_from_iter};
use suno_callback::StoreError;

use crate::error::store_error;
use crate::filter::Filter;
use crate::thread::Memory;

/// How many keys are kept in memory before they are merged.
const UNMERGED_MAX: usize = 32_768;
/// How many keys are merged in one transaction at least, and at most.
const SLICE_MIN: usize = 64;
const SLICE_MAX: usize = 1_024;
/// How many keys one statement merges: finding the place of the next one begins at the last one then.
const MERGED_AT_ONCE: usize = 32;

/// The hash of a task id, and an event of that task.
type Key = (i64, i64);

/// The keys that are not merged yet, and what is known of those that are.
#[derive(Debug)]
pub(crate) struct Keys {
    /// All tasks that have keys, merged or not.
    known: Filter,
    /// Those of which a key is in the table, unless it is kept here as well.
    merged: Filter,
    unmerged: BTreeSet<Key>,
    merging: Option<Merge>,
    /// The last event that was taken in, or that was purged.
    taken_through: i64,
    /// How often unmerged events had been purged when the keys were read.
    unmerged_purges: i64,
    unmerged_max: usize,
}

/// A merge under way.
#[derive(Debug)]
struct Merge {
    sorted: Vec<Key>,
    /// How many of them are merged.
    merged: usize,
    /// The last event of the merge.
    through: i64,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            known: Filter::default(),
            merged: Filter::default(),
            unmerged: BTreeSet::new(),
            merging: None,
            taken_through: 0,
            unmerged_purges: 0,
            unmerged_max: UNMERGED_MAX,
        }
    }
}

impl Memory for Keys {
    fn forget(&mut self) {
        self.known.clear();
        self.merged.clear();
        self.unmerged.clear();
        self.merging = None;
        self.taken_through = 0;
    }
}

impl Keys {
    /// Takes in what was appended and purged since the last transaction, by whichever process. To
    /// be called in every transaction before anything is looked up.
    pub(crate) fn catch_up(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let marks = Marks::read(transaction).map_err(store_error)?;
        if marks.unmerged_purges != self.unmerged_purges {
            self.forget();
            self.unmerged_purges = marks.unmerged_purges;
        }
        if self.taken_through == 0 {
            self.take_in_merged(transaction).map_err(store_error)?;
            self.taken_through = marks.merged_through;
        }
        self.take_in(transaction).map_err(store_error)?;
        self.taken_through = self.taken_through.max(marks.numbered_through);
        Ok(())
    }

    fn take_in_merged(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached("SELECT task_hash FROM keys")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let task_hash = row.get(0)?;
            self.known.add(task_hash);
            self.merged.add(task_hash);
        }
        Ok(())
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

    /// The number of the next event.
    pub(crate) fn next_event(&self) -> i64 {
        self.taken_through + 1
    }

    /// Notes an event that was appended.
    pub(crate) fn add(&mut self, task_hash: i64, event: i64) {
        self.known.add(task_hash);
        self.unmerged.insert((task_hash, event));
        self.taken_through = self.taken_through.max(event);
    }

    /// The statement that finds merged keys, for [`of_task`](Self::of_task).
    pub(crate) fn merged<'t>(
        transaction: &'t Transaction<'_>,
    ) -> rusqlite::Result<CachedStatement<'t>> {
        transaction
            .prepare_cached("SELECT event_id FROM keys WHERE task_hash = ?1 ORDER BY event_id")
    }

    /// The events that may be of a task, in the order of their arrival. Hashes can collide, and
    /// events can be purged: the rows decide.
    pub(crate) fn of_task(
        &self,
        merged: &mut CachedStatement<'_>,
        task_hash: i64,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut events = Vec::new();
        if !self.known.may_have(task_hash) {
            return Ok(events);
        }
        if self.merged.may_have(task_hash) {
            let mut rows = merged.query([task_hash])?;
            while let Some(row) = rows.next()? {
                events.push(row.get(0)?);
            }
        }
        // A merge that is under way has put some into the table already.
        let in_table = events.last().copied().unwrap_or(i64::MIN);
        let merging = self
            .merging
            .iter()
            .flat_map(|merge| merge.of_task(task_hash));
        let unmerged = self
            .unmerged
            .range((task_hash, i64::MIN)..=(task_hash, i64::MAX));
        let behind = merging.chain(unmerged).map(|(_, event)| *event);
        events.extend(behind.filter(|event| *event > in_table));
        Ok(events)
    }

    /// Merges a slice, if there is something to merge. `appended` is how many events the
    /// transaction has stored: merging is always faster than appending.
    pub(crate) fn merge(
        &mut self,
        transaction: &Transaction<'_>,
        appended: usize,
    ) -> Result<(), StoreError> {
        if self.merging.is_none() && self.unmerged.len() > self.unmerged_max {
            self.begin_merge(transaction).map_err(store_error)?;
        }
        let Some(merge) = &mut self.merging else {
            return Ok(());
        };
        let slice = (appended * 2).clamp(SLICE_MIN, SLICE_MAX);
        let rest = &merge.sorted[merge.merged..];
        let slice = &rest[..slice.min(rest.len())];
        insert(transaction, slice).map_err(store_error)?;
        merge.merged += slice.len();
        slice.iter().for_each(|(hash, _)| self.merged.add(*hash));
        if merge.merged == merge.sorted.len() {
            transaction
                .execute(
                    "UPDATE marks SET merged_through = max(merged_through, ?1)",
                    [merge.through],
                )
                .map_err(store_error)?;
            self.merging = None;
        }
        Ok(())
    }

    fn begin_merge(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        // Another process may have merged them.
        let merged_through = merged_through(transaction)?;
        self.unmerged.retain(|(hash, event)| {
            let is_merged = *event <= merged_through;
            if is_merged {
                self.merged.add(*hash);
            }
            !is_merged
        });
        if self.unmerged.len() > self.unmerged_max {
            self.merging = Some(Merge {
                sorted: std::mem::take(&mut self.unmerged).into_iter().collect(),
                merged: 0,
                through: self.taken_through,
            });
        }
        Ok(())
    }
}

impl Merge {
    fn of_task(&self, task_hash: i64) -> &[Key] {
        let begin = self.sorted.partition_point(|(hash, _)| *hash < task_hash);
        let of_task = &self.sorted[begin..];
        let count = of_task
            .iter()
            .take_while(|(hash, _)| *hash == task_hash)
            .count();
        &of_task[..count]
    }
}

/// Inserts keys that are sorted.
fn insert(transaction: &Transaction<'_>, keys: &[Key]) -> rusqlite::Result<()> {
    const ONE: &str = "(?, ?)";
    let insert = |places: &str| format!("INSERT OR IGNORE INTO keys VALUES {places}");
    let (chunks, rest) = keys.as_chunks::<MERGED_AT_ONCE>();
    if !chunks.is_empty() {
        let places = [ONE; MERGED_AT_ONCE].join(", ");
        let mut statement = transaction.prepare_cached(&insert(&places))?;
        for chunk in chunks {
            statement.execute(params_from_iter(
                chunk.iter().flat_map(|(hash, event)| [hash, event]),
            ))?;
        }
    }
    let mut statement = transaction.prepare_cached(&insert(ONE))?;
    for key in rest {
        statement.execute(*key)?;
    }
    Ok(())
}

/// The one row of `marks`.
struct Marks {
    merged_through: i64,
    numbered_through: i64,
    unmerged_purges: i64,
}

impl Marks {
    fn read(transaction: &Transaction<'_>) -> rusqlite::Result<Self> {
        transaction
            .prepare_cached("SELECT merged_through, numbered_through, unmerged_purges FROM marks")?
            .query_row((), |row| {
                Ok(Self {
                    merged_through: row.get(0)?,
                    numbered_through: row.get(1)?,
                    unmerged_purges: row.get(2)?,
                })
            })
    }
}

/// The last event whose key is in the table.
pub(crate) fn merged_through(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    Ok(Marks::read(transaction)?.merged_through)
}

/// To be called before events are purged, the last of which is `last`: their numbers are not given
/// again, and no process merges their keys.
pub(crate) fn before_purge(transaction: &Transaction<'_>, last: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE marks SET
                 numbered_through = max(numbered_through, ?1),
                 unmerged_purges = unmerged_purges + (?1 > merged_through)",
        )?
        .execute([last])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rusqlite::Connection;

    use super::*;
    use crate::schema;

    const UNMERGED_MAX: usize = 4 * SLICE_MIN;

    /// A file of which each connection has keys of its own, as processes have. They are merged when
    /// there are so many that it takes several transactions.
    fn process(dir: &tempfile::TempDir) -> (Connection, Keys) {
        let connection = schema::open(&dir.path().join("suno.db")).unwrap();
        let keys = Keys {
            unmerged_max: UNMERGED_MAX,
            ..Keys::default()
        };
        (connection, keys)
    }

    /// Appends an event, as accepting does.
    fn append(transaction: &Transaction<'_>, keys: &mut Keys, hash: i64) -> i64 {
        let event = keys.next_event();
        transaction
            .execute(
                "INSERT INTO events VALUES (?1, ?2, ?2, 'text', 200, 0, 0, 0, x'', x'', NULL)",
                [event, hash],
            )
            .unwrap();
        keys.add(hash, event);
        event
    }

    fn known_of(transaction: &Transaction<'_>, keys: &Keys, hash: i64) -> Vec<i64> {
        let mut merged = Keys::merged(transaction).unwrap();
        keys.of_task(&mut merged, hash).unwrap()
    }

    #[test]
    fn two_processes_know_all_events_of_few_tasks_through_any_number_of_merges() {
        two_processes_know_all_events_of(101);
    }

    #[test]
    fn two_processes_know_all_events_of_many_tasks_through_any_number_of_merges() {
        two_processes_know_all_events_of(601);
    }

    fn two_processes_know_all_events_of(tasks: i64) {
        let dir = tempfile::tempdir().unwrap();
        let mut processes = [process(&dir), process(&dir)];
        let mut expected: HashMap<i64, Vec<i64>> = HashMap::new();
        for number in 0..2_000_i64 {
            let (connection, keys) = &mut processes[usize::from(number % 3 == 0)];
            let hash = (number * 7_919) % tasks;
            let transaction = connection.transaction().unwrap();
            keys.catch_up(&transaction).unwrap();
            let known = expected.entry(hash).or_default();
            assert_eq!(known_of(&transaction, keys, hash), *known, "event {number}");
            known.push(append(&transaction, keys, hash));
            keys.merge(&transaction, 1).unwrap();
            transaction.commit().unwrap();
        }
        let (connection, _) = &processes[0];
        let merged: i64 = connection
            .query_row("SELECT merged_through FROM marks", (), |row| row.get(0))
            .unwrap();
        assert!(merged > 1_800, "{merged}");
        assert!(processes.iter().all(|(_, keys)| keys.unmerged.len() < 300));
        // So does one that begins now.
        let (mut connection, mut keys) = process(&dir);
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        for (hash, events) in expected {
            assert_eq!(known_of(&transaction, &keys, hash), events);
        }
    }

    #[test]
    fn however_many_are_appended_at_once_few_keys_are_kept_in_memory() {
        const APPENDED_MAX: usize = 500;
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, mut keys) = process(&dir);
        for appended in [100, 100, 100, 1, 10, APPENDED_MAX].repeat(30) {
            let transaction = connection.transaction().unwrap();
            keys.catch_up(&transaction).unwrap();
            for _ in 0..appended {
                let event = keys.next_event();
                append(&transaction, &mut keys, event.wrapping_mul(0x9e37_79b9));
            }
            keys.merge(&transaction, appended).unwrap();
            transaction.commit().unwrap();
            let merging = keys.merging.iter();
            let merging = merging.map(|merge| merge.sorted.len()).sum::<usize>();
            let kept = keys.unmerged.len() + merging;
            assert!(kept <= 2 * (UNMERGED_MAX + APPENDED_MAX), "{kept}");
        }
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
        assert_eq!(known_of(&transaction, &keys, 5), Vec::<i64>::new());
    }

    #[test]
    fn what_another_process_purged_before_it_was_merged_leaves_no_key_and_no_number() {
        let dir = tempfile::tempdir().unwrap();
        let [(mut ours, mut keys), (mut theirs, mut their_keys)] = [process(&dir), process(&dir)];
        let transaction = ours.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        let kept = append(&transaction, &mut keys, 5);
        let purged = append(&transaction, &mut keys, 5);
        transaction.commit().unwrap();

        let transaction = theirs.transaction().unwrap();
        before_purge(&transaction, purged).unwrap();
        transaction
            .execute("DELETE FROM events WHERE id = ?1", [purged])
            .unwrap();
        transaction.commit().unwrap();

        for (connection, keys) in [(&mut ours, &mut keys), (&mut theirs, &mut their_keys)] {
            let transaction = connection.transaction().unwrap();
            keys.catch_up(&transaction).unwrap();
            assert_eq!(known_of(&transaction, keys, 5), [kept]);
            assert_eq!(keys.next_event(), purged + 1);
        }
    }
}
