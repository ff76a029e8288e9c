//! What deliveries say: compares them with events, and keeps those that differ from theirs.

use rusqlite::{Transaction, params};
use suno_callback::bounds::CONFLICTS_OF_EVENT_MAX;
use suno_callback::{Acceptance, Delivery, EventKey, Fingerprint};
use suno_types::{Code, Product};

use crate::error::Result;
use crate::ledger::KnownSubmit;
use crate::row::{source_column, time_column};
use crate::work::Work;

/// The content of a delivery about an event.
#[derive(Clone, Copy)]
pub(crate) struct Says<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) key: &'a EventKey,
    pub(crate) code: Code,
    pub(crate) semantic: Fingerprint,
    pub(crate) results: u16,
    pub(crate) product: &'a Product,
    pub(crate) submit: &'a KnownSubmit,
}

/// Whether an event has one of the fingerprints of a delivery, and whether a conflict of it has.
pub(crate) fn has_fingerprints(
    transaction: &Transaction<'_>,
    event: i64,
    says: Says<'_>,
) -> rusqlite::Result<(bool, bool)> {
    transaction
        .prepare_cached(
            "SELECT
                 EXISTS (SELECT 1 FROM events WHERE id = ?1 AND (strict = ?2 OR semantic = ?3)),
                 EXISTS (SELECT 1 FROM conflicts
                         WHERE event_id = ?1 AND (strict = ?2 OR semantic = ?3))",
        )?
        .query_row(
            params![event, says.delivery.strict.0, says.semantic.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
}

/// Keeps a delivery with different content with its event.
pub(crate) fn add_conflict(work: &mut Work<'_>, event: i64, says: Says<'_>) -> Result<Acceptance> {
    let transaction = work.transaction;
    let (strict, semantic) = (says.delivery.strict.0, says.semantic.0);
    if conflicts_of(transaction, event)? as usize >= CONFLICTS_OF_EVENT_MAX {
        work.tally.dropped += 1;
        return Ok(Acceptance::Dropped);
    }
    transaction
        .prepare_cached(
            "INSERT INTO conflicts
             (event_id, source, verified_by, received_at, strict, semantic, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            event,
            source_column(says.delivery.source),
            says.delivery.verified_by.bits(),
            time_column(says.delivery.received_at),
            strict,
            semantic,
            &*says.delivery.raw,
        ])?;
    Ok(Acceptance::Conflict)
}

fn conflicts_of(transaction: &Transaction<'_>, event: i64) -> rusqlite::Result<u32> {
    transaction
        .prepare_cached("SELECT count(*) FROM conflicts WHERE event_id = ?1")?
        .query_row([event], |row| row.get(0))
}

/// Keeps the content of an unconfirmed event as a conflict, if the record differs from it.
pub(crate) fn keep_former(transaction: &Transaction<'_>, event: i64, says: Says<'_>) -> Result<()> {
    let (strict, semantic) = (says.delivery.strict.0, says.semantic.0);
    transaction
        .prepare_cached(
            "DELETE FROM conflicts WHERE event_id = ?1 AND (strict = ?2 OR semantic = ?3)",
        )?
        .execute(params![event, strict, semantic])?;
    let bound = i64::try_from(CONFLICTS_OF_EVENT_MAX).unwrap_or(i64::MAX);
    transaction
        .prepare_cached(
            "INSERT INTO conflicts
             (event_id, source, verified_by, received_at, strict, semantic, raw)
             SELECT id, source, verified_by, received_at, strict, semantic, raw FROM events
             WHERE id = ?1 AND strict <> ?2 AND semantic <> ?3
                 AND (SELECT count(*) FROM conflicts WHERE event_id = ?1) < ?4",
        )?
        .execute(params![event, strict, semantic, bound])?;
    Ok(())
}
