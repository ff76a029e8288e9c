//! Writes what an operation has changed about the events of its tasks.
//!
//! The statements are sent together with the COMMIT, so that they cost one round trip.

use std::pin::Pin;

use suno_callback::EventId;
use suno_callback::rules::{StoredConflict, StoredEvent};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::columns::{
    DONE, Micros, SUPERSEDED, micros, product_column, prose_column, source_column, state_columns,
    time_column, word_column, worker_column,
};
use crate::connect::{Error, Session};
use crate::load::{Former, Task, Tasks};
use crate::rows::{Raw, Rows, table};

table!(EventRows {
    no: i64 = INT8_ARRAY,
    task_no: i64 = INT8_ARRAY,
    stored_at: i64 = INT8_ARRAY,
    received_at: i64 = INT8_ARRAY,
    code: i64 = INT8_ARRAY,
    results: i32 = INT4_ARRAY,
    revision: i16 = INT2_ARRAY,
    source: i16 = INT2_ARRAY,
    verified_by: i16 = INT2_ARRAY,
    unconfirmed: bool = BOOL_ARRAY,
    strict: Vec<u8> = BYTEA_ARRAY,
    semantic: Vec<u8> = BYTEA_ARRAY,
    stage: String = TEXT_ARRAY,
    product: Option<String> = TEXT_ARRAY,
    suffix: Option<String> = TEXT_ARRAY,
    submit: Option<Vec<u8>> = BYTEA_ARRAY,
    reference: Option<String> = TEXT_ARRAY,
    kind: Option<String> = TEXT_ARRAY,
});

table!(BodyRows {
    event_no: i64 = INT8_ARRAY,
    raw: Raw = BYTEA_ARRAY,
});

table!(ConflictRows {
    event_no: i64 = INT8_ARRAY,
    strict: Vec<u8> = BYTEA_ARRAY,
    semantic: Vec<u8> = BYTEA_ARRAY,
    raw: Raw = BYTEA_ARRAY,
    received_at: Option<i64> = INT8_ARRAY,
    source: Option<i16> = INT2_ARRAY,
    verified_by: i16 = INT2_ARRAY,
});

table!(FormerRows {
    event_no: i64 = INT8_ARRAY,
    strict: Vec<u8> = BYTEA_ARRAY,
    semantic: Vec<u8> = BYTEA_ARRAY,
    received_at: Option<i64> = INT8_ARRAY,
    source: Option<i16> = INT2_ARRAY,
    verified_by: i16 = INT2_ARRAY,
});

table!(LostConflicts {
    event_no: i64 = INT8_ARRAY,
    strict: Vec<u8> = BYTEA_ARRAY,
});

table!(WorkRows {
    event_no: i64 = INT8_ARRAY,
    task_no: i64 = INT8_ARRAY,
    at: Option<i64> = INT8_ARRAY,
    due: i64 = INT8_ARRAY,
    open_since: i64 = INT8_ARRAY,
    worker: i64 = INT8_ARRAY,
    request: Option<i64> = INT8_ARRAY,
    epoch: i64 = INT8_ARRAY,
    attempts: i64 = INT8_ARRAY,
    lapses: i64 = INT8_ARRAY,
    nudges: i32 = INT4_ARRAY,
    state: i16 = INT2_ARRAY,
    reason: Option<String> = TEXT_ARRAY,
});

table!(PastRows {
    event_no: i64 = INT8_ARRAY,
    stored_at: i64 = INT8_ARRAY,
    open_since: i64 = INT8_ARRAY,
    worker: i64 = INT8_ARRAY,
    epoch: i64 = INT8_ARRAY,
    attempts: i64 = INT8_ARRAY,
    lapses: i64 = INT8_ARRAY,
    nudges: i32 = INT4_ARRAY,
    state: i16 = INT2_ARRAY,
    cause: Option<String> = TEXT_ARRAY,
    reason: Option<String> = TEXT_ARRAY,
});

const INSERT_EVENTS: &str = "
    INSERT INTO {schema}.event (no, task_no, stored_at, received_at, code, results, revision, source,
        verified_by, unconfirmed, strict, semantic, stage, product, suffix, submit, reference, kind)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
        $18)";
const UPDATE_EVENTS: &str = "
    UPDATE {schema}.event e SET code = d.code, results = d.results, source = d.source,
        verified_by = d.verified_by, unconfirmed = d.unconfirmed, strict = d.strict,
        semantic = d.semantic, product = d.product, submit = d.submit, reference = d.reference,
        kind = d.kind
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
        AS d (no, task_no, stored_at, received_at, code, results, revision, source, verified_by,
            unconfirmed, strict, semantic, stage, product, suffix, submit, reference, kind)
    WHERE e.no = d.no";
const WRITE_BODIES: &str = "
    INSERT INTO {schema}.body AS b (event_no, raw) SELECT * FROM unnest($1, $2)
    ON CONFLICT (event_no) DO UPDATE SET raw = excluded.raw";
const INSERT_CONFLICTS: &str = "
    INSERT INTO {schema}.conflict (event_no, strict, semantic, raw, received_at, source, verified_by)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)";
/// Keeps the body of an event that is about to be replaced.
const KEEP_FORMER: &str = "
    INSERT INTO {schema}.conflict (event_no, strict, semantic, raw, received_at, source, verified_by)
    SELECT d.event_no, d.strict, d.semantic, b.raw, d.received_at, d.source, d.verified_by
    FROM unnest($1, $2, $3, $4, $5, $6)
            AS d (event_no, strict, semantic, received_at, source, verified_by)
        LEFT JOIN {schema}.body b ON b.event_no = d.event_no";
const DELETE_CONFLICTS: &str = "
    DELETE FROM {schema}.conflict c USING unnest($1, $2) AS d (event_no, strict)
    WHERE c.event_no = d.event_no AND c.strict = d.strict";
const WRITE_WORK: &str = "
    INSERT INTO {schema}.work AS w (event_no, task_no, at, due, open_since, worker, request, epoch,
        attempts, lapses, nudges, state, reason)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (event_no) DO UPDATE SET at = excluded.at, due = excluded.due,
        open_since = excluded.open_since, worker = excluded.worker, request = excluded.request,
        epoch = excluded.epoch, attempts = excluded.attempts, lapses = excluded.lapses,
        nudges = excluded.nudges, state = excluded.state, reason = excluded.reason";
const DELETE_WORK: &str = "DELETE FROM {schema}.work WHERE event_no = ANY ($1)";
const WRITE_PAST: &str = "
    INSERT INTO {schema}.past AS p (event_no, stored_at, open_since, worker, epoch, attempts, lapses,
        nudges, state, cause, reason)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (event_no) DO UPDATE SET open_since = excluded.open_since,
        worker = excluded.worker, epoch = excluded.epoch, attempts = excluded.attempts,
        lapses = excluded.lapses, nudges = excluded.nudges, state = excluded.state,
        cause = excluded.cause, reason = excluded.reason";
const DELETE_PAST: &str = "DELETE FROM {schema}.past WHERE event_no = ANY ($1)";
const DELETE_SETTLED_IN: &str = "DELETE FROM {schema}.settled_in WHERE event_no = ANY ($1)";
const COUNT: &str = "INSERT INTO {schema}.tally (done, superseded, dropped) VALUES ($1, $2, $3)";

/// Everything that an operation has changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    new_events: EventRows,
    changed_events: EventRows,
    bodies: BodyRows,
    conflicts: ConflictRows,
    former_bodies: FormerRows,
    lost_conflicts: LostConflicts,
    work: WorkRows,
    no_work: Vec<i64>,
    past: PastRows,
    no_past: Vec<i64>,
    seen_settled_in: Vec<i64>,
    done: i64,
    superseded: i64,
    pub(crate) dropped: i64,
}

/// A statement that is being sent.
pub(crate) type Sending<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

impl Changes {
    /// Compares the events of tasks with what they were before. `request` is the number of the claim
    /// request that granted the new claims.
    pub(crate) fn of(tasks: &Tasks, request: Option<u64>) -> Result<Self, Error> {
        let mut changes = Self::default();
        for task in &tasks.tasks {
            changes.add_task(task, request)?;
        }
        Ok(changes)
    }

    /// Sends the statements in their order, to be awaited together with what follows them.
    pub(crate) fn send<'a>(&'a self, session: &'a Session) -> Vec<Sending<'a>> {
        let mut sent: Vec<Sending<'a>> = Vec::new();
        let mut send = |is_empty: bool, sql, parameters: Vec<(&'a (dyn ToSql + Sync), Type)>| {
            if !is_empty {
                sent.push(Box::pin(
                    async move { session.query(sql, &parameters).await },
                ));
            }
        };
        macro_rules! rows {
            ($sql:expr, $rows:expr) => {
                send($rows.is_empty(), $sql, $rows.parameters())
            };
        }
        macro_rules! numbers {
            ($sql:expr, $numbers:expr) => {
                send(
                    $numbers.is_empty(),
                    $sql,
                    vec![(&$numbers as &(dyn ToSql + Sync), Type::INT8_ARRAY)],
                )
            };
        }
        rows!(INSERT_EVENTS, self.new_events);
        rows!(UPDATE_EVENTS, self.changed_events);
        rows!(DELETE_CONFLICTS, self.lost_conflicts);
        rows!(KEEP_FORMER, self.former_bodies);
        rows!(INSERT_CONFLICTS, self.conflicts);
        rows!(WRITE_BODIES, self.bodies);
        numbers!(DELETE_PAST, self.no_past);
        numbers!(DELETE_WORK, self.no_work);
        rows!(WRITE_WORK, self.work);
        rows!(WRITE_PAST, self.past);
        numbers!(DELETE_SETTLED_IN, self.seen_settled_in);
        let counts = [&self.done, &self.superseded, &self.dropped];
        let is_empty = counts.iter().all(|count| **count == 0);
        let counts = counts.map(|count| (count as &(dyn ToSql + Sync), Type::INT8));
        send(is_empty, COUNT, counts.to_vec());
        sent
    }

    fn add_task(&mut self, task: &Task, request: Option<u64>) -> Result<(), Error> {
        let queue: Vec<_> = task.events.queue().collect();
        for event in &task.events.events {
            let at = queue.iter().find(|(_, id)| *id == event.id);
            let at = at.map(|(at, _)| micros(*at));
            match task.former(event.id) {
                Some(former) => self.add_changed(task.no, former, event, at, request)?,
                None => self.add_new(task.no, event, at)?,
            }
        }
        Ok(())
    }

    fn add_new(&mut self, task: i64, event: &StoredEvent, at: Option<i64>) -> Result<(), Error> {
        self.new_events.push(task, event);
        // An adopted event may have none.
        if event.raw.is_some() {
            self.bodies.event_no.push(event.id.0);
            self.bodies.raw.push(Raw::of(&event.raw));
        }
        for conflict in &event.conflicts {
            self.conflicts.push(event.id, conflict);
        }
        self.add_state(task, event, at, None)
    }

    fn add_changed(
        &mut self,
        task: i64,
        former: &Former,
        event: &StoredEvent,
        at: Option<i64>,
        request: Option<u64>,
    ) -> Result<(), Error> {
        let was = &former.event;
        if says(was) != says(event) {
            self.changed_events.push(task, event);
            // A confirmation brings a body of its own, which may be the same.
            self.bodies.event_no.push(event.id.0);
            self.bodies.raw.push(Raw::of(&event.raw));
        }
        self.add_conflicts(was, event);
        if former.settled_in {
            self.seen_settled_in.push(event.id.0);
        }
        let is_settled = |event: &StoredEvent| event.ready_at().is_none();
        if held(was) == held(event) && former.at == at && !former.settled_in {
            return Ok(());
        }
        match (is_settled(was), is_settled(event)) {
            (false, true) => self.no_work.push(event.id.0),
            (true, false) => self.no_past.push(event.id.0),
            _ => {}
        }
        self.count(was, -1);
        let request = match was.epoch == event.epoch {
            true => former.request,
            false => request.map(u64::cast_signed),
        };
        self.add_state(task, event, at, request)
    }

    fn add_conflicts(&mut self, was: &StoredEvent, event: &StoredEvent) {
        let has = |event: &StoredEvent, conflict: &StoredConflict| {
            let same = |other: &StoredConflict| other.print == conflict.print;
            event.conflicts.iter().any(same)
        };
        for conflict in &event.conflicts {
            if conflict.print == was.print {
                self.former_bodies.push(event.id, conflict);
            } else if !has(was, conflict) {
                self.conflicts.push(event.id, conflict);
            }
        }
        for conflict in &was.conflicts {
            if !has(event, conflict) {
                self.lost_conflicts.event_no.push(event.id.0);
                let strict = conflict.print.strict.0.to_vec();
                self.lost_conflicts.strict.push(strict);
            }
        }
    }

    fn add_state(
        &mut self,
        task: i64,
        event: &StoredEvent,
        at: Option<i64>,
        request: Option<i64>,
    ) -> Result<(), Error> {
        self.count(event, 1);
        match event.ready_at() {
            Some(_) => self.work.push(task, event, at, request),
            None => self.past.push(event),
        }
    }

    fn count(&mut self, event: &StoredEvent, by: i64) {
        match state_columns(event.state) {
            Ok((DONE, _)) => self.done += by,
            Ok((SUPERSEDED, _)) => self.superseded += by,
            _ => {}
        }
    }
}

/// What a confirmation changes about an event.
fn says(event: &StoredEvent) -> impl PartialEq {
    (
        (event.print, event.code, event.results, event.source),
        (event.verified_by, event.unconfirmed, event.submit),
    )
}

/// What claims and settlements change about an event.
fn held(event: &StoredEvent) -> impl PartialEq {
    (
        (event.state, event.open_since, event.worker, event.epoch),
        (event.attempts, event.lapses, event.nudges),
        (event.dead_cause, event.reason.clone()),
    )
}

impl EventRows {
    fn push(&mut self, task: i64, event: &StoredEvent) {
        self.no.push(event.id.0);
        self.task_no.push(task);
        self.stored_at.push(micros(event.stored_at));
        self.received_at.push(time_column(event.received_at));
        self.code.push(event.code.0);
        self.results.push(event.results.into());
        let revision = i16::try_from(event.key.revision()).unwrap_or(i16::MAX);
        self.revision.push(revision);
        self.source.push(source_column(event.source));
        self.verified_by.push(event.verified_by.bits().into());
        self.unconfirmed.push(event.unconfirmed);
        self.strict.push(event.print.strict.0.to_vec());
        self.semantic.push(event.print.semantic.0.to_vec());
        self.stage.push(word_column(event.key.stage().as_str()));
        self.product.push(product_column(&event.product));
        let suffix = event.suffix.as_ref().map(ToString::to_string);
        self.suffix.push(suffix.map(|text| word_column(&text)));
        let submit = event.submit.map(|submit| submit.bytes().to_vec());
        self.submit.push(submit);
        let reference = event.reference.as_ref().map(ToString::to_string);
        self.reference.push(reference);
        self.kind.push(event.kind.as_ref().map(ToString::to_string));
    }
}

impl ConflictRows {
    fn push(&mut self, event: EventId, conflict: &StoredConflict) {
        self.event_no.push(event.0);
        self.strict.push(conflict.print.strict.0.to_vec());
        self.semantic.push(conflict.print.semantic.0.to_vec());
        self.raw.push(Raw::of(&conflict.record.raw));
        let record = &conflict.record;
        self.received_at.push(record.received_at.map(time_column));
        self.source.push(record.source.map(source_column));
        self.verified_by.push(record.verified_by.bits().into());
    }
}

impl FormerRows {
    fn push(&mut self, event: EventId, conflict: &StoredConflict) {
        self.event_no.push(event.0);
        self.strict.push(conflict.print.strict.0.to_vec());
        self.semantic.push(conflict.print.semantic.0.to_vec());
        let record = &conflict.record;
        self.received_at.push(record.received_at.map(time_column));
        self.source.push(record.source.map(source_column));
        self.verified_by.push(record.verified_by.bits().into());
    }
}

impl WorkRows {
    fn push(
        &mut self,
        task: i64,
        event: &StoredEvent,
        at: Option<Micros>,
        request: Option<i64>,
    ) -> Result<(), Error> {
        let (state, due) = state_columns(event.state)?;
        self.event_no.push(event.id.0);
        self.task_no.push(task);
        self.at.push(at);
        self.due.push(due);
        self.open_since.push(micros(event.open_since));
        self.worker.push(worker_column(event.worker));
        self.request.push(request);
        self.epoch.push(event.epoch.into());
        self.attempts.push(event.attempts.into());
        self.lapses.push(event.lapses.into());
        self.nudges.push(event.nudges.cast_signed());
        self.state.push(state);
        self.reason.push(event.reason.as_deref().map(prose_column));
        Ok(())
    }
}

impl PastRows {
    fn push(&mut self, event: &StoredEvent) -> Result<(), Error> {
        let (state, _) = state_columns(event.state)?;
        self.event_no.push(event.id.0);
        self.stored_at.push(micros(event.stored_at));
        self.open_since.push(micros(event.open_since));
        self.worker.push(worker_column(event.worker));
        self.epoch.push(event.epoch.into());
        self.attempts.push(event.attempts.into());
        self.lapses.push(event.lapses.into());
        self.nudges.push(event.nudges.cast_signed());
        self.state.push(state);
        let cause = event.dead_cause.map(|cause| cause.as_str().to_owned());
        self.cause.push(cause);
        self.reason.push(event.reason.as_deref().map(prose_column));
        Ok(())
    }
}
