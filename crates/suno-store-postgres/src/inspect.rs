//! Inspects the store: events and counts.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use suno_callback::bounds::{LEDGER_COUNTED_MAX, OVERDUE_AFTER};
use suno_callback::{Counts, EventFilter, EventRecord, ListRequest, Page, StateName};
use suno_types::TaskId;
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN_READING, NOW};
use crate::columns::{CLAIMED, READY, WAITING, micros, task_key};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::load::{CONFLICTS_OF_KEYS, EVENTS_OF_KEYS, Tasks, conflicts, events};
use crate::transaction::{Tried, roll_back, time};

/// The maximum number of events that are looked at for one page of a filtered list.
const LOOKED_AT_MAX: u32 = 4_096;

const BODIES_OF_KEYS: &str = "
    SELECT b.event_no, b.raw FROM {schema}.body b WHERE b.event_no = ANY (ARRAY(
        SELECT e.no FROM {schema}.task t JOIN {schema}.event e ON e.task_no = t.no
        WHERE t.key = ANY ($1)))";

const NUMBERS: &str = "
    SELECT e.no FROM {schema}.event e WHERE e.no > $1 ORDER BY e.no LIMIT $2";
const NUMBERS_OF_WORK: &str = "
    SELECT w.event_no FROM {schema}.work w WHERE w.event_no > $1 ORDER BY w.event_no LIMIT $2";
const NUMBERS_OF_DEAD: &str = "
    SELECT p.event_no FROM {schema}.past p WHERE p.event_no > $1 AND p.state = 4
    ORDER BY p.event_no LIMIT $2";
const EVENTS_OF_NUMBERS: &str = events!(
    "FROM {schema}.event e JOIN {schema}.task t ON t.no = e.task_no"
    where "WHERE e.no = ANY ($1)"
);
const CONFLICTS_OF_NUMBERS: &str = conflicts!("SELECT unnest($1)");

/// The events of each state: of those in `work` each is counted, of the others sums are kept. Then
/// expected tasks, overdue ones, and open intents, up to a bound.
const COUNTS: &str = "
    SELECT w.state::bigint, count(*) - count(m.event_no), count(m.event_no)
    FROM {schema}.work w LEFT JOIN {schema}.settled_in m ON m.event_no = w.event_no GROUP BY w.state
    UNION ALL SELECT 4, count(*), 0 FROM {schema}.past p WHERE p.state = 4
    UNION ALL SELECT 3, coalesce(sum(t.done), 0)::bigint, 0 FROM {schema}.tally t
    UNION ALL SELECT 5, coalesce(sum(t.superseded), 0)::bigint, 0 FROM {schema}.tally t
    UNION ALL SELECT 6, coalesce(sum(t.dropped), 0)::bigint, 0 FROM {schema}.tally t
    UNION ALL SELECT 7, count(*), 0 FROM {schema}.quarantine
    UNION ALL SELECT 8, count(*), 0 FROM (SELECT FROM {schema}.expected LIMIT $1) e
    UNION ALL SELECT 9, count(*), 0 FROM (
        SELECT FROM {schema}.expected x WHERE x.due <= (SELECT {schema}.clock()) - $2 LIMIT $1) o
    UNION ALL SELECT 10, count(*), 0 FROM (
        SELECT FROM {schema}.intent i WHERE i.task_id IS NULL LIMIT $1) i";

/// Returns the events of a task, with their bodies.
pub(crate) async fn find(
    store: &Inner,
    session: Session,
    task_id: &TaskId,
) -> Result<Tried<Vec<EventRecord>>, Error> {
    let keys = [task_key(task_id).to_vec()];
    let keys = &keys[..];
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&keys, Type::BYTEA_ARRAY)];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN_READING);
    let events = session.query(EVENTS_OF_KEYS, &parameters);
    let conflicts = session.query(CONFLICTS_OF_KEYS, &parameters);
    let bodies = session.query(BODIES_OF_KEYS, &parameters);
    let now = session.query(NOW, &[]);
    let (_, events, conflicts, rows, now) =
        tokio::try_join!(biased; begun, events, conflicts, bodies, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    session.batch("COMMIT").await?;
    let mut bodies = HashMap::new();
    for row in &rows {
        let raw: Vec<u8> = row.try_get(1)?;
        bodies.insert(row.try_get::<_, i64>(0)?, Bytes::from(raw));
    }
    let events = Tasks::read(&events, &conflicts, now)?.into_events();
    let records = events.into_iter().map(|mut event| {
        event.raw = bodies.remove(&event.id.0);
        event.record_with_body(now)
    });
    Ok(Tried::Done(records.collect()))
}

/// Returns a page of events, without their bodies.
pub(crate) async fn list(
    store: &Inner,
    session: Session,
    request: &ListRequest,
) -> Result<Tried<Page<EventRecord>>, Error> {
    let is_filtered = request.filter != EventFilter::default();
    let looked_at_max = match is_filtered {
        true => LOOKED_AT_MAX,
        // One more shows whether the list continues.
        false => request.events_max.saturating_add(1),
    };
    let sql = match request.filter.state {
        Some(StateName::Dead) => NUMBERS_OF_DEAD,
        Some(StateName::Ready | StateName::Claimed | StateName::Waiting) => NUMBERS_OF_WORK,
        _ => NUMBERS,
    };
    let after = request.after.map_or(i64::MIN, |after| after.0);
    let limit = i64::from(looked_at_max);
    let sent = store.clock.reading();
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&after, Type::INT8), (&limit, Type::INT8)];
    let begun = session.batch(BEGIN_READING);
    let numbers = session.query(sql, &parameters);
    let now = session.query(NOW, &[]);
    let (_, rows, now) = tokio::try_join!(biased; begun, numbers, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    let mut numbers: Vec<i64> = Vec::with_capacity(rows.len());
    for row in &rows {
        numbers.push(row.try_get(0)?);
    }
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&numbers, Type::INT8_ARRAY)];
    let events = session.query(EVENTS_OF_NUMBERS, &parameters);
    let conflicts = session.query(CONFLICTS_OF_NUMBERS, &parameters);
    let ended = session.batch("COMMIT");
    let (events, conflicts, ()) = tokio::try_join!(biased; events, conflicts, ended)?;
    let events = Tasks::read(&events, &conflicts, now)?.into_events();
    let is_end = numbers.len() < looked_at_max as usize;
    let records = events.iter().map(|event| event.record(now));
    let mut records: Vec<_> = records.filter(|record| request.contains(record)).collect();
    if records.len() > request.events_max as usize {
        records.truncate(request.events_max as usize);
        let next = records.last().map(|record| record.id).or(request.after);
        return Ok(Tried::Done(Page::new(records, next)));
    }
    let last = numbers.last().map(|number| suno_callback::EventId(*number));
    Ok(Tried::Done(Page::new(records, last.filter(|_| !is_end))))
}

/// Counts events by state.
pub(crate) async fn counts(session: Session) -> Result<Counts, Error> {
    let begun = session.batch(BEGIN_READING);
    let counted_max = i64::try_from(LEDGER_COUNTED_MAX).unwrap_or(i64::MAX);
    let overdue_after = micros(OVERDUE_AFTER);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&counted_max, Type::INT8), (&overdue_after, Type::INT8)];
    let counted = session.query(COUNTS, &parameters);
    let ended = session.batch("COMMIT");
    let (_, rows, ()) = tokio::try_join!(biased; begun, counted, ended)?;
    let mut counts = Counts::default();
    for row in &rows {
        let (state, count, done): (i64, i64, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let count = u64::try_from(count).unwrap_or_default();
        counts.done += done.unsigned_abs();
        match i16::try_from(state).unwrap_or(i16::MAX) {
            READY => counts.ready += count,
            CLAIMED => counts.claimed += count,
            WAITING => counts.waiting += count,
            3 => counts.done += count,
            4 => counts.dead += count,
            5 => counts.superseded += count,
            6 => counts.dropped += count,
            8 => counts.expected += count,
            9 => counts.overdue += count,
            10 => counts.open_intents += count,
            _ => counts.quarantined += count,
        }
    }
    Ok(counts)
}

/// The time until the next event becomes ready; zero if one is ready, or if the transaction of a handler
/// has settled one, which may let another stage of its task go on.
pub(crate) async fn next_due(
    store: &Inner,
    session: Session,
) -> Result<Tried<Option<Duration>>, Error> {
    const NEXT: &str = "
        SELECT {schema}.clock(), CASE WHEN EXISTS (SELECT FROM {schema}.settled_in) THEN 0 ELSE
            (SELECT w.at FROM {schema}.work w WHERE w.at IS NOT NULL ORDER BY w.at LIMIT 1) END";
    let sent = store.clock.reading();
    let rows = session.query(NEXT, &[]).await?;
    let Some(now) = time(&store.clock, &rows, sent)? else {
        return Ok(Tried::ClockMoved);
    };
    let next: Option<i64> = match rows.first() {
        Some(row) => row.try_get(1)?,
        None => None,
    };
    let next = next.map(crate::columns::since_start);
    Ok(Tried::Done(next.map(|next| next.saturating_sub(now))))
}
