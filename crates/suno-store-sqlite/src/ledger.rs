//! Submits and due tasks.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use suno_callback::bounds::{LEASE_MAX, LEDGER_COUNTED_MAX, OVERDUE_AFTER, POSTPONE_MAX};
use suno_callback::{
    Counts, Delivery, DueRequest, DueTask, DueTasks, DueTicket, Expectation, ExpectedTask, Intent,
    OpenIntent, PollState, Postponement, RecordedSubmit, RecordedTask, Reference, SubmitId,
};
use suno_types::{TaskId, TaskKind};

use crate::clock::{Micros, after, left, micros};
use crate::error::Result;
use crate::row::{self, task_hash, task_id, time, time_column};
use crate::siblings::{Siblings, StoredSibling};
use crate::work::Work;

/// The maximum number of due tasks that are looked at in one transaction.
const LOOKED_AT_MAX: usize = 1_024;
/// The minimum lease: a task that is taken must not be due at the same moment.
const LEASE_MIN: Duration = Duration::from_micros(1);

/// Records that a submit is about to be sent.
pub(crate) fn intend(work: &mut Work<'_>, intent: &Intent) -> Result<()> {
    work.transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO intents (submit, intended_at, stored_at, due, reference, kind)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            intent.submit.bytes(),
            time_column(intent.intended_at),
            work.now,
            after(work.now, intent.due_after.min(POSTPONE_MAX)),
            intent
                .reference
                .as_ref()
                .map(|reference| reference.as_str()),
            intent.kind.to_string(),
        ])?;
    Ok(())
}

/// Removes the open intent of a submit.
pub(crate) fn withdraw(work: &mut Work<'_>, submit: SubmitId) -> Result<()> {
    work.transaction
        .prepare_cached("DELETE FROM intents WHERE submit = ?1 AND task_id IS NULL")?
        .execute([submit.bytes()])?;
    Ok(())
}

/// Returns the intents that have been open for some time.
pub(crate) fn open_intents(
    work: &mut Work<'_>,
    open_for: Duration,
    after: Option<u64>,
    intents_max: u32,
) -> Result<Vec<OpenIntent>> {
    let after = after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX));
    let mut statement = work.transaction.prepare_cached(
        "SELECT number, submit, intended_at, stored_at, reference, kind FROM intents
         WHERE task_id IS NULL AND number > ?1 AND stored_at <= ?2 ORDER BY number LIMIT ?3",
    )?;
    let stored_before = work.now.saturating_sub(micros(open_for));
    let values = params![after, stored_before, intents_max];
    let mut rows = statement.query(values)?;
    let mut intents = Vec::new();
    while let Some(row) = rows.next()? {
        intents.push(open_intent(row, work.now)?);
    }
    Ok(intents)
}

fn open_intent(row: &Row<'_>, now: Micros) -> Result<OpenIntent> {
    let number: i64 = row.get(0)?;
    let submit = SubmitId::from_bytes(row.get(1)?);
    let open_for = left(row.get(3)?, now);
    let intended_at = time(row.get(2)?)?;
    let mut intent = OpenIntent::new(number.unsigned_abs(), submit, intended_at, open_for);
    intent.reference = row::reference(row.get(4)?)?;
    intent.kind = row::kind(&row.get::<_, String>(5)?)?;
    Ok(intent)
}

/// Returns the submits of a reference.
pub(crate) fn submits(
    work: &mut Work<'_>,
    reference: &Reference,
    submits_max: u32,
) -> Result<Vec<RecordedSubmit>> {
    let mut statement = work.transaction.prepare_cached(
        "SELECT submit, intended_at, kind, task_id FROM intents
         WHERE reference = ?1 ORDER BY number LIMIT ?2",
    )?;
    let mut rows = statement.query(params![reference.as_str(), submits_max])?;
    let mut submits = Vec::new();
    while let Some(row) = rows.next()? {
        let submit = SubmitId::from_bytes(row.get(0)?);
        let mut recorded = RecordedSubmit::new(submit, time(row.get(1)?)?);
        recorded.kind = row::kind(&row.get::<_, String>(2)?)?;
        recorded.task_id = row
            .get::<_, Option<String>>(3)?
            .map(row::task_id)
            .transpose()?;
        submits.push(recorded);
    }
    Ok(submits)
}

/// What is known of the submit that a delivery names, as it is stored.
#[derive(Debug, Default)]
pub(crate) struct KnownSubmit {
    pub(crate) reference: Option<String>,
    pub(crate) kind: Option<String>,
}

/// Closes the intent that a delivery names, and expects its task. Returns what is known of the submit,
/// unless it made another task.
pub(crate) fn meet(work: &mut Work<'_>, delivery: &Delivery) -> Result<KnownSubmit> {
    let (Some(submit), Some(task_id)) = (delivery.submit, delivery.task_id()) else {
        return Ok(KnownSubmit::default());
    };
    let intent = work
        .transaction
        .prepare_cached(
            "SELECT reference, kind, task_id IS NULL, stored_at, due FROM intents
             WHERE submit = ?1 AND (task_id IS NULL OR task_id = ?2)",
        )?
        .query_row(params![submit.bytes(), task_id.as_str()], |row| {
            let known = KnownSubmit {
                reference: row.get(0)?,
                kind: row.get(1)?,
            };
            Ok((known, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((known, is_open, since, due)) = intent else {
        return Ok(KnownSubmit::default());
    };
    if is_open {
        close(work.transaction, submit, task_id)?;
        let task = Added {
            task_id,
            submit: Some(submit),
            kind: known.kind.as_deref().unwrap_or_default(),
            expected_since: since,
            due: work.now.max(due),
        };
        task.add(work.transaction)?;
    }
    Ok(known)
}

fn close(transaction: &Transaction<'_>, submit: SubmitId, task_id: &TaskId) -> Result<()> {
    transaction
        .prepare_cached("UPDATE intents SET task_id = ?2 WHERE submit = ?1 AND task_id IS NULL")?
        .execute(params![submit.bytes(), task_id.as_str()])?;
    Ok(())
}

/// Registers a task whose callbacks are expected.
pub(crate) fn expect(work: &mut Work<'_>, task: &ExpectedTask) -> Result<()> {
    if let Some(submit) = task.submit {
        close(work.transaction, submit, &task.task_id)?;
    }
    let added = Added {
        task_id: &task.task_id,
        submit: task.submit,
        kind: &task.kind.to_string(),
        expected_since: work.now,
        due: after(work.now, task.due_after.min(POSTPONE_MAX)),
    };
    added.add(work.transaction)
}

/// A task that is expected unless it already is.
struct Added<'a> {
    task_id: &'a TaskId,
    submit: Option<SubmitId>,
    kind: &'a str,
    expected_since: Micros,
    due: Micros,
}

impl Added<'_> {
    fn add(&self, transaction: &Transaction<'_>) -> Result<()> {
        transaction
            .prepare_cached(
                "INSERT INTO expected (task_id, expected_since, due, submit, kind)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (task_id) DO NOTHING",
            )?
            .execute(params![
                self.task_id.as_str(),
                self.expected_since,
                self.due,
                self.submit.as_ref().map(SubmitId::bytes),
                self.kind,
            ])?;
        Ok(())
    }
}

/// Selects what is recorded of tasks, with the first submit that made each.
fn select_recorded(task_id: &str, tables: &str) -> String {
    format!(
        "SELECT {task_id}, expected.number, expected_since, expected.due, is_asked, answers,
             coalesce(intents.submit, expected.submit), coalesce(expected.kind, intents.kind),
             intended_at, reference
         FROM {tables} LEFT JOIN intents ON intents.number = (
             SELECT first.number FROM intents AS first WHERE first.task_id = {task_id}
             ORDER BY first.number LIMIT 1)"
    )
}

/// Returns expected tasks, the latest first.
pub(crate) fn expected_tasks(
    work: &mut Work<'_>,
    before: Option<u64>,
    tasks_max: u32,
) -> Result<Vec<RecordedTask>> {
    let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
    let mut statement = work.transaction.prepare_cached(&format!(
        "{} WHERE expected.number < ?1 ORDER BY expected.number DESC LIMIT ?2",
        select_recorded("expected.task_id", "expected")
    ))?;
    let mut rows = statement.query(params![before, tasks_max])?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        tasks.push(recorded_task(row, work.now)?);
    }
    Ok(tasks)
}

/// Returns what is recorded of tasks.
pub(crate) fn recorded_tasks(
    work: &mut Work<'_>,
    task_ids: &[TaskId],
) -> Result<Vec<RecordedTask>> {
    let mut statement = work.transaction.prepare_cached(&select_recorded(
        "?1",
        "(SELECT 1) LEFT JOIN expected ON expected.task_id = ?1",
    ))?;
    let mut tasks = Vec::with_capacity(task_ids.len());
    for task_id in task_ids {
        let mut rows = statement.query([task_id.as_str()])?;
        if let Some(row) = rows.next()? {
            tasks.push(recorded_task(row, work.now)?);
        }
    }
    Ok(tasks)
}

fn recorded_task(row: &Row<'_>, now: Micros) -> Result<RecordedTask> {
    let mut task = RecordedTask::new(task_id(row.get(0)?)?);
    if let Some(number) = row.get::<_, Option<i64>>(1)? {
        let (since, due, is_asked): (Micros, Micros, bool) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let poll = match left(now, due) {
            Duration::ZERO => PollState::Due {
                due_for: left(due, now),
            },
            holds_for if is_asked => PollState::Asked { holds_for },
            due_in => PollState::Waiting { due_in },
        };
        let mut expectation = Expectation::new(number.unsigned_abs(), left(since, now), poll);
        expectation.answers = row.get(5)?;
        task.expectation = Some(expectation);
    }
    task.submit = row.get::<_, Option<_>>(6)?.map(SubmitId::from_bytes);
    let kind: Option<String> = row.get(7)?;
    task.kind = kind.as_deref().map(row::kind).transpose()?;
    task.intended_at = row.get::<_, Option<i64>>(8)?.map(time).transpose()?;
    task.reference = row::reference(row.get(9)?)?;
    Ok(task)
}

/// Counts expected tasks and open intents.
pub(crate) fn count(work: &Work<'_>, counts: &mut Counts) -> Result<()> {
    let counted_max = i64::try_from(LEDGER_COUNTED_MAX).unwrap_or(i64::MAX);
    let overdue_before = work.now.saturating_sub(micros(OVERDUE_AFTER));
    work.transaction
        .prepare_cached(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM expected LIMIT ?1)),
                 (SELECT count(*) FROM (SELECT 1 FROM expected WHERE due <= ?2 LIMIT ?1)),
                 (SELECT count(*) FROM (SELECT 1 FROM intents WHERE task_id IS NULL LIMIT ?1))",
        )?
        .query_row([counted_max, overdue_before], |row| {
            counts.expected = row.get::<_, u32>(0)?.into();
            counts.overdue = row.get::<_, u32>(1)?.into();
            counts.open_intents = row.get::<_, u32>(2)?.into();
            Ok(())
        })?;
    Ok(())
}

/// The row of a due task.
struct DueRow {
    task_id: TaskId,
    expected_since: Micros,
    answers: u32,
    submit: Option<SubmitId>,
    kind: TaskKind,
}

/// Takes tasks to ask the provider about, and removes those that need no request.
pub(crate) fn due(work: &mut Work<'_>, request: &DueRequest) -> Result<DueTasks> {
    let mut siblings = Siblings::new(work.transaction)?;
    let mut due = DueTasks::default();
    let rows = due_rows(work)?;
    due.more = rows.len() >= LOOKED_AT_MAX;
    for row in rows {
        if due.tasks.len() >= request.tasks_max {
            due.more = true;
            break;
        }
        if is_decided(work, &mut siblings, &row.task_id)? {
            work.transaction
                .prepare_cached("DELETE FROM expected WHERE task_id = ?1")?
                .execute([row.task_id.as_str()])?;
        } else {
            due.tasks.push(take(work, row, request.lease)?);
        }
    }
    if !due.more {
        due.next_due = next_due(work)?;
    }
    Ok(due)
}

/// Selects due tasks in the order in which they became due.
fn due_rows(work: &Work<'_>) -> Result<Vec<DueRow>> {
    let mut statement = work.transaction.prepare_cached(
        "SELECT task_id, expected_since, answers, submit, kind FROM expected
         WHERE due <= ?1 ORDER BY due, task_id LIMIT ?2",
    )?;
    let limit = i64::try_from(LOOKED_AT_MAX).unwrap_or(i64::MAX);
    let mut rows = statement.query([work.now, limit])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(DueRow {
            task_id: task_id(row.get(0)?)?,
            expected_since: row.get(1)?,
            answers: row.get(2)?,
            submit: row.get::<_, Option<_>>(3)?.map(SubmitId::from_bytes),
            kind: row::kind(&row.get::<_, String>(4)?)?,
        });
    }
    Ok(due)
}

fn next_due(work: &Work<'_>) -> Result<Option<Duration>> {
    let due: Option<Micros> = work
        .transaction
        .prepare_cached("SELECT due FROM expected ORDER BY due LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(due.map(|due| left(work.now, due)))
}

fn take(work: &Work<'_>, row: DueRow, lease: Duration) -> Result<DueTask> {
    let until = after(work.now, lease.clamp(LEASE_MIN, LEASE_MAX));
    let epoch: u32 = work
        .transaction
        .prepare_cached("UPDATE marks SET due_epoch = due_epoch + 1 RETURNING due_epoch")?
        .query_row((), |row| row.get(0))?;
    work.transaction
        .prepare_cached(
            "UPDATE expected SET due = ?2, is_asked = 1, epoch = ?3 WHERE task_id = ?1",
        )?
        .execute(params![row.task_id.as_str(), until, epoch])?;
    let ticket = DueTicket {
        task_id: row.task_id,
        epoch,
    };
    let age = left(row.expected_since, work.now);
    let mut task = DueTask::new(ticket, age, row.answers);
    task.submit = row.submit;
    task.kind = row.kind;
    Ok(task)
}

/// Whether the provider's record cannot add anything new about a task.
fn is_decided(work: &Work<'_>, siblings: &mut Siblings<'_>, task_id: &TaskId) -> Result<bool> {
    let hash = task_hash(task_id);
    let events = siblings.of(work.keys, hash, task_id.as_str())?;
    let terminal = || events.iter().filter(|event| event.stage.is_terminal());
    let Some(first) = terminal().next() else {
        return Ok(false);
    };
    let is_one_stage = terminal().all(|event| event.stage == first.stage);
    Ok(is_one_stage && terminal().any(StoredSibling::counts))
}

/// Makes a task due again. Returns false if the ticket is lost.
pub(crate) fn postpone(
    work: &mut Work<'_>,
    ticket: &DueTicket,
    postponement: Postponement,
) -> Result<bool> {
    let changed = work
        .transaction
        .prepare_cached(
            "UPDATE expected SET due = ?3, is_asked = 0, answers = answers + ?4
             WHERE task_id = ?1 AND epoch = ?2 AND epoch > 0",
        )?
        .execute(params![
            ticket.task_id.as_str(),
            ticket.epoch,
            after(work.now, postponement.after.min(POSTPONE_MAX)),
            postponement.is_answered,
        ])?;
    Ok(changed == 1)
}

/// Removes a task. Returns false if the ticket is lost.
pub(crate) fn finish(work: &mut Work<'_>, ticket: &DueTicket) -> Result<bool> {
    let changed = work
        .transaction
        .prepare_cached("DELETE FROM expected WHERE task_id = ?1 AND epoch = ?2 AND epoch > 0")?
        .execute(params![ticket.task_id.as_str(), ticket.epoch])?;
    Ok(changed == 1)
}
