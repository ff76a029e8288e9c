//! Changes the state of events: moves rows between the tables `ready`, `later`, `settled` and
//! `dead`.

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};
use suno_callback::{DeadCause, WorkerId};

use crate::clock::Micros;
use crate::error::Result;
use crate::row::{CLAIMED, DONE, SUPERSEDED, worker_column};
use crate::siblings::StoredSibling;
use crate::work::Work;

/// The row of an event that is claimed.
pub(crate) struct Held {
    pub(crate) event: i64,
    pub(crate) task_hash: i64,
    pub(crate) supersedes: bool,
    pub(crate) attempts: i64,
    pub(crate) epoch: i64,
    pub(crate) worker: i64,
    pub(crate) stored_at: Micros,
    pub(crate) reason: Option<String>,
}

/// An event of `ready` that is being claimed.
pub(crate) struct ClaimedReady {
    pub(crate) event: i64,
    pub(crate) task_hash: i64,
    pub(crate) since: Micros,
    pub(crate) until: Micros,
    pub(crate) supersedes: bool,
    pub(crate) worker: WorkerId,
}

/// Supersedes an event that is ready, parked or waiting.
pub(crate) fn supersede(work: &mut Work<'_>, event: i64) -> Result<()> {
    let from_ready = work
        .transaction
        .prepare_cached("DELETE FROM ready WHERE event_id = ?1")?
        .execute([event])?;
    if from_ready == 1 {
        work.transaction
            .prepare_cached(
                "INSERT INTO settled (event_id, state, stored_at, has_body, attempts, epoch, worker)
                 SELECT id, 5, stored_at, raw IS NOT NULL, 0, 0, 0 FROM events WHERE id = ?1",
            )?
            .execute([event])?;
    } else if !close(work, event)? {
        return Ok(());
    }
    work.tally.superseded += 1;
    look_at_bodies_from(work, event)
}

/// Marks a claimed event as done.
pub(crate) fn finish(work: &mut Work<'_>, held: &Held) -> Result<()> {
    work.transaction
        .prepare_cached(
            "INSERT INTO settled
             (event_id, state, stored_at, has_body, attempts, epoch, worker, reason)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            held.event,
            DONE,
            held.stored_at,
            held.attempts,
            held.epoch,
            held.worker,
            held.reason
        ])?;
    forget_later(work, held.event)?;
    work.tally.done += 1;
    look_at_bodies_from(work, held.event)
}

/// Moves an event that is not claimed from `later` to `settled`. Returns false if it is not there.
fn close(work: &mut Work<'_>, event: i64) -> Result<bool> {
    let moved = work
        .transaction
        .prepare_cached(
            "INSERT INTO settled
             (event_id, state, stored_at, has_body, attempts, epoch, worker, reason)
             SELECT event_id, ?2, stored_at, 1, attempts, epoch, worker, reason
             FROM later WHERE event_id = ?1",
        )?
        .execute([event, SUPERSEDED])?;
    forget_later(work, event)?;
    Ok(moved == 1)
}

fn forget_later(work: &mut Work<'_>, event: i64) -> Result<()> {
    work.transaction
        .prepare_cached("DELETE FROM later WHERE event_id = ?1")?
        .execute([event])?;
    Ok(())
}

/// Makes an event of `later` a dead letter.
pub(crate) fn bury(work: &mut Work<'_>, event: i64, cause: DeadCause, reason: &str) -> Result<()> {
    work.transaction
        .prepare_cached(
            "INSERT INTO dead (event_id, stored_at, attempts, epoch, worker, cause, reason)
             SELECT event_id, stored_at, attempts, epoch, worker, ?2, ?3
             FROM later WHERE event_id = ?1",
        )?
        .execute(params![event, cause.as_str(), reason])?;
    forget_later(work, event)
}

/// Bodies are purged in the order of numbers. If the purge has already passed an event that is
/// settled only now, it must go back.
pub(crate) fn look_at_bodies_from(work: &mut Work<'_>, event: i64) -> Result<()> {
    let bodies_through = match work.bodies_through {
        Some(bodies_through) => bodies_through,
        None => work
            .transaction
            .prepare_cached("SELECT bodies_through FROM marks")?
            .query_row((), |row| row.get(0))?,
    };
    work.bodies_through = Some(bodies_through);
    if event <= bodies_through {
        work.transaction
            .prepare_cached("UPDATE marks SET bodies_through = ?1 - 1")?
            .execute([event])?;
        work.bodies_through = Some(event - 1);
    }
    Ok(())
}

/// Makes a settled event ready, with everything counted from zero. Its epoch continues, so that no
/// earlier ticket is valid. `siblings` are all events of its task.
pub(crate) fn reopen(work: &mut Work<'_>, event: i64, siblings: &[StoredSibling]) -> Result<()> {
    for claimed in siblings.iter().filter(|sibling| sibling.state == CLAIMED) {
        work.transaction
            .prepare_cached("UPDATE later SET supersedes = 1 WHERE event_id = ?1")?
            .execute([claimed.id])?;
    }
    let settled: Option<i64> = work
        .transaction
        .prepare_cached("SELECT state FROM settled WHERE event_id = ?1")?
        .query_row([event], |row| row.get(0))
        .optional()?;
    match settled {
        Some(DONE) => work.tally.done -= 1,
        Some(_) => work.tally.superseded -= 1,
        None => {}
    }
    let from = if settled.is_some() { "settled" } else { "dead" };
    let insert = format!(
        "INSERT INTO later (event_id, task_hash, state, due, since, supersedes, attempts, lapses,
             epoch, worker, stored_at, open_since, reason)
         SELECT event_id, task_hash, 0, ?2, ?2, 1, 0, 0, epoch, worker, {from}.stored_at, ?2, reason
         FROM {from} JOIN events ON id = event_id WHERE event_id = ?1"
    );
    work.transaction
        .prepare_cached(&insert)?
        .execute([event, work.now])?;
    work.transaction
        .prepare_cached(&format!("DELETE FROM {from} WHERE event_id = ?1"))?
        .execute([event])?;
    Ok(())
}

/// Removes an event from the order of claims until the claimed event of its task is settled.
pub(crate) fn park(work: &mut Work<'_>, event: i64, is_ready: bool) -> Result<()> {
    if is_ready {
        move_to_later(work, event)?;
    }
    work.transaction
        .prepare_cached(
            "UPDATE later SET since = due, due = NULL WHERE event_id = ?1 AND due >= 0",
        )?
        .execute([event])?;
    work.has_parked = Some(true);
    Ok(())
}

/// Moves an event from `ready` to `later`, where it is still ready.
pub(crate) fn move_to_later(work: &mut Work<'_>, event: i64) -> Result<()> {
    work.transaction
        .prepare_cached(
            "INSERT INTO later (event_id, task_hash, state, due, since, supersedes, attempts,
                 lapses, epoch, worker, stored_at, open_since)
             SELECT event_id, task_hash, 0, since, since, unconfirmed, 0, 0, 0, 0, since, since
             FROM ready JOIN events ON id = event_id WHERE event_id = ?1",
        )?
        .execute([event])?;
    work.transaction
        .prepare_cached("DELETE FROM ready WHERE event_id = ?1")?
        .execute([event])?;
    Ok(())
}

/// Prepares the statement that claims an event of `ready`. The caller must delete its row.
pub(crate) fn claim_ready<'t>(
    transaction: &'t Transaction<'_>,
) -> rusqlite::Result<CachedStatement<'t>> {
    transaction.prepare_cached(
        "INSERT INTO later (event_id, task_hash, state, due, since, supersedes, attempts,
             lapses, epoch, worker, stored_at, open_since)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, 1, 0, 1, ?6, ?4, ?4)",
    )
}

impl ClaimedReady {
    /// Writes the claim, using the statement of [`claim_ready`].
    pub(crate) fn write(&self, statement: &mut CachedStatement<'_>) -> rusqlite::Result<()> {
        statement.execute(params![
            self.event,
            self.task_hash,
            self.until,
            self.since,
            self.supersedes,
            worker_column(self.worker)
        ])?;
        Ok(())
    }
}

/// Puts the parked events of a task back into the order of claims.
pub(crate) fn unpark(work: &mut Work<'_>, task_hash: i64) -> Result<()> {
    // Events are hardly ever parked, and this search takes longer than the rest of a settlement.
    let has_parked = match work.has_parked {
        Some(has_parked) => has_parked,
        None => work
            .transaction
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM later WHERE due IS NULL)")?
            .query_row((), |row| row.get(0))?,
    };
    work.has_parked = Some(has_parked);
    if has_parked {
        work.transaction
            .prepare_cached("UPDATE later SET due = since WHERE task_hash = ?1 AND due IS NULL")?
            .execute([task_hash])?;
    }
    Ok(())
}

/// Sets the state and the due time of an event of `later`.
pub(crate) fn set(work: &mut Work<'_>, event: i64, state: i64, due: Micros) -> Result<()> {
    work.transaction
        .prepare_cached("UPDATE later SET state = ?2, due = ?3 WHERE event_id = ?1")?
        .execute([event, state, due])?;
    Ok(())
}
