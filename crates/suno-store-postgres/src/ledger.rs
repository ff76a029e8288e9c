//! Submits and expected tasks.

use std::time::Duration;

use suno_callback::bounds::POSTPONE_MAX;
use suno_callback::{
    DueRequest, DueTask, DueTasks, DueTicket, Expectation, ExpectedTask, Intent, OpenIntent,
    PollState, Postponement, RecordedSubmit, RecordedTask, Reference, SubmitId,
};
use suno_types::TaskId;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN, BEGIN_READING, NOW};
use crate::columns::{
    self as columns, Columns, lease_within_bounds, micros, since_start, task_key, time_column,
};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::intents::EXPECT;
use crate::operations::decided;
use crate::transaction::{Tried, roll_back, time};

/// The maximum number of tasks that one request looks at.
const LOOKED_AT_MAX: usize = 1_024;
/// The number of tasks that are not needed any more, and that a request expects to find besides.
const LOOK_MORE: usize = 64;

/// A repeated intent is a new one.
const FORGET: &str = "DELETE FROM {schema}.intent WHERE submit = $1";
const INTEND: &str = "
    INSERT INTO {schema}.intent (submit, stored_at, intended_at, due_after, reference, kind)
    VALUES ($1, {schema}.clock(), $2, $3, $4, $5)
    ON CONFLICT (submit) DO UPDATE SET stored_at = excluded.stored_at, task_id = NULL";
const WITHDRAW: &str = "DELETE FROM {schema}.intent WHERE submit = $1 AND task_id IS NULL";
const OPEN: &str = "
    SELECT i.no, i.submit, i.intended_at, i.stored_at, i.reference, i.kind FROM {schema}.intent i
    WHERE i.task_id IS NULL AND i.no > $1 AND i.stored_at <= (SELECT {schema}.clock()) - $2
    ORDER BY i.no LIMIT $3";
const SUBMITS: &str = "
    SELECT i.submit, i.intended_at, i.kind, i.task_id FROM {schema}.intent i
    WHERE i.reference = $1 ORDER BY i.no LIMIT $2";
const CLOSE: &str = "
    UPDATE {schema}.intent SET task_id = $2 WHERE submit = $1 AND task_id IS NULL";
/// The columns of what is recorded of a task, and the first submit that made it.
macro_rules! recorded {
    ($task_id:literal from $tables:literal then $end:literal) => {
        concat!(
            "SELECT ",
            $task_id,
            ", x.no, x.expected_since, x.due, x.lease_end, x.answers,
                coalesce(i.submit, x.submit), coalesce(x.kind, i.kind), i.intended_at, i.reference
            FROM ",
            $tables,
            " LEFT JOIN LATERAL (
                SELECT f.submit, f.kind, f.intended_at, f.reference FROM {schema}.intent f
                WHERE f.task_id = ",
            $task_id,
            " ORDER BY f.no LIMIT 1) i ON true ",
            $end
        )
    };
}
const EXPECTED: &str = recorded!(
    "x.task_id" from "{schema}.expected x" then "WHERE x.no < $1 ORDER BY x.no DESC LIMIT $2");
const RECORDED: &str = recorded!(
    "t.id" from "unnest($1) WITH ORDINALITY AS t (id, place)
        LEFT JOIN {schema}.expected x ON x.task_id = t.id" then "ORDER BY t.place");
const FIND_DUE: &str = "
    SELECT x.no, x.task_id FROM {schema}.expected x WHERE x.due <= (SELECT {schema}.clock())
    ORDER BY x.due, x.no LIMIT $1 FOR UPDATE SKIP LOCKED";
const FINISH_ALL: &str = "DELETE FROM {schema}.expected WHERE no = ANY ($1)";
const TAKE: &str = "
    UPDATE {schema}.expected x SET due = $2, lease_end = $2, epoch = nextval('{schema}.epochs')
    WHERE x.no = ANY ($1)
    RETURNING x.no, x.task_id, x.epoch, x.expected_since, x.answers, x.submit, x.kind";
const NEXT: &str = "
    SELECT x.due FROM {schema}.expected x WHERE x.due > $1 AND x.no <> ALL ($2)
    ORDER BY x.due LIMIT 1";
const POSTPONE: &str = "
    UPDATE {schema}.expected x SET due = {schema}.clock() + $3, lease_end = NULL,
        answers = x.answers + $4
    WHERE x.task_id = $1 AND x.epoch % 4294967296 = $2 AND x.epoch > 0 RETURNING x.no";
const FINISH: &str = "
    DELETE FROM {schema}.expected x
    WHERE x.task_id = $1 AND x.epoch % 4294967296 = $2 AND x.epoch > 0 RETURNING x.no";

/// Ends a transaction whose statements have succeeded, unless the server's clock was set.
async fn finish<T>(
    store: &Inner,
    session: &Session,
    now: &[Row],
    sent: Duration,
    value: T,
) -> Result<Tried<T>, Error> {
    if time(&store.clock, now, sent)?.is_none() {
        return roll_back(session, Tried::ClockMoved).await;
    }
    session.batch("COMMIT").await?;
    Ok(Tried::Done(value))
}

/// Records that a submit is about to be sent.
pub(crate) async fn intend(
    store: &Inner,
    session: Session,
    intent: &Intent,
) -> Result<Tried<()>, Error> {
    let submit = intent.submit.bytes().to_vec();
    let intended_at = time_column(intent.intended_at);
    let due_after = micros(intent.due_after.min(POSTPONE_MAX));
    let reference = intent.reference.as_ref().map(|it| it.as_str().to_owned());
    let kind = intent.kind.to_string();
    let forget: [(&(dyn ToSql + Sync), Type); 1] = [(&submit, Type::BYTEA)];
    let insert: [(&(dyn ToSql + Sync), Type); 5] = [
        (&submit, Type::BYTEA),
        (&intended_at, Type::INT8),
        (&due_after, Type::INT8),
        (&reference, Type::TEXT),
        (&kind, Type::TEXT),
    ];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let forgotten = session.query(FORGET, &forget);
    let inserted = session.query(INTEND, &insert);
    let now = session.query(NOW, &[]);
    let (_, _, _, now) = tokio::try_join!(biased; begun, forgotten, inserted, now)?;
    finish(store, &session, &now, sent, ()).await
}

/// Removes an intent that is open.
pub(crate) async fn withdraw(session: Session, submit: SubmitId) -> Result<(), Error> {
    let submit = submit.bytes().to_vec();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&submit, Type::BYTEA)];
    let begun = session.batch(BEGIN);
    let withdrawn = session.query(WITHDRAW, &parameters);
    tokio::try_join!(biased; begun, withdrawn)?;
    session.batch("COMMIT").await
}

/// Lists open intents, oldest first.
pub(crate) async fn open_intents(
    store: &Inner,
    session: Session,
    open_for: Duration,
    after: Option<u64>,
    intents_max: u32,
) -> Result<Tried<Vec<OpenIntent>>, Error> {
    let after = after.map_or(-1, |after| i64::try_from(after).unwrap_or(i64::MAX));
    // Ages are compared with the time, so none can be greater.
    let open_for = micros(open_for).min(i64::MAX / 2);
    let limit = i64::from(intents_max);
    let parameters: [(&(dyn ToSql + Sync), Type); 3] = [
        (&after, Type::INT8),
        (&open_for, Type::INT8),
        (&limit, Type::INT8),
    ];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN_READING);
    let open = session.query(OPEN, &parameters);
    let now = session.query(NOW, &[]);
    let (_, rows, now) = tokio::try_join!(biased; begun, open, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    session.batch("COMMIT").await?;
    let open: Result<Vec<_>, Error> = rows.iter().map(|row| read_open(row, now)).collect();
    Ok(Tried::Done(open?))
}

fn read_open(row: &Row, now: Duration) -> Result<OpenIntent, Error> {
    let mut columns = Columns::of(row);
    let number: i64 = columns.next()?;
    let submit = columns::submit(columns.next()?)?;
    let submit = submit.ok_or(Error::Damaged("an intent has no submit"))?;
    let intended_at = columns::time(columns.next()?)?;
    let open_for = now.saturating_sub(since_start(columns.next()?));
    let mut intent = OpenIntent::new(number.unsigned_abs(), submit, intended_at, open_for);
    intent.reference = columns::reference(columns.next()?)?;
    intent.kind = columns::kind(columns.next()?)?;
    Ok(intent)
}

/// Returns the submits of a reference. There are as many intents as submits in the time after which they
/// are purged, and each of them costs more than reading all.
pub(crate) async fn submits(
    store: &Inner,
    session: Session,
    reference: &Reference,
    submits_max: u32,
) -> Result<Tried<Vec<RecordedSubmit>>, Error> {
    let (reference, limit) = (reference.as_str(), i64::from(submits_max));
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&reference, Type::TEXT), (&limit, Type::INT8)];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN_READING);
    let found = session.query(SUBMITS, &parameters);
    let now = session.query(NOW, &[]);
    let (_, rows, now) = tokio::try_join!(biased; begun, found, now)?;
    if time(&store.clock, &now, sent)?.is_none() {
        return roll_back(&session, Tried::ClockMoved).await;
    }
    session.batch("COMMIT").await?;
    let submits: Result<Vec<_>, Error> = rows.iter().map(read_submit).collect();
    Ok(Tried::Done(submits?))
}

fn read_submit(row: &Row) -> Result<RecordedSubmit, Error> {
    let mut columns = Columns::of(row);
    let submit = columns::submit(columns.next()?)?;
    let submit = submit.ok_or(Error::Damaged("an intent has no submit"))?;
    let mut recorded = RecordedSubmit::new(submit, columns::time(columns.next()?)?);
    recorded.kind = columns::kind(columns.next()?)?;
    let task_id: Option<String> = columns.next()?;
    recorded.task_id = task_id.map(columns::task_id).transpose()?;
    Ok(recorded)
}

/// Returns expected tasks, the latest first.
pub(crate) async fn expected_tasks(
    store: &Inner,
    session: Session,
    before: Option<u64>,
    tasks_max: u32,
) -> Result<Tried<Vec<RecordedTask>>, Error> {
    let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let limit = i64::from(tasks_max);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&before, Type::INT8), (&limit, Type::INT8)];
    read_recorded(store, session, EXPECTED, &parameters).await
}

/// Returns what is recorded of tasks.
pub(crate) async fn recorded_tasks(
    store: &Inner,
    session: Session,
    task_ids: &[TaskId],
) -> Result<Tried<Vec<RecordedTask>>, Error> {
    let task_ids: Vec<_> = task_ids.iter().map(TaskId::as_str).collect();
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&task_ids, Type::TEXT_ARRAY)];
    read_recorded(store, session, RECORDED, &parameters).await
}

async fn read_recorded(
    store: &Inner,
    session: Session,
    sql: &'static str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Tried<Vec<RecordedTask>>, Error> {
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN_READING);
    let found = session.query(sql, parameters);
    let now = session.query(NOW, &[]);
    let (_, rows, now) = tokio::try_join!(biased; begun, found, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    session.batch("COMMIT").await?;
    let tasks: Result<Vec<_>, Error> = rows.iter().map(|row| read_task(row, now)).collect();
    Ok(Tried::Done(tasks?))
}

fn read_task(row: &Row, now: Duration) -> Result<RecordedTask, Error> {
    let mut columns = Columns::of(row);
    let mut task = RecordedTask::new(columns::task_id(columns.next()?)?);
    match columns.next::<Option<i64>>()? {
        None => columns.skip(4),
        Some(number) => {
            let age = now.saturating_sub(since_start(columns.next()?));
            let due: i64 = columns.next()?;
            let lease_end: Option<i64> = columns.next()?;
            let due_at = since_start(due);
            let poll = match due_at.saturating_sub(now) {
                Duration::ZERO => PollState::Due {
                    due_for: now.saturating_sub(due_at),
                },
                holds_for if lease_end == Some(due) => PollState::Asked { holds_for },
                due_in => PollState::Waiting { due_in },
            };
            let mut expectation = Expectation::new(number.unsigned_abs(), age, poll);
            expectation.answers = columns::number(columns.next()?);
            task.expectation = Some(expectation);
        }
    }
    task.submit = columns::submit(columns.next()?)?;
    let kind: Option<&str> = columns.next()?;
    task.kind = kind.map(columns::kind).transpose()?;
    let intended_at: Option<i64> = columns.next()?;
    task.intended_at = intended_at.map(columns::time).transpose()?;
    task.reference = columns::reference(columns.next()?)?;
    Ok(task)
}

/// Registers an expected task, and closes its intent.
pub(crate) async fn expect(
    store: &Inner,
    session: Session,
    task: &ExpectedTask,
) -> Result<Tried<()>, Error> {
    let submit = task.submit.map(|submit| submit.bytes().to_vec());
    let task_id = task.task_id.as_str();
    let close: [(&(dyn ToSql + Sync), Type); 2] = [(&submit, Type::BYTEA), (&task_id, Type::TEXT)];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let closed = session.query(CLOSE, &close);
    let now = session.query(NOW, &[]);
    let (_, _, rows) = tokio::try_join!(biased; begun, closed, now)?;
    let Some(now) = time(&store.clock, &rows, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    let tasks = [task_id];
    let since = [micros(now)];
    let due = [micros(now + task.due_after.min(POSTPONE_MAX))];
    let submits = [submit];
    let kinds = [task.kind.to_string()];
    let (tasks, since, due) = (&tasks[..], &since[..], &due[..]);
    let (submits, kinds) = (&submits[..], &kinds[..]);
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&tasks, Type::TEXT_ARRAY),
        (&due, Type::INT8_ARRAY),
        (&since, Type::INT8_ARRAY),
        (&submits, Type::BYTEA_ARRAY),
        (&kinds, Type::TEXT_ARRAY),
    ];
    let expected = session.query(EXPECT, &parameters);
    let ended = session.batch("COMMIT");
    tokio::try_join!(biased; expected, ended)?;
    Ok(Tried::Done(()))
}

/// Takes due tasks in the order in which they became due, and removes those for which the provider need
/// not be asked.
pub(crate) async fn due(
    store: &Inner,
    session: Session,
    request: &DueRequest,
) -> Result<Tried<DueTasks>, Error> {
    let look_at = request
        .tasks_max
        .saturating_add(LOOK_MORE)
        .min(LOOKED_AT_MAX);
    let limit = i64::try_from(look_at).unwrap_or(i64::MAX);
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&limit, Type::INT8)];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let found = session.query(FIND_DUE, &parameters);
    let now = session.query(NOW, &[]);
    let (_, found, now) = tokio::try_join!(biased; begun, found, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    let mut candidates: Vec<(i64, TaskId)> = Vec::with_capacity(found.len());
    for row in &found {
        candidates.push((row.try_get(0)?, columns::task_id(row.try_get(1)?)?));
    }
    let keys = candidates.iter().map(|(_, id)| task_key(id).to_vec());
    let keys: Vec<_> = keys.collect();
    let decided: std::collections::HashSet<_> = match keys.is_empty() {
        true => Default::default(),
        false => decided(&session, &keys, now).await?.into_iter().collect(),
    };
    let mut finished = Vec::new();
    let mut taken = Vec::new();
    let mut due = DueTasks::default();
    for (no, id) in &candidates {
        if taken.len() >= request.tasks_max {
            due.more = true;
            break;
        }
        match decided.contains(id) {
            true => finished.push(*no),
            false => taken.push(*no),
        }
    }
    due.more |= candidates.len() >= look_at;
    let until = micros(now + lease_within_bounds(request.lease));
    let now_column = micros(now);
    let finish: [(&(dyn ToSql + Sync), Type); 1] = [(&finished, Type::INT8_ARRAY)];
    let take: [(&(dyn ToSql + Sync), Type); 2] = [(&taken, Type::INT8_ARRAY), (&until, Type::INT8)];
    let next: [(&(dyn ToSql + Sync), Type); 2] =
        [(&now_column, Type::INT8), (&taken, Type::INT8_ARRAY)];
    let finished = session.query(FINISH_ALL, &finish);
    let rows = session.query(TAKE, &take);
    let next = session.query(NEXT, &next);
    let ended = session.batch("COMMIT");
    let (_, rows, next, ()) = tokio::try_join!(biased; finished, rows, next, ended)?;
    let mut tasks = std::collections::HashMap::new();
    for row in &rows {
        tasks.insert(row.try_get::<_, i64>(0)?, read_due(row, now)?);
    }
    due.tasks = taken.iter().filter_map(|no| tasks.remove(no)).collect();
    if !due.more {
        let next: Option<i64> = next.first().map(|row| row.try_get(0)).transpose()?;
        let lease_end = (!taken.is_empty()).then_some(until);
        let next = next.into_iter().chain(lease_end).min();
        due.next_due = next.map(|at| since_start(at).saturating_sub(now));
    }
    Ok(Tried::Done(due))
}

fn read_due(row: &Row, now: Duration) -> Result<DueTask, Error> {
    let mut columns = Columns::of(row);
    columns.skip(1);
    let task_id = columns::task_id(columns.next()?)?;
    let epoch = epoch(columns.next()?);
    let age = now.saturating_sub(since_start(columns.next()?));
    let answers = columns::number(columns.next()?);
    let mut task = DueTask::new(DueTicket { task_id, epoch }, age, answers);
    task.submit = columns::submit(columns.next()?)?;
    task.kind = columns::kind(columns.next()?)?;
    Ok(task)
}

/// The part of an epoch that a ticket has.
fn epoch(column: i64) -> u32 {
    const MASK: i64 = u32::MAX as i64;
    u32::try_from(column & MASK).unwrap_or_default()
}

/// Makes a task due again after a pause. Returns false if the ticket is lost.
pub(crate) async fn postpone(
    store: &Inner,
    session: Session,
    ticket: &DueTicket,
    postponement: Postponement,
) -> Result<Tried<bool>, Error> {
    let task_id = ticket.task_id.as_str();
    let epoch = i64::from(ticket.epoch);
    let after = micros(postponement.after.min(POSTPONE_MAX));
    let answers = i64::from(postponement.is_answered);
    let parameters: [(&(dyn ToSql + Sync), Type); 4] = [
        (&task_id, Type::TEXT),
        (&epoch, Type::INT8),
        (&after, Type::INT8),
        (&answers, Type::INT8),
    ];
    let sent = store.clock.reading();
    let begun = session.batch(BEGIN);
    let postponed = session.query(POSTPONE, &parameters);
    let now = session.query(NOW, &[]);
    let (_, postponed, now) = tokio::try_join!(biased; begun, postponed, now)?;
    finish(store, &session, &now, sent, !postponed.is_empty()).await
}

/// Removes a task. Returns false if the ticket is lost.
pub(crate) async fn finish_task(session: Session, ticket: &DueTicket) -> Result<bool, Error> {
    let task_id = ticket.task_id.as_str();
    let epoch = i64::from(ticket.epoch);
    let parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&task_id, Type::TEXT), (&epoch, Type::INT8)];
    let begun = session.batch(BEGIN);
    let finished = session.query(FINISH, &parameters);
    let (_, finished) = tokio::try_join!(biased; begun, finished)?;
    session.batch("COMMIT").await?;
    Ok(!finished.is_empty())
}
