//! Extends and settles claims, for the ticket of the latest claim only.

use rusqlite::{OptionalExtension, Transaction, params};
use suno_callback::bounds::{LEASE_MAX, RETRY_AFTER_MAX};
use suno_callback::{ExtendResult, SettleResult, Settlement, StoreError, Ticket};

use crate::clock::{Micros, after};
use crate::error::Result;
use crate::keys::Keys;
use crate::requests::LastRequests;
use crate::row::{CLAIMED, READY, WAITING, worker_column};
use crate::siblings::Siblings;
use crate::state::{self, Held};
use crate::work::Work;

/// Extends claims to `lease` from now.
pub(crate) fn extend(
    work: &mut Work<'_>,
    tickets: &[Ticket],
    lease: std::time::Duration,
) -> Result<Vec<ExtendResult>> {
    let until = after(work.now, lease.min(LEASE_MAX));
    let mut statement = work.transaction.prepare_cached(
        "UPDATE later SET due = ?4
         WHERE event_id = ?1 AND epoch = ?2 AND worker = ?3 AND state = 1",
    )?;
    let mut extended = Vec::with_capacity(tickets.len());
    for ticket in tickets {
        let values = params![
            ticket.event.0,
            ticket.epoch,
            worker_column(ticket.worker),
            until
        ];
        extended.push(match statement.execute(values)? {
            0 => ExtendResult::Lost,
            _ => ExtendResult::Extended,
        });
    }
    Ok(extended)
}

/// The event of a valid ticket, locked by the transaction.
fn held(work: &Work<'_>, ticket: &Ticket) -> Result<Option<Held>> {
    let (event, epoch, worker) = (ticket.event.0, ticket.epoch, worker_column(ticket.worker));
    let held = work
        .transaction
        .prepare_cached(
            "SELECT task_hash, supersedes, attempts, stored_at, reason FROM later
             WHERE event_id = ?1 AND epoch = ?2 AND worker = ?3 AND state = 1",
        )?
        .query_row(params![event, epoch, worker], |row| {
            Ok(Held {
                event,
                task_hash: row.get(0)?,
                supersedes: row.get(1)?,
                attempts: row.get(2)?,
                epoch: i64::from(epoch),
                worker,
                stored_at: row.get(3)?,
                reason: row.get(4)?,
            })
        })
        .optional()?;
    Ok(held)
}

/// Records the end of a claim.
pub(crate) fn settle(
    work: &mut Work<'_>,
    ticket: &Ticket,
    settlement: &Settlement,
) -> Result<SettleResult> {
    let Some(held) = held(work, ticket)? else {
        return has_settled(work.transaction, ticket);
    };
    let event = ticket.event.0;
    match settlement {
        Settlement::Done => {
            state::finish(work, &held)?;
            if held.supersedes {
                supersede_others(work, event, held.task_hash)?;
            }
        }
        Settlement::Retry {
            after: wait,
            reason,
        } => {
            let due = after(work.now, (*wait).min(RETRY_AFTER_MAX));
            failed(work, event, due, reason)?;
        }
        Settlement::Dead { cause, reason } => state::bury(work, event, *cause, reason)?,
        // A release, or an end that this version does not know: the event is ready as if it had not
        // been claimed.
        _ => release(work, event)?,
    }
    state::unpark(work, held.task_hash)?;
    Ok(SettleResult::Settled)
}

fn failed(work: &mut Work<'_>, event: i64, due: Micros, reason: &str) -> Result<()> {
    work.transaction
        .prepare_cached("UPDATE later SET lapses = 0, reason = ?2 WHERE event_id = ?1")?
        .execute(params![event, reason])?;
    state::set(work, event, WAITING, due)
}

fn release(work: &mut Work<'_>, event: i64) -> Result<()> {
    work.transaction
        .prepare_cached("UPDATE later SET attempts = attempts - 1 WHERE event_id = ?1")?
        .execute([event])?;
    state::set(work, event, READY, work.now)
}

/// Supersedes other events of the task, because an event is done.
fn supersede_others(work: &mut Work<'_>, event: i64, task_hash: i64) -> Result<()> {
    // In the caller's own transaction, nothing was read before.
    work.keys.catch_up(work.transaction)?;
    let siblings = Siblings::new(work.transaction)?.of_event(work.keys, task_hash, event)?;
    let Some(done) = siblings.iter().find(|sibling| sibling.id == event) else {
        return Ok(());
    };
    for other in &siblings {
        let is_open = other.state == READY || other.state == WAITING;
        if is_open && done.supersedes(other) {
            state::supersede(work, other.id)?;
        }
    }
    Ok(())
}

/// Returns the answer to a ticket that is not valid any more.
fn has_settled(transaction: &Transaction<'_>, ticket: &Ticket) -> Result<SettleResult> {
    let has: bool = transaction
        .prepare_cached(
            "SELECT ?2 > 0 AND EXISTS (
                 SELECT 1 FROM later WHERE event_id = ?1 AND epoch = ?2 AND worker = ?3
                 UNION ALL
                 SELECT 1 FROM settled WHERE event_id = ?1 AND epoch = ?2 AND worker = ?3
                 UNION ALL
                 SELECT 1 FROM dead WHERE event_id = ?1 AND epoch = ?2 AND worker = ?3)",
        )?
        .query_row(
            params![ticket.event.0, ticket.epoch, worker_column(ticket.worker)],
            |row| row.get(0),
        )?;
    Ok(if has {
        SettleResult::AlreadySettled
    } else {
        SettleResult::Lost
    })
}

/// Records in the caller's own transaction that an event was handled.
///
/// The transaction runs on a connection of the caller to the store's file. So the handler's writes
/// to its own tables in that file and the end of the event are one commit: either both happen or
/// neither. Call [`Event::set_settled`](suno_callback::Event::set_settled) after the commit.
///
/// If the result is not [`Settled`](SettleResult::Settled), roll back the transaction: another worker
/// has claimed the event, or it was already handled.
///
/// Begin the transaction with [`begin`](crate::begin), and keep it short: while it is open, no
/// other process can write to the file, and if that takes too long, callbacks are answered with
/// 503.
///
/// # Errors
///
/// Returns [`StoreError`] if the store failed; roll back the transaction.
pub fn settle_in(
    transaction: &Transaction<'_>,
    ticket: &Ticket,
) -> std::result::Result<SettleResult, StoreError> {
    let mut keys = Keys::default();
    let mut requests = LastRequests::default();
    let settled = (|| {
        let mut work = Work::new(transaction, &mut keys, &mut requests, 0);
        let settled = settle(&mut work, ticket, &Settlement::Done)?;
        work.tally.write(transaction)?;
        Ok::<_, crate::error::Error>(settled)
    })();
    Ok(settled?)
}

const _: () = assert!(CLAIMED == 1, "the statements above use this name");
