//! The ledger of submits.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use suno_callback::{
    Delivery, Due, DueRequest, DueTicket, EventState, Expected, Held, Intent, StoreError, SubmitId,
};
use suno_types::TaskId;

use crate::error::{damaged, store_error};
use crate::keys::Keys;
use crate::row::{micros, moment, state, task_hash};
use crate::siblings::Siblings;

/// How many tasks that are due are looked at in one transaction.
const LOOKED_AT_MAX: u32 = 1_024;

/// Writes down that a submit is about to be sent.
pub(crate) fn intend(transaction: &Transaction<'_>, intent: &Intent) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO intents (submit, intended_at, due_at) VALUES (?1, ?2, ?3)",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                intent.submit.bytes(),
                micros(intent.intended_at),
                micros(intent.due_at)
            ])
        })
        .map(|_| ())
        .map_err(store_error)
}

/// Strikes out a submit that did nothing.
pub(crate) fn withdraw(transaction: &Transaction<'_>, submit: SubmitId) -> Result<(), StoreError> {
    transaction
        .prepare_cached("DELETE FROM intents WHERE submit = ?1")
        .and_then(|mut statement| statement.execute([submit.bytes()]))
        .map(|_| ())
        .map_err(store_error)
}

/// The submits of which nothing was heard.
pub(crate) fn open_intents(
    transaction: &Transaction<'_>,
    before: Timestamp,
    intents_max: u32,
) -> Result<Vec<Intent>, StoreError> {
    let columns = transaction
        .prepare_cached(
            "SELECT submit, intended_at, due_at FROM intents
             WHERE intended_at < ?1 ORDER BY intended_at, submit LIMIT ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_map(params![micros(before), intents_max], intent_columns)?
                .collect::<rusqlite::Result<Vec<_>>>()
        })
        .map_err(store_error)?;
    columns.into_iter().map(intent).collect()
}

type IntentColumns = ([u8; 16], i64, i64);

fn intent_columns(row: &Row<'_>) -> rusqlite::Result<IntentColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn intent((submit, intended_at, due_at): IntentColumns) -> Result<Intent, StoreError> {
    let submit = SubmitId::from_bytes(submit);
    let mut intent = Intent::new(submit, moment(intended_at)?, std::time::Duration::ZERO);
    intent.due_at = moment(due_at)?;
    Ok(intent)
}

/// Closes the intent that a delivery names, and expects its task.
pub(crate) fn meet(transaction: &Transaction<'_>, delivery: &Delivery) -> rusqlite::Result<()> {
    let (Some(submit), Some(task_id)) = (delivery.submit, delivery.task_id()) else {
        return Ok(());
    };
    let intent = transaction
        .prepare_cached(
            "DELETE FROM intents WHERE submit = ?1 RETURNING submit, intended_at, due_at",
        )?
        .query_row([submit.bytes()], intent_columns)
        .optional()?;
    match intent {
        Some((_, expected_at, due_at)) => add(transaction, task_id, expected_at, due_at),
        None => Ok(()),
    }
}

/// Expects callbacks of a task.
pub(crate) fn expect(transaction: &Transaction<'_>, expected: &Expected) -> Result<(), StoreError> {
    if let Some(submit) = expected.submit {
        withdraw(transaction, submit)?;
    }
    add(
        transaction,
        &expected.task_id,
        micros(expected.expected_at),
        micros(expected.due_at),
    )
    .map_err(store_error)
}

fn add(
    transaction: &Transaction<'_>,
    task_id: &TaskId,
    expected_at: i64,
    due_at: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO expected (task_id, expected_at, due_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (task_id) DO NOTHING",
        )?
        .execute(params![task_id.as_str(), expected_at, due_at])?;
    Ok(())
}

/// Takes tasks that are due to be asked about, and forgets those that need no asking.
pub(crate) fn due(
    transaction: &Transaction<'_>,
    keys: &mut Keys,
    request: &DueRequest,
) -> Result<Vec<Due>, StoreError> {
    keys.catch_up(transaction)?;
    let mut siblings = Siblings::new(transaction).map_err(store_error)?;
    let mut taken = Vec::new();
    for due in all_due(transaction, request.now)? {
        if taken.len() >= request.tasks_max {
            break;
        }
        if is_decided(&mut siblings, keys, &due.ticket.task_id)? {
            finish(transaction, &due.ticket)?;
        } else {
            taken.push(take(transaction, due, request.until())?);
        }
    }
    Ok(taken)
}

/// What is due, the longest due first, with the latest tickets.
fn all_due(transaction: &Transaction<'_>, now: Timestamp) -> Result<Vec<Due>, StoreError> {
    let rows = transaction
        .prepare_cached(
            "SELECT task_id, expected_at, epoch FROM expected
             WHERE due_at <= ?1 ORDER BY due_at, task_id LIMIT ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_map(params![micros(now), LOOKED_AT_MAX], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect::<rusqlite::Result<Vec<(String, i64, u32)>>>()
        })
        .map_err(store_error)?;
    let due = |(task_id, expected_at, epoch)| {
        let task_id = TaskId::new(task_id).map_err(|_| damaged("a stored task id is no id"))?;
        Ok(Due::new(DueTicket { task_id, epoch }, moment(expected_at)?))
    };
    rows.into_iter().map(due).collect()
}

fn take(transaction: &Transaction<'_>, mut due: Due, until: Timestamp) -> Result<Due, StoreError> {
    postpone(transaction, &due.ticket, until)?;
    transaction
        .prepare_cached("UPDATE expected SET epoch = epoch + 1 WHERE task_id = ?1")
        .and_then(|mut statement| statement.execute([due.ticket.task_id.as_str()]))
        .map_err(store_error)?;
    due.ticket.epoch += 1;
    Ok(due)
}

/// Whether a task has all that can be learned of it by asking.
fn is_decided(
    siblings: &mut Siblings<'_>,
    keys: &Keys,
    task_id: &TaskId,
) -> Result<bool, StoreError> {
    let hash = task_hash(task_id);
    let events = siblings
        .of(keys, hash, task_id.as_str())
        .map_err(store_error)?;
    let mut last = events.iter().filter(|event| event.stage.is_terminal());
    match (last.next(), last.next()) {
        (Some(only), None) => Ok(state(only.state, only.due)? != EventState::Dead),
        _ => Ok(false),
    }
}

/// Makes a task due again.
pub(crate) fn postpone(
    transaction: &Transaction<'_>,
    ticket: &DueTicket,
    until: Timestamp,
) -> Result<Held, StoreError> {
    let DueTicket { task_id, epoch } = ticket;
    transaction
        .prepare_cached("UPDATE expected SET due_at = ?3 WHERE task_id = ?1 AND epoch = ?2")
        .and_then(|mut statement| {
            statement.execute(params![task_id.as_str(), epoch, micros(until)])
        })
        .map(held)
        .map_err(store_error)
}

/// Forgets a task.
pub(crate) fn finish(
    transaction: &Transaction<'_>,
    ticket: &DueTicket,
) -> Result<Held, StoreError> {
    let DueTicket { task_id, epoch } = ticket;
    transaction
        .prepare_cached("DELETE FROM expected WHERE task_id = ?1 AND epoch = ?2")
        .and_then(|mut statement| statement.execute(params![task_id.as_str(), epoch]))
        .map(held)
        .map_err(store_error)
}

/// Forgets submits that were intended long ago.
pub(crate) fn forget_intents(
    transaction: &Transaction<'_>,
    before: Timestamp,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("DELETE FROM intents WHERE intended_at < ?1")?
        .execute([micros(before)])?;
    Ok(())
}

fn held(changed: usize) -> Held {
    if changed == 1 { Held::Held } else { Held::Lost }
}
