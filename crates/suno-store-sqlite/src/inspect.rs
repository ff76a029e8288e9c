//! Looking into the file: events, quarantine, counts.

use rusqlite::{Params, Row, Transaction, params};
use suno_callback::{Counts, EventId, EventKey, Page, Quarantined, Record, StoreError, VerifiedBy};
use suno_types::{Code, Stage, TaskId};

use crate::error::{damaged, store_error};
use crate::keys::merged_through;
use crate::row::{moment, source, state, task_hash};

/// All events of a task, with their bodies.
pub(crate) fn find(
    transaction: &Transaction<'_>,
    task_id: &TaskId,
) -> Result<Vec<Record>, StoreError> {
    let sql = format!(
        "{EVENT}, raw {FROM_EVENTS}
         WHERE task_id = ?2 AND (id IN (SELECT event_id FROM keys WHERE task_hash = ?1)
             OR id > ?3 AND task_hash = ?1)
         ORDER BY id"
    );
    let merged = merged_through(transaction).map_err(store_error)?;
    let values = params![task_hash(task_id), task_id.as_str(), merged];
    records(transaction, &sql, values)
}

/// A page of events, without their bodies.
pub(crate) fn list(transaction: &Transaction<'_>, page: Page) -> Result<Vec<Record>, StoreError> {
    let sql = format!("{EVENT}, NULL {FROM_EVENTS} WHERE id > ?1 ORDER BY id LIMIT ?2");
    records(transaction, &sql, params![page.after.0, page.records_max])
}

/// The columns of an event; the body is the last one.
const EVENT: &str = "SELECT id, task_id, stage, code,
    coalesce(open.state, settled.state, -1), coalesce(open.due, 0),
    coalesce(open.attempts, settled.attempts, 0), coalesce(open.reason, settled.reason),
    source, verified_by, events.received_at,
    (SELECT count(*) FROM conflicts WHERE event_id = id)";

/// Events and how they stand.
const FROM_EVENTS: &str = "FROM events
    LEFT JOIN open ON open.event_id = id LEFT JOIN settled ON settled.event_id = id";

/// The row of an event.
struct EventRow {
    id: i64,
    task_id: String,
    stage: Stage,
    code: i64,
    state: (i64, i64),
    attempts: u32,
    reason: Option<String>,
    source: i64,
    verified_by: u8,
    received_at: i64,
    conflicts: u32,
    raw: Option<Vec<u8>>,
}

impl EventRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            task_id: row.get(1)?,
            stage: Stage::from(row.get_ref(2)?.as_str()?),
            code: row.get(3)?,
            state: (row.get(4)?, row.get(5)?),
            attempts: row.get(6)?,
            reason: row.get(7)?,
            source: row.get(8)?,
            verified_by: row.get(9)?,
            received_at: row.get(10)?,
            conflicts: row.get(11)?,
            raw: row.get(12)?,
        })
    }

    fn into_record(self) -> Result<Record, StoreError> {
        let task_id =
            TaskId::new(self.task_id).map_err(|_| damaged("a stored task id is no id"))?;
        let key = EventKey::new(task_id, self.stage);
        let received_at = moment(self.received_at)?;
        let mut record = Record::new(EventId(self.id), key, Code(self.code), received_at);
        record.state = state(self.state.0, self.state.1)?;
        record.attempts = self.attempts;
        record.reason = self.reason;
        record.source = source(self.source);
        record.verified_by = VerifiedBy::from_bits(self.verified_by);
        record.conflicts = self.conflicts;
        record.raw = self.raw.map(Into::into);
        Ok(record)
    }
}

fn records(
    transaction: &Transaction<'_>,
    sql: &str,
    values: impl Params,
) -> Result<Vec<Record>, StoreError> {
    let rows = transaction
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement
                .query_map(values, EventRow::read)?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(store_error)?;
    rows.into_iter().map(EventRow::into_record).collect()
}

/// A page of what was trusted but not understood.
pub(crate) fn quarantine(
    transaction: &Transaction<'_>,
    page: Page,
) -> Result<Vec<Quarantined>, StoreError> {
    type QuarantineRow = (i64, Option<String>, String, i64, Vec<u8>);
    let rows = transaction
        .prepare_cached(
            "SELECT id, task_id, reason, received_at, raw FROM quarantine
             WHERE id > ?1 ORDER BY id LIMIT ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_map(params![page.after.0, page.records_max], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                    ))
                })?
                .collect::<rusqlite::Result<Vec<QuarantineRow>>>()
        })
        .map_err(store_error)?;
    rows.into_iter()
        .map(|(id, task_id, reason, received_at, raw)| {
            let task_id = task_id.and_then(|id| TaskId::new(id).ok());
            Ok(Quarantined::new(
                EventId(id),
                task_id,
                reason,
                moment(received_at)?,
                raw,
            ))
        })
        .collect()
}

/// How many events there are, by state.
pub(crate) fn counts(transaction: &Transaction<'_>) -> Result<Counts, StoreError> {
    let by_state = transaction
        .prepare_cached(
            "SELECT state, count(*) FROM open GROUP BY state
             UNION ALL SELECT state, count(*) FROM settled GROUP BY state",
        )
        .and_then(|mut statement| {
            statement
                .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<Vec<(i64, i64)>>>()
        })
        .map_err(store_error)?;
    let mut counts = Counts::default();
    for (column, events) in by_state {
        counts.add(state(column, 0)?, events.unsigned_abs());
    }
    let quarantined: i64 = transaction
        .query_row("SELECT count(*) FROM quarantine", (), |row| row.get(0))
        .map_err(store_error)?;
    counts.quarantined = quarantined.unsigned_abs();
    Ok(counts)
}
