//! Redriving and purging.

use rusqlite::{Transaction, params};
use suno_callback::{EventId, PurgeRequest, Purged, Redriven, StoreError};

use crate::error::store_error;
use crate::row::micros;
use crate::{keys, ledger};

/// Makes a settled event ready again.
pub(crate) fn redrive(
    transaction: &Transaction<'_>,
    event: EventId,
) -> Result<Redriven, StoreError> {
    let is_open: bool = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM open WHERE event_id = ?1)")
        .and_then(|mut statement| statement.query_row([event.0], |row| row.get(0)))
        .map_err(store_error)?;
    if is_open {
        return Ok(Redriven::NotSettled);
    }
    // Its epoch goes on, so that no ticket of before holds.
    let opened = transaction
        .prepare_cached(
            "INSERT INTO open (event_id, state, due, received_at, attempts, epoch, reason)
             SELECT event_id, 0, 0, received_at, 0, epoch, reason FROM settled
             WHERE event_id = ?1 AND has_body",
        )
        .and_then(|mut statement| statement.execute([event.0]))
        .map_err(store_error)?;
    if opened == 0 {
        return Ok(Redriven::Gone);
    }
    transaction
        .prepare_cached("DELETE FROM settled WHERE event_id = ?1")
        .and_then(|mut statement| statement.execute([event.0]))
        .map_err(store_error)?;
    Ok(Redriven::Ready)
}

/// Forgets what is old.
pub(crate) fn purge(
    transaction: &Transaction<'_>,
    request: &PurgeRequest,
) -> Result<Purged, StoreError> {
    let mut purged = Purged::default();
    purge_events(transaction, request, &mut purged).map_err(store_error)?;
    purge_quarantine(transaction, request, &mut purged).map_err(store_error)?;
    ledger::forget_intents(transaction, request.keys_before).map_err(store_error)?;
    Ok(purged)
}

fn purge_events(
    transaction: &Transaction<'_>,
    request: &PurgeRequest,
    purged: &mut Purged,
) -> rusqlite::Result<()> {
    // One more than is purged tells whether there is more.
    let mut old = transaction
        .prepare_cached(
            "SELECT event_id, received_at < ?2 FROM settled
             WHERE received_at < ?2 OR received_at < ?1 AND has_body
             ORDER BY event_id LIMIT ?3",
        )?
        .query_map(
            params![
                micros(request.bodies_before),
                micros(request.keys_before),
                i64::from(request.events_max) + 1
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
    let events_max = request.events_max as usize;
    purged.more = old.len() > events_max;
    old.truncate(events_max);
    if let Some((last, _)) = old.iter().rfind(|(_, is_forgotten)| *is_forgotten) {
        keys::before_purge(transaction, *last)?;
    }
    for (event, is_forgotten) in old {
        purged.bodies += purge_bodies(transaction, event)? as u64;
        if is_forgotten {
            forget(transaction, event)?;
            purged.keys += 1;
        }
    }
    Ok(())
}

/// Purges the bodies of an event, and says how many there were.
fn purge_bodies(transaction: &Transaction<'_>, event: i64) -> rusqlite::Result<usize> {
    let bodies = transaction
        .prepare_cached("UPDATE events SET raw = NULL WHERE id = ?1 AND raw IS NOT NULL")?
        .execute([event])?;
    transaction
        .prepare_cached("UPDATE settled SET has_body = 0 WHERE event_id = ?1 AND has_body")?
        .execute([event])?;
    let conflicts = transaction
        .prepare_cached("UPDATE conflicts SET raw = NULL WHERE event_id = ?1 AND raw IS NOT NULL")?
        .execute([event])?;
    Ok(bodies + conflicts)
}

/// Deletes everything of an event.
fn forget(transaction: &Transaction<'_>, event: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM conflicts WHERE event_id = ?1",
        "DELETE FROM keys WHERE event_id = ?1
             AND task_hash = (SELECT task_hash FROM events WHERE id = ?1)",
        "DELETE FROM settled WHERE event_id = ?1",
        "DELETE FROM events WHERE id = ?1",
    ] {
        transaction.prepare_cached(sql)?.execute([event])?;
    }
    Ok(())
}

fn purge_quarantine(
    transaction: &Transaction<'_>,
    request: &PurgeRequest,
    purged: &mut Purged,
) -> rusqlite::Result<()> {
    let keys_before = micros(request.keys_before);
    let deleted = transaction
        .prepare_cached(
            "DELETE FROM quarantine WHERE id IN
                 (SELECT id FROM quarantine WHERE received_at < ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute(params![keys_before, request.events_max])?;
    purged.bodies += deleted as u64;
    let more: bool = transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM quarantine WHERE received_at < ?1)")?
        .query_row([keys_before], |row| row.get(0))?;
    purged.more |= more;
    Ok(())
}
