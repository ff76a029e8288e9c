//! Redriving and purging.

use rusqlite::{OptionalExtension, Transaction, params};
use suno_callback::{EventId, PurgeRequest, Purged, Redriven, StoreError};

use crate::error::store_error;
use crate::ledger;
use crate::row::{micros, state};

/// Makes a settled event ready again.
pub(crate) fn redrive(
    transaction: &Transaction<'_>,
    event: EventId,
) -> Result<Redriven, StoreError> {
    let found = transaction
        .query_row(
            "SELECT state, due FROM events JOIN bodies ON event_id = id WHERE id = ?1",
            [event.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(store_error)?;
    let Some((column, due)) = found else {
        return Ok(Redriven::Gone);
    };
    if !state(column, due)?.is_settled() {
        return Ok(Redriven::NotSettled);
    }
    transaction
        .execute(
            "UPDATE events SET state = 0, due = 0, attempts = 0 WHERE id = ?1",
            [event.0],
        )
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
    // States from 3 on are settled. One more than is purged tells whether there is more.
    let old = transaction
        .prepare_cached(
            "SELECT id, received_at, task_hash FROM events
             WHERE state >= 3 AND (received_at < ?2
                 OR received_at < ?1 AND id IN (SELECT event_id FROM bodies))
             ORDER BY id LIMIT ?3",
        )?
        .query_map(
            params![
                micros(request.bodies_before),
                micros(request.keys_before),
                i64::from(request.events_max) + 1
            ],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?
        .collect::<rusqlite::Result<Vec<(i64, i64, i64)>>>()?;
    let events_max = request.events_max as usize;
    purged.more = old.len() > events_max;
    for (id, received_at, task_hash) in old.into_iter().take(events_max) {
        let bodies = transaction
            .prepare_cached("DELETE FROM bodies WHERE event_id = ?1")?
            .execute([id])?;
        let conflicts = transaction
            .prepare_cached(
                "UPDATE conflicts SET raw = NULL WHERE event_id = ?1 AND raw IS NOT NULL",
            )?
            .execute([id])?;
        purged.bodies += (bodies + conflicts) as u64;
        if received_at < micros(request.keys_before) {
            transaction
                .prepare_cached("DELETE FROM conflicts WHERE event_id = ?1")?
                .execute([id])?;
            transaction
                .prepare_cached("DELETE FROM keys WHERE task_hash = ?1 AND event_id = ?2")?
                .execute([task_hash, id])?;
            transaction
                .prepare_cached("DELETE FROM events WHERE id = ?1")?
                .execute([id])?;
            purged.keys += 1;
        }
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
