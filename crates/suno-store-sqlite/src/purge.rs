//! Purges old data, in steps that look at a limited number of rows.
//!
//! Events are stored in the order of the store's time, so the oldest are first in each table: a
//! step begins at the start and ends at the first row that is not old enough.

use std::time::Duration;

use rusqlite::params;
use suno_callback::{PurgeReport, PurgeRequest};

use crate::clock::{Micros, micros};
use crate::error::Result;
use crate::keys;
use crate::work::Work;

/// Purges one step of old data.
pub(crate) fn purge(work: &mut Work<'_>, request: &PurgeRequest) -> Result<PurgeReport> {
    let mut purged = PurgeReport::default();
    purge_keys(work, request, &mut purged)?;
    purge_bodies(work, request, &mut purged)?;
    purge_dead(work, request, &mut purged)?;
    if purged.keys + purged.dead > 0 {
        keys::sweep(work.transaction)?;
    }
    purge_quarantine(work, request, &mut purged)?;
    forget_intents(work, request)?;
    Ok(purged)
}

/// Data stored at this time or earlier has reached the given age.
fn before(work: &Work<'_>, age: Duration) -> Micros {
    work.now.saturating_sub(micros(age))
}

/// Selects the oldest rows of a table that are old enough, at most one more than may be purged.
fn oldest(work: &Work<'_>, sql: &str, before: Micros, max: u32) -> Result<Vec<i64>> {
    let mut statement = work.transaction.prepare_cached(sql)?;
    let mut rows = statement.query([i64::from(max) + 1])?;
    let mut oldest = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get::<_, Micros>(1)? > before {
            break;
        }
        oldest.push(row.get(0)?);
    }
    Ok(oldest)
}

fn limit(oldest: &mut Vec<i64>, max: u32, purged: &mut PurgeReport) {
    purged.more |= oldest.len() > max as usize;
    oldest.truncate(max as usize);
}

fn purge_keys(work: &mut Work<'_>, request: &PurgeRequest, purged: &mut PurgeReport) -> Result<()> {
    let mut old = oldest(
        work,
        "SELECT event_id, stored_at FROM settled ORDER BY event_id LIMIT ?1",
        before(work, request.keys_after),
        request.events_max,
    )?;
    limit(&mut old, request.events_max, purged);
    for event in &old {
        purged.bodies += purge_bodies_of(work, *event)?;
        uncount(work, *event)?;
        forget(work, *event, "DELETE FROM settled WHERE event_id = ?1")?;
        purged.keys += 1;
    }
    match old.last() {
        Some(last) => Ok(keys::before_purge(work.transaction, *last)?),
        None => Ok(()),
    }
}

fn uncount(work: &mut Work<'_>, event: i64) -> Result<()> {
    let state: i64 = work
        .transaction
        .prepare_cached("SELECT state FROM settled WHERE event_id = ?1")?
        .query_row([event], |row| row.get(0))?;
    match state {
        crate::row::DONE => work.tally.done -= 1,
        _ => work.tally.superseded -= 1,
    }
    Ok(())
}

fn purge_bodies(
    work: &mut Work<'_>,
    request: &PurgeRequest,
    purged: &mut PurgeReport,
) -> Result<()> {
    let mut old = oldest(
        work,
        "SELECT event_id, stored_at FROM settled
         WHERE event_id > (SELECT bodies_through FROM marks) ORDER BY event_id LIMIT ?1",
        before(work, request.bodies_after),
        request.events_max,
    )?;
    limit(&mut old, request.events_max, purged);
    for event in &old {
        purged.bodies += purge_bodies_of(work, *event)?;
    }
    if let Some(last) = old.last() {
        work.transaction
            .prepare_cached("UPDATE marks SET bodies_through = max(bodies_through, ?1)")?
            .execute([last])?;
    }
    Ok(())
}

/// Purges the bodies of an event, and returns how many there were.
fn purge_bodies_of(work: &mut Work<'_>, event: i64) -> Result<u64> {
    let mut bodies = 0;
    for sql in [
        "UPDATE events SET raw = NULL WHERE id = ?1 AND raw IS NOT NULL",
        "UPDATE conflicts SET raw = NULL WHERE event_id = ?1 AND raw IS NOT NULL",
    ] {
        bodies += work.transaction.prepare_cached(sql)?.execute([event])? as u64;
    }
    work.transaction
        .prepare_cached("UPDATE settled SET has_body = 0 WHERE event_id = ?1 AND has_body")?
        .execute([event])?;
    Ok(bodies)
}

/// Deletes all rows of an event.
fn forget(work: &mut Work<'_>, event: i64, from_state: &str) -> Result<()> {
    for sql in [
        "DELETE FROM conflicts WHERE event_id = ?1",
        from_state,
        "DELETE FROM events WHERE id = ?1",
    ] {
        work.transaction.prepare_cached(sql)?.execute([event])?;
    }
    Ok(())
}

fn purge_dead(work: &mut Work<'_>, request: &PurgeRequest, purged: &mut PurgeReport) -> Result<()> {
    let mut old = oldest(
        work,
        "SELECT event_id, stored_at FROM dead ORDER BY event_id LIMIT ?1",
        before(work, request.dead_after),
        request.events_max,
    )?;
    limit(&mut old, request.events_max, purged);
    for event in &old {
        purged.bodies += purge_bodies_of(work, *event)?;
        forget(work, *event, "DELETE FROM dead WHERE event_id = ?1")?;
        purged.dead += 1;
    }
    match old.last() {
        Some(last) => Ok(keys::before_purge(work.transaction, *last)?),
        None => Ok(()),
    }
}

fn purge_quarantine(
    work: &mut Work<'_>,
    request: &PurgeRequest,
    purged: &mut PurgeReport,
) -> Result<()> {
    let mut old = oldest(
        work,
        "SELECT id, stored_at FROM quarantine ORDER BY id LIMIT ?1",
        before(work, request.quarantined_after),
        request.events_max,
    )?;
    limit(&mut old, request.events_max, purged);
    for entry in &old {
        work.transaction
            .prepare_cached("DELETE FROM quarantine WHERE id = ?1")?
            .execute([entry])?;
        purged.quarantined += 1;
    }
    Ok(())
}

fn forget_intents(work: &mut Work<'_>, request: &PurgeRequest) -> Result<()> {
    work.transaction
        .prepare_cached(
            "DELETE FROM intents WHERE number IN
                 (SELECT number FROM intents WHERE stored_at <= ?1 ORDER BY number LIMIT ?2)",
        )?
        .execute(params![
            before(work, request.keys_after),
            request.events_max
        ])?;
    Ok(())
}
