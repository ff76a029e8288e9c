//! A history in the schema of the store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_callback::StoreError;
use suno_callback::history::{
    ENTRIES_OF_TASK_MAX, History, HistoryEntry, HistoryKind, POLLS_OF_TASK_MAX, PURGED_MAX,
};
use suno_types::{Stage, TaskId};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN, BEGIN_READING, LIMIT};
use crate::columns::{self as columns, Columns, time_column, word, word_column};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::rows::{Rows, table};

/// Entries need not survive a power cut, so that their commits do not wait for the disk.
const UNSYNCED: &str = "SET LOCAL synchronous_commit = off";
const INSERT: &str = "
    INSERT INTO {schema}.history (task_id, at, stage, revision, kind, detail)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6)";
/// Removes what exceeds the bound of these tasks.
const BOUND: &str = "
    DELETE FROM {schema}.history h USING (
        SELECT t.id, (SELECT n.no FROM {schema}.history n WHERE n.task_id = t.id
                      ORDER BY n.no DESC OFFSET $2 LIMIT 1) AS last
        FROM (SELECT DISTINCT unnest($1) AS id) t) d
    WHERE h.task_id = d.id AND h.no <= d.last";
/// The same for polls, whose kind is `$3`.
const BOUND_POLLS: &str = "
    DELETE FROM {schema}.history h USING (
        SELECT t.id, (SELECT n.no FROM {schema}.history n WHERE n.task_id = t.id AND n.kind = $3
                      ORDER BY n.no DESC OFFSET $2 LIMIT 1) AS last
        FROM (SELECT DISTINCT unnest($1) AS id) t) d
    WHERE h.task_id = d.id AND h.kind = $3 AND h.no <= d.last";
const OF_TASK: &str = "
    SELECT task_id, at, stage, revision, kind, detail FROM {schema}.history
    WHERE task_id = $1 ORDER BY no";
const PURGE: &str = "
    DELETE FROM {schema}.history WHERE no = ANY (ARRAY(
        SELECT h.no FROM {schema}.history h WHERE h.at < $1 ORDER BY h.at LIMIT $2)) RETURNING no";

table!(Entries {
    task_id: String = TEXT_ARRAY,
    at: i64 = INT8_ARRAY,
    stage: Option<String> = TEXT_ARRAY,
    revision: i32 = INT4_ARRAY,
    kind: String = TEXT_ARRAY,
    detail: String = TEXT_ARRAY,
});

/// The history of a [`PostgresStore`](crate::PostgresStore), in a table of the same schema. It uses the
/// connections of the store.
#[derive(Clone)]
pub struct PostgresHistory {
    inner: Arc<Inner>,
}

impl PostgresHistory {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }
}

/// Leaves out the server.
impl fmt::Debug for PostgresHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresHistory")
            .field("schema", &self.inner.schema)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl History for PostgresHistory {
    async fn record(&self, entries: &[HistoryEntry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut rows = Entries::default();
        entries.iter().for_each(|entry| rows.push(entry));
        let record = |session| record(session, &rows);
        self.inner.connections.with(LIMIT, record).await
    }

    async fn of_task(&self, task_id: &TaskId) -> Result<Vec<HistoryEntry>, StoreError> {
        let of_task = |session| of_task(session, task_id);
        self.inner.connections.with(LIMIT, of_task).await
    }

    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError> {
        let purge = |session| purge(session, before);
        self.inner.connections.with(LIMIT, purge).await
    }
}

impl Entries {
    fn push(&mut self, entry: &HistoryEntry) {
        self.task_id.push(entry.task_id.as_str().to_owned());
        self.at.push(time_column(entry.at));
        let stage = entry
            .stage
            .as_ref()
            .map(|stage| word_column(stage.as_str()));
        self.stage.push(stage);
        self.revision
            .push(i32::try_from(entry.revision).unwrap_or(i32::MAX));
        self.kind.push(word_column(entry.kind.as_str()));
        // JSON has no zero bytes.
        self.detail.push(entry.detail().to_owned());
    }
}

async fn record(session: Session, rows: &Entries) -> Result<(), Error> {
    let kept = i64::try_from(ENTRIES_OF_TASK_MAX).unwrap_or(i64::MAX);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&rows.task_id, Type::TEXT_ARRAY), (&kept, Type::INT8)];
    let poll = HistoryKind::POLL;
    let places = (0..rows.kind.len()).filter(|place| rows.kind[*place] == poll.as_str());
    let polled: Vec<_> = places.map(|place| &*rows.task_id[place]).collect();
    let (kind, polls_kept) = (
        poll.as_str(),
        i64::try_from(POLLS_OF_TASK_MAX).unwrap_or(i64::MAX),
    );
    let poll_parameters: [(&(dyn ToSql + Sync), Type); 3] = [
        (&polled, Type::TEXT_ARRAY),
        (&polls_kept, Type::INT8),
        (&kind, Type::TEXT),
    ];
    let insert_parameters = rows.parameters();
    let begun = session.batch(BEGIN);
    let unsynced = session.batch(UNSYNCED);
    let inserted = session.query(INSERT, &insert_parameters);
    let polls_bounded = session.query(BOUND_POLLS, &poll_parameters);
    let bounded = session.query(BOUND, &parameters);
    tokio::try_join!(biased; begun, unsynced, inserted, polls_bounded, bounded)?;
    session.batch("COMMIT").await
}

async fn of_task(session: Session, task_id: &TaskId) -> Result<Vec<HistoryEntry>, Error> {
    let task_id = task_id.as_str();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&task_id, Type::TEXT)];
    let begun = session.batch(BEGIN_READING);
    let entries = session.query(OF_TASK, &parameters);
    let ended = session.batch("COMMIT");
    let (_, rows, ()) = tokio::try_join!(biased; begun, entries, ended)?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<HistoryEntry, Error> {
    let mut columns = Columns::of(row);
    let task_id = columns::task_id(columns.next()?)?;
    let at = columns::time(columns.next()?)?;
    let stage: Option<&str> = columns.next()?;
    let revision: i32 = columns.next()?;
    let kind = HistoryKind::from(&*word(columns.next()?));
    let entry = HistoryEntry::new(task_id, kind, at);
    let entry = match stage {
        Some(stage) => entry.with_stage(Stage::from(&*word(stage)), revision.unsigned_abs()),
        None => entry,
    };
    Ok(entry.with_detail_text(columns.next::<String>()?))
}

async fn purge(session: Session, before: Timestamp) -> Result<u64, Error> {
    let (before, limit) = (time_column(before), i64::from(PURGED_MAX));
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&before, Type::INT8), (&limit, Type::INT8)];
    let begun = session.batch(BEGIN);
    let unsynced = session.batch(UNSYNCED);
    let purged = session.query(PURGE, &parameters);
    let (_, _, rows) = tokio::try_join!(biased; begun, unsynced, purged)?;
    session.batch("COMMIT").await?;
    Ok(rows.len() as u64)
}
