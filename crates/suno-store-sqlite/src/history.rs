//! A history in a file of its own beside the store, so that writing it never delays the store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use suno_callback::StoreError;
use suno_callback::history::{
    ENTRIES_OF_TASK_MAX, History, HistoryEntry, HistoryKind, POLLS_OF_TASK_MAX, PURGED_MAX,
};
use suno_types::{Stage, TaskId};

use crate::error::Result;
use crate::row::{self, time, time_column};
use crate::thread::{Memory, Thread};

/// A [`History`] in an SQLite file beside the file of a store.
///
/// It has a thread and a file of its own: `suno.db-history` beside `suno.db`. A power cut can lose the
/// latest entries, but does not damage the file. Processes on one machine can share it.
#[derive(Debug)]
pub struct SqliteHistory {
    path: PathBuf,
    thread: Thread<Nothing>,
}

/// Nothing is kept between transactions.
#[derive(Debug, Default)]
struct Nothing;

impl Memory for Nothing {
    fn forget(&mut self) {}
}

impl SqliteHistory {
    /// Opens the history of the store in the file `store`, or creates it. The store itself is not
    /// opened.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the file of the history cannot be opened or written, is not an SQLite
    /// database, belongs to another program, or was written by a later version of this crate.
    pub fn open(store: impl AsRef<Path>) -> std::result::Result<Self, StoreError> {
        let mut path = store.as_ref().as_os_str().to_owned();
        path.push("-history");
        let path = PathBuf::from(path);
        let thread = Thread::history(&path)?;
        Ok(Self { path, thread })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl History for SqliteHistory {
    async fn record(&self, entries: &[HistoryEntry]) -> std::result::Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let entries = entries.to_vec();
        self.thread
            .run(move |transaction, _| record(transaction, &entries))
            .await
    }

    async fn of_task(
        &self,
        task_id: &TaskId,
    ) -> std::result::Result<Vec<HistoryEntry>, StoreError> {
        let task_id = task_id.clone();
        self.thread
            .run(move |transaction, _| of_task(transaction, &task_id))
            .await
    }

    async fn purge(&self, before: Timestamp) -> std::result::Result<u64, StoreError> {
        self.thread
            .run(move |transaction, _| purge(transaction, before))
            .await
    }
}

fn record(transaction: &Transaction<'_>, entries: &[HistoryEntry]) -> Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO entries (task_id, stage, revision, at, kind, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for entry in entries {
        insert.execute(params![
            entry.task_id.as_str(),
            entry.stage.as_ref().map(Stage::as_str),
            entry.revision,
            time_column(entry.at),
            entry.kind.as_str(),
            entry.detail(),
        ])?;
    }
    let mut bound = transaction.prepare_cached(
        "DELETE FROM entries WHERE task_id = ?1 AND id <= (
             SELECT id FROM entries WHERE task_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?;
    let mut bound_polls = transaction.prepare_cached(
        "DELETE FROM entries WHERE task_id = ?1 AND kind = ?2 AND id <= (
             SELECT id FROM entries WHERE task_id = ?1 AND kind = ?2
             ORDER BY id DESC LIMIT 1 OFFSET ?3)",
    )?;
    let poll = HistoryKind::POLL;
    let polls = entries.iter().filter(|entry| entry.kind == poll);
    let polled: BTreeSet<_> = polls.map(|entry| entry.task_id.as_str()).collect();
    let kept = i64::try_from(POLLS_OF_TASK_MAX).unwrap_or(i64::MAX);
    for task_id in polled {
        bound_polls.execute(params![task_id, poll.as_str(), kept])?;
    }
    let tasks: BTreeSet<_> = entries.iter().map(|entry| entry.task_id.as_str()).collect();
    let kept = i64::try_from(ENTRIES_OF_TASK_MAX).unwrap_or(i64::MAX);
    for task_id in tasks {
        bound.execute(params![task_id, kept])?;
    }
    Ok(())
}

fn of_task(transaction: &Transaction<'_>, task_id: &TaskId) -> Result<Vec<HistoryEntry>> {
    let mut statement = transaction.prepare_cached(
        "SELECT task_id, stage, revision, at, kind, detail FROM entries
         WHERE task_id = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([task_id.as_str()])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

fn entry(row: &Row<'_>) -> Result<HistoryEntry> {
    let task_id = row::task_id(row.get(0)?)?;
    let stage: Option<String> = row.get(1)?;
    let kind = HistoryKind::from(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?);
    let entry = HistoryEntry::new(task_id, kind, time(row.get(3)?)?);
    let entry = match stage {
        Some(stage) => entry.with_stage(Stage::from(&*stage), row.get(2)?),
        None => entry,
    };
    Ok(entry.with_detail_text(row.get::<_, String>(5)?))
}

fn purge(transaction: &Transaction<'_>, before: Timestamp) -> Result<u64> {
    let purged = transaction
        .prepare_cached(
            "DELETE FROM entries WHERE id IN (
                 SELECT id FROM entries WHERE at < ?1 ORDER BY at LIMIT ?2)",
        )?
        .execute(params![time_column(before), PURGED_MAX])?;
    Ok(purged as u64)
}
