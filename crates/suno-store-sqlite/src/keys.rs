//! Finds the events of a task: the index that detects duplicates.
//!
//! Task ids are random, so an index over them would write another page for nearly every event.
//! Instead, a transaction that stores events appends their hashes to `key_log` in one row, and the
//! writer keeps those keys in memory. When there are many, they are merged into the table `keys` in
//! sorted slices, one slice with each commit: neighbours share pages, and no commit takes long.
//!
//! The keys in memory are never trusted alone. Every transaction first reads what other processes
//! have appended to the log, and after a failure everything is read again. The log is short, so
//! this takes some milliseconds however many events are stored. An interrupted merge is restarted,
//! and merging a key twice has no effect. A key may outlive its event: the rows decide.

use std::collections::BTreeSet;

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params, params_from_iter};

use crate::error::{Error, Result};

/// The minimum and the maximum number of keys that are kept in memory before they are merged, at 25
/// bytes each. In between, the number is chosen so that several of them fall into each page of the
/// table that is read and written for them.
const UNMERGED_MIN: usize = 131_072;
const UNMERGED_MAX: usize = 524_288;
/// The number of merged keys for each key that is kept in memory.
const MERGED_FOR_EACH: i64 = 16;
/// The minimum and the maximum number of keys that are merged in one transaction.
const SLICE_MIN: usize = 64;
const SLICE_MAX: usize = 1_024;
/// The number of keys that one statement merges: the search for the place of the next key starts at
/// the last one.
const MERGED_AT_ONCE: usize = 32;
/// The number of keys that a purge step looks at: four times as many as it purges, so that at most
/// a fifth of the keys belong to purged events.
const SWEPT_AT_ONCE: i64 = 1_000;
/// The size of a hash in the log, in bytes.
const HASH_BYTES: usize = 8;

/// The hash of a task id, with an event of that task.
type Key = (i64, i64);

/// The keys that are not merged yet.
#[derive(Debug)]
pub(crate) struct Keys {
    unmerged: BTreeSet<Key>,
    merging: Option<Merge>,
    /// The last event whose key is in the table.
    merged_through: i64,
    /// The last event whose key was read from the log, or that was purged.
    taken_through: i64,
    /// Events up to this number may have been purged.
    purged_through: i64,
    /// The hashes of the events that this transaction has stored so far.
    appended: Vec<u8>,
    unmerged_min: usize,
}

/// A merge in progress.
#[derive(Debug)]
struct Merge {
    sorted: Vec<Key>,
    /// The number of them that are merged.
    merged: usize,
    /// The last event of the merge.
    through: i64,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            unmerged: BTreeSet::new(),
            merging: None,
            merged_through: 0,
            taken_through: 0,
            purged_through: 0,
            appended: Vec::new(),
            unmerged_min: UNMERGED_MIN,
        }
    }
}

impl Keys {
    /// Forgets everything, because a transaction that may have changed it failed.
    pub(crate) fn forget(&mut self) {
        let unmerged_min = self.unmerged_min;
        *self = Self {
            unmerged_min,
            ..Self::default()
        };
    }

    /// Reads what any process appended since the last transaction. Must be called in every
    /// transaction before any lookup.
    pub(crate) fn catch_up(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let (merged_through, numbered_through) = transaction
            .prepare_cached("SELECT merged_through, numbered_through FROM marks")?
            .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        if merged_through > self.merged_through {
            self.forget_merged(merged_through);
        }
        self.taken_through = self.taken_through.max(merged_through);
        self.read_log(transaction)?;
        self.taken_through = self.taken_through.max(numbered_through);
        self.purged_through = numbered_through;
        Ok(())
    }

    /// Another process has merged them.
    fn forget_merged(&mut self, merged_through: i64) {
        if let Some(merge) = self.merging.take_if(|merge| merge.through > merged_through) {
            self.unmerged.extend(merge.sorted);
        }
        self.merging = None;
        self.unmerged.retain(|(_, event)| *event > merged_through);
        self.merged_through = merged_through;
    }

    fn read_log(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let mut statement = transaction.prepare_cached(
            "SELECT first_event, hashes FROM key_log WHERE first_event > ?1 ORDER BY first_event",
        )?;
        let mut rows = statement.query([self.taken_through])?;
        while let Some(row) = rows.next()? {
            let mut event: i64 = row.get(0)?;
            let hashes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let (hashes, rest) = hashes.as_chunks::<HASH_BYTES>();
            if !rest.is_empty() {
                return Err(Error::Damaged("the log of keys is damaged"));
            }
            for hash in hashes {
                self.unmerged.insert((i64::from_le_bytes(*hash), event));
                event += 1;
            }
            self.taken_through = event - 1;
        }
        Ok(())
    }

    /// Returns the number of the next event.
    pub(crate) fn next_event(&self) -> i64 {
        self.taken_through + 1
    }

    /// Records a stored event under the next number.
    pub(crate) fn add(&mut self, task_hash: i64) {
        self.taken_through += 1;
        self.unmerged.insert((task_hash, self.taken_through));
        self.appended.extend(task_hash.to_le_bytes());
    }

    /// Appends the keys of the stored events to the log, and merges a slice if a merge is due:
    /// always more keys than were stored.
    pub(crate) fn write(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let appended = std::mem::take(&mut self.appended);
        let stored = appended.len() / HASH_BYTES;
        if stored > 0 {
            let first = self.taken_through + 1 - i64::try_from(stored).unwrap_or(0);
            transaction
                .prepare_cached("INSERT INTO key_log VALUES (?1, ?2)")?
                .execute(params![first, appended])?;
        }
        self.merge(transaction, stored)
    }

    /// Prepares the statement that finds merged keys, for [`of_task`](Self::of_task).
    pub(crate) fn merged<'t>(
        transaction: &'t Transaction<'_>,
    ) -> rusqlite::Result<CachedStatement<'t>> {
        transaction
            .prepare_cached("SELECT event_id FROM keys WHERE task_hash = ?1 ORDER BY event_id")
    }

    /// Returns the events that may belong to a task, in the order of their arrival. Hashes can
    /// collide, and events can be purged: the rows decide.
    pub(crate) fn of_task(
        &self,
        merged: &mut CachedStatement<'_>,
        task_hash: i64,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut events = Vec::new();
        if self.merged_through > 0 || self.merging.is_some() {
            let mut rows = merged.query([task_hash])?;
            while let Some(row) = rows.next()? {
                events.push(row.get(0)?);
            }
        }
        // A merge in progress has already inserted some into the table.
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

    /// Returns the number of keys that are kept in memory before they are merged.
    fn unmerged_max(&self) -> usize {
        let merged = self.merged_through - self.purged_through;
        let share = usize::try_from(merged / MERGED_FOR_EACH).unwrap_or(0);
        share.min(UNMERGED_MAX).max(self.unmerged_min)
    }

    fn merge(&mut self, transaction: &Transaction<'_>, stored: usize) -> Result<()> {
        if self.merging.is_none() && self.unmerged.len() > self.unmerged_max() {
            self.merging = Some(Merge {
                sorted: std::mem::take(&mut self.unmerged).into_iter().collect(),
                merged: 0,
                through: self.taken_through,
            });
        }
        let Some(merge) = &mut self.merging else {
            return Ok(());
        };
        let slice = (stored * 2).clamp(SLICE_MIN, SLICE_MAX);
        let rest = &merge.sorted[merge.merged..];
        let slice = &rest[..slice.min(rest.len())];
        insert(transaction, slice)?;
        merge.merged += slice.len();
        if merge.merged < merge.sorted.len() {
            return Ok(());
        }
        self.merged_through = merge.through;
        self.merging = None;
        transaction
            .prepare_cached("UPDATE marks SET merged_through = ?1")?
            .execute([self.merged_through])?;
        transaction
            .prepare_cached("DELETE FROM key_log WHERE first_event <= ?1")?
            .execute([self.merged_through])?;
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

/// Inserts sorted keys, unless their events were purged.
fn insert(transaction: &Transaction<'_>, keys: &[Key]) -> rusqlite::Result<()> {
    const ONE: &str = "(?, ?)";
    let insert = |places: &str| format!("INSERT OR IGNORE INTO keys VALUES {places}");
    let keys = without_purged(transaction, keys)?;
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

/// Returns the keys whose events exist. Only events up to a mark can have been purged, so usually
/// no lookup is needed.
fn without_purged(transaction: &Transaction<'_>, keys: &[Key]) -> rusqlite::Result<Vec<Key>> {
    let numbered_through: i64 = transaction
        .prepare_cached("SELECT numbered_through FROM marks")?
        .query_row((), |row| row.get(0))?;
    let mut is_there =
        transaction.prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE id = ?1)")?;
    let mut kept = Vec::with_capacity(keys.len());
    for key in keys {
        if key.1 > numbered_through || is_there.query_row([key.1], |row| row.get(0))? {
            kept.push(*key);
        }
    }
    Ok(kept)
}

/// Deletes the keys of some purged events: the next ones in the order of the table, so that few
/// pages change. A key that outlives its event does no harm, and each is checked again after a full
/// pass.
pub(crate) fn sweep(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let from: i64 = transaction
        .prepare_cached("SELECT swept_through FROM marks")?
        .query_row((), |row| row.get(0))?;
    let through: Option<i64> = transaction
        .prepare_cached(
            "SELECT task_hash FROM keys WHERE task_hash > ?1 ORDER BY task_hash LIMIT 1 OFFSET ?2",
        )?
        .query_row([from, SWEPT_AT_ONCE], |row| row.get(0))
        .optional()?;
    transaction
        .prepare_cached(
            "DELETE FROM keys WHERE task_hash > ?1 AND task_hash <= ?2
                 AND event_id <= (SELECT numbered_through FROM marks)
                 AND NOT EXISTS (SELECT 1 FROM events WHERE id = event_id)",
        )?
        .execute([from, through.unwrap_or(i64::MAX)])?;
    transaction
        .prepare_cached("UPDATE marks SET swept_through = ?1")?
        .execute([through.unwrap_or(i64::MIN)])?;
    Ok(())
}

/// Prevents numbers up to `last` from being reused. Must be called before events up to that number
/// are purged.
pub(crate) fn before_purge(transaction: &Transaction<'_>, last: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE marks SET numbered_through = max(numbered_through, ?1)")?
        .execute([last])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use rusqlite::Connection;

    use super::*;
    use crate::schema;

    const UNMERGED: usize = 4 * SLICE_MIN;

    /// A file on which each connection has its own keys, like separate processes. There are so many
    /// keys that merging them takes several transactions.
    fn process(dir: &tempfile::TempDir) -> (Connection, Keys) {
        let connection = schema::open(&dir.path().join("suno.db")).unwrap();
        let keys = Keys {
            unmerged_min: UNMERGED,
            ..Keys::default()
        };
        (connection, keys)
    }

    /// Appends an event, as accepting does.
    fn append(transaction: &Transaction<'_>, keys: &mut Keys, hash: i64) -> i64 {
        let event = keys.next_event();
        transaction
            .execute(
                "INSERT INTO events (id, task_hash, task_id, stage, code, source, verified_by,
                     unconfirmed, received_at, stored_at, strict, semantic)
                 VALUES (?1, ?2, ?2, 'text', 200, 0, 0, 0, 0, 0, x'', x'')",
                [event, hash],
            )
            .unwrap();
        keys.add(hash);
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
            keys.write(&transaction).unwrap();
            transaction.commit().unwrap();
        }
        let (connection, _) = &processes[0];
        let merged: i64 = connection
            .query_row("SELECT merged_through FROM marks", (), |row| row.get(0))
            .unwrap();
        assert!(merged > 1_800, "{merged}");
        assert!(processes.iter().all(|(_, keys)| keys.unmerged.len() < 300));
        // A connection that opens now does so too.
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
            keys.write(&transaction).unwrap();
            transaction.commit().unwrap();
            let merging = keys.merging.iter();
            let merging = merging.map(|merge| merge.sorted.len()).sum::<usize>();
            let kept = keys.unmerged.len() + merging;
            let kept_max = 2 * (keys.unmerged_max() + APPENDED_MAX);
            assert!(kept <= kept_max, "{kept}");
        }
    }

    #[test]
    fn the_larger_the_table_the_more_keys_are_merged_at_a_time_within_bounds() {
        let unmerged_max = |merged_through, purged_through| {
            let keys = Keys {
                merged_through,
                purged_through,
                ..Keys::default()
            };
            keys.unmerged_max()
        };
        assert_eq!(unmerged_max(0, 0), UNMERGED_MIN);
        assert_eq!(unmerged_max(4_000_000, 0), 250_000);
        assert_eq!(unmerged_max(1_000_000_000, 0), UNMERGED_MAX);
        assert_eq!(unmerged_max(1_000_000_000, 996_000_000), 250_000);
        assert_eq!(unmerged_max(0, 5), UNMERGED_MIN);
    }

    #[test]
    fn what_was_rolled_back_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, mut keys) = process(&dir);
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        append(&transaction, &mut keys, 5);
        keys.write(&transaction).unwrap();
        transaction.rollback().unwrap();
        keys.forget();
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        assert_eq!(known_of(&transaction, &keys, 5), Vec::<i64>::new());
    }

    #[test]
    fn the_number_of_an_event_that_another_process_purged_is_not_given_again() {
        let dir = tempfile::tempdir().unwrap();
        let [(mut ours, mut keys), (mut theirs, mut their_keys)] = [process(&dir), process(&dir)];
        let transaction = ours.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        append(&transaction, &mut keys, 5);
        let purged = append(&transaction, &mut keys, 5);
        keys.write(&transaction).unwrap();
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
            assert_eq!(keys.next_event(), purged + 1);
        }
    }

    #[test]
    fn merged_keys_of_purged_events_are_swept_in_a_round_and_no_others() {
        const EVENTS: i64 = 5 * SWEPT_AT_ONCE / 2;
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, mut keys) = process(&dir);
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        for number in 0..EVENTS {
            append(
                &transaction,
                &mut keys,
                number.wrapping_mul(0x1e37_79b9_7f4a_7c15),
            );
        }
        for _ in 0..EVENTS {
            keys.write(&transaction).unwrap();
        }
        before_purge(&transaction, EVENTS).unwrap();
        let every_tenth_stays = "DELETE FROM events WHERE id % 10 > 0";
        transaction.execute(every_tenth_stays, ()).unwrap();
        for _ in 0..=EVENTS / SWEPT_AT_ONCE {
            sweep(&transaction).unwrap();
        }
        let count = |sql| transaction.query_row(sql, (), |row| row.get::<_, i64>(0));
        let merged = keys.merged_through;
        assert!(merged > EVENTS / 2, "{merged}");
        let stale = "SELECT count(*) FROM keys WHERE event_id % 10 > 0";
        assert_eq!(count(stale).unwrap(), 0);
        let left = "SELECT count(*) FROM keys";
        assert_eq!(count(left).unwrap(), merged / 10);
    }

    #[test]
    fn keys_of_purged_events_are_not_merged() {
        let dir = tempfile::tempdir().unwrap();
        let (mut connection, mut keys) = process(&dir);
        let transaction = connection.transaction().unwrap();
        keys.catch_up(&transaction).unwrap();
        for number in 0..10 {
            append(&transaction, &mut keys, number);
        }
        before_purge(&transaction, 10).unwrap();
        transaction.execute("DELETE FROM events", ()).unwrap();
        for number in 0..=UNMERGED as i64 {
            append(&transaction, &mut keys, number);
        }
        for _ in 0..UNMERGED {
            keys.write(&transaction).unwrap();
        }
        let stale: i64 = transaction
            .query_row(
                "SELECT count(*) FROM keys WHERE event_id <= 10",
                (),
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(stale, 0);
        let left: i64 = transaction
            .query_row("SELECT count(*) FROM key_log", (), |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0);
    }
}
