//! Inspects the file: events, the quarantine, counts.

use rusqlite::{Params, Row, Transaction, params};
use suno_callback::{
    ConflictRecord, Counts, DeadCause, EventId, EventKey, EventRecord, ListRequest, Page,
    QuarantinedDelivery, StateName, SubmitId, VerifiedBy,
};
use suno_types::{Code, Stage, TaskId};

use crate::clock::Micros;
use crate::error::Result;
use crate::keys::Keys;
use crate::ledger;
use crate::row::{self, source, state, task_hash, time};
use crate::work::Work;

/// The maximum number of events that are looked at for one page of a filtered list.
const LOOKED_AT_MAX: u32 = 4_096;

/// Returns all events of a task, with their bodies.
pub(crate) fn find(work: &mut Work<'_>, task_id: &TaskId) -> Result<Vec<EventRecord>> {
    work.keys.catch_up(work.transaction)?;
    let events = {
        let mut merged = Keys::merged(work.transaction)?;
        work.keys.of_task(&mut merged, task_hash(task_id))?
    };
    let sql = format!("{EVENT}, raw {FROM_EVENTS} WHERE id = ?1 AND task_id = ?2");
    let mut found = Vec::new();
    for event in events {
        let values = params![event, task_id.as_str()];
        found.extend(records(work.transaction, work.now, &sql, values)?);
    }
    Ok(found)
}

/// Returns a page of events, without their bodies.
pub(crate) fn list(work: &mut Work<'_>, request: &ListRequest) -> Result<Page<EventRecord>> {
    let is_filtered = request.filter != suno_callback::EventFilter::default();
    let looked_at_max = match is_filtered {
        true => LOOKED_AT_MAX,
        // One more shows whether the list continues.
        false => request.events_max.saturating_add(1),
    };
    let sql = format!(
        "{EVENT}, NULL {FROM_EVENTS} WHERE id IN ({}) ORDER BY id",
        numbers_of(request.filter.state)
    );
    let after = request.after.map_or(i64::MIN, |after| after.0);
    let values = params![after, looked_at_max];
    let looked_at = records(work.transaction, work.now, &sql, values)?;
    let is_end = looked_at.len() < looked_at_max as usize;
    let last_looked_at = looked_at.last().map(|record| record.id);
    let matches = |record: &EventRecord| {
        let (stage, received_at) = (record.key.stage(), record.received_at);
        request.filter.contains(record.state, stage, received_at)
    };
    let mut records: Vec<_> = looked_at.into_iter().filter(matches).collect();
    if records.len() > request.events_max as usize {
        records.truncate(request.events_max as usize);
        let next = records.last().map(|record| record.id).or(request.after);
        return Ok(Page::new(records, next));
    }
    let next = last_looked_at.filter(|_| !is_end);
    Ok(Page::new(records, next))
}

/// Returns the numbers of events that may be in a state: at most `?2` after `?1`.
fn numbers_of(state: Option<StateName>) -> &'static str {
    match state {
        Some(StateName::Dead) => {
            "SELECT event_id FROM dead WHERE event_id > ?1 ORDER BY event_id LIMIT ?2"
        }
        Some(StateName::Claimed | StateName::Waiting) => {
            "SELECT event_id FROM later WHERE event_id > ?1 ORDER BY event_id LIMIT ?2"
        }
        Some(StateName::Ready) => {
            "SELECT event_id FROM (
                 SELECT * FROM (SELECT event_id FROM ready WHERE event_id > ?1
                                ORDER BY event_id LIMIT ?2)
                 UNION ALL
                 SELECT * FROM (SELECT event_id FROM later WHERE event_id > ?1
                                ORDER BY event_id LIMIT ?2)
             ) ORDER BY event_id LIMIT ?2"
        }
        _ => "SELECT id FROM events WHERE id > ?1 ORDER BY id LIMIT ?2",
    }
}

/// The columns of an event; the body comes last.
const EVENT: &str = "SELECT id, task_id, stage, code,
    CASE WHEN later.event_id IS NOT NULL THEN later.state
         WHEN ready.event_id IS NOT NULL THEN 0
         WHEN settled.event_id IS NOT NULL THEN settled.state
         WHEN dead.event_id IS NOT NULL THEN 4
         ELSE -1 END,
    coalesce(later.due, later.since, 0),
    coalesce(later.attempts, settled.attempts, dead.attempts, 0), coalesce(later.lapses, 0),
    coalesce(later.reason, settled.reason, dead.reason), dead.cause,
    source, verified_by, events.unconfirmed, events.received_at,
    (SELECT count(*) FROM conflicts WHERE conflicts.event_id = events.id),
    revision, results, product, suffix, submit, reference, kind";

/// Reads events with their states.
const FROM_EVENTS: &str = "FROM events
    LEFT JOIN later ON later.event_id = id LEFT JOIN ready ON ready.event_id = id
    LEFT JOIN settled ON settled.event_id = id LEFT JOIN dead ON dead.event_id = id";

/// Reads the row of an event.
struct EventRow {
    id: i64,
    task_id: String,
    stage: Stage,
    code: i64,
    state: (i64, Micros),
    attempts: u32,
    lapses: u32,
    reason: Option<String>,
    cause: Option<String>,
    source: i64,
    verified_by: u8,
    unconfirmed: bool,
    received_at: i64,
    conflicts: u32,
    revision: u32,
    results: u16,
    product: Option<String>,
    suffix: Option<String>,
    submit: Option<[u8; 16]>,
    reference: Option<String>,
    kind: Option<String>,
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
            lapses: row.get(7)?,
            reason: row.get(8)?,
            cause: row.get(9)?,
            source: row.get(10)?,
            verified_by: row.get(11)?,
            unconfirmed: row.get(12)?,
            received_at: row.get(13)?,
            conflicts: row.get(14)?,
            revision: row.get(15)?,
            results: row.get(16)?,
            product: row.get(17)?,
            suffix: row.get(18)?,
            submit: row.get(19)?,
            reference: row.get(20)?,
            kind: row.get(21)?,
            raw: row.get(22)?,
        })
    }

    fn into_record(self, now: Micros) -> Result<EventRecord> {
        let key = EventKey::new(row::task_id(self.task_id)?, self.stage);
        let key = key.with_revision(self.revision);
        let received_at = time(self.received_at)?;
        let mut record = EventRecord::new(EventId(self.id), key, Code(self.code), received_at);
        record.state = state(self.state.0, self.state.1, now)?;
        record.attempts = self.attempts;
        record.lapses = self.lapses;
        record.reason = self.reason;
        record.dead_cause = self.cause.as_deref().and_then(DeadCause::from_word);
        record.source = source(self.source);
        record.verified_by = VerifiedBy::from_bits(self.verified_by);
        record.unconfirmed = self.unconfirmed;
        record.conflicts = self.conflicts;
        record.results = self.results;
        record.product = row::product(self.product);
        record.suffix = row::suffix(self.suffix);
        record.submit = self.submit.map(SubmitId::from_bytes);
        record.reference = row::reference(self.reference)?;
        record.kind = self.kind.as_deref().map(row::kind).transpose()?;
        record.raw = self.raw.map(Into::into);
        Ok(record)
    }
}

fn records(
    transaction: &Transaction<'_>,
    now: Micros,
    sql: &str,
    values: impl Params,
) -> Result<Vec<EventRecord>> {
    let mut statement = transaction.prepare_cached(sql)?;
    let rows = statement.query_map(values, EventRow::read)?;
    rows.map(|row| row?.into_record(now)).collect()
}

/// Returns the conflicts of an event, in the order in which they were kept.
pub(crate) fn conflicts(work: &mut Work<'_>, event: EventId) -> Result<Vec<ConflictRecord>> {
    let mut statement = work.transaction.prepare_cached(
        "SELECT raw, received_at, source, verified_by FROM conflicts
         WHERE event_id = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([event.0])?;
    let mut conflicts = Vec::new();
    while let Some(row) = rows.next()? {
        let raw: Option<Vec<u8>> = row.get(0)?;
        conflicts.push(ConflictRecord::new(raw.map(Into::into)).with_origin(
            time(row.get(1)?)?,
            source(row.get(2)?),
            VerifiedBy::from_bits(row.get(3)?),
        ));
    }
    Ok(conflicts)
}

/// Returns a page of the quarantine.
pub(crate) fn quarantine(
    work: &mut Work<'_>,
    after: Option<EventId>,
    entries_max: u32,
) -> Result<Page<QuarantinedDelivery>> {
    let after = after.map_or(i64::MIN, |after| after.0);
    let mut statement = work.transaction.prepare_cached(
        "SELECT id, task_id, reason, received_at, source, verified_by, raw, submit, suffix
         FROM quarantine
         WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let mut rows = statement.query(params![after, entries_max.saturating_add(1)])?;
    let mut records = Vec::new();
    let mut next = None;
    while let Some(row) = rows.next()? {
        if records.len() >= entries_max as usize {
            next = records.last().map(|last: &QuarantinedDelivery| last.id);
            break;
        }
        records.push(quarantined(row)?);
    }
    Ok(Page::new(records, next))
}

fn quarantined(row: &Row<'_>) -> Result<QuarantinedDelivery> {
    let task_id: Option<String> = row.get(1)?;
    let mut entry = QuarantinedDelivery::new(
        EventId(row.get(0)?),
        task_id.and_then(|id| TaskId::new(id).ok()),
        row.get::<_, String>(2)?,
        time(row.get(3)?)?,
        row.get::<_, Vec<u8>>(6)?,
    );
    entry.source = source(row.get(4)?);
    entry.verified_by = VerifiedBy::from_bits(row.get(5)?);
    entry.submit = row.get::<_, Option<_>>(7)?.map(SubmitId::from_bytes);
    entry.suffix = row::suffix(row.get(8)?);
    Ok(entry)
}

/// Counts the events by state.
pub(crate) fn counts(work: &mut Work<'_>) -> Result<Counts> {
    let mut statement = work.transaction.prepare_cached(
        "SELECT (SELECT count(*) FROM ready) + (SELECT count(*) FROM later WHERE state = 0),
             (SELECT count(*) FROM later WHERE state = 1),
             (SELECT count(*) FROM later WHERE state = 2),
             (SELECT count(*) FROM dead), (SELECT count(*) FROM quarantine),
             done, superseded, dropped
         FROM marks",
    )?;
    let mut counts = Counts::default();
    statement.query_row((), |row| {
        counts.ready = row.get::<_, u32>(0)?.into();
        counts.claimed = row.get::<_, u32>(1)?.into();
        counts.waiting = row.get::<_, u32>(2)?.into();
        counts.dead = row.get::<_, u32>(3)?.into();
        counts.quarantined = row.get::<_, u32>(4)?.into();
        counts.done = row.get::<_, i64>(5)?.unsigned_abs();
        counts.superseded = row.get::<_, i64>(6)?.unsigned_abs();
        counts.dropped = row.get::<_, i64>(7)?.unsigned_abs();
        Ok(())
    })?;
    ledger::count(work, &mut counts)?;
    Ok(counts)
}
