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

#[cfg(test)]
mod tests;

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
