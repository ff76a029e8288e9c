//! Adopts events of another store.

use rusqlite::params;
use suno_callback::bounds::CONFLICTS_OF_EVENT_MAX;
use suno_callback::rules::StoredPrint;
use suno_callback::{AdoptedEvent, Adoption, ConflictRecord, EventState, Source, SubmitId};

use crate::accept::insert_event;
use crate::error::{Error, Result};
use crate::row::{
    CLAIMED, DONE, SUPERSEDED, product_column, source_column, task_hash, time_column,
};
use crate::siblings::{Siblings, StoredSibling};
use crate::state;
use crate::work::Work;

/// Stores events as they were in another store, one after the other.
pub(crate) fn adopt(work: &mut Work<'_>, events: &[AdoptedEvent]) -> Result<Vec<Adoption>> {
    let adopt = |event| adopt_one(work, event);
    events.iter().map(adopt).collect()
}

fn adopt_one(work: &mut Work<'_>, adopted: &AdoptedEvent) -> Result<Adoption> {
    let key = &adopted.record.key;
    let hash = task_hash(key.task_id());
    let siblings = Siblings::new(work.transaction)?.of(work.keys, hash, key.task_id().as_str())?;
    let is_known = siblings
        .iter()
        .any(|known| known.stage == *key.stage() && known.revision >= key.revision());
    if is_known {
        return Ok(Adoption::Known);
    }
    let event = insert(work, hash, adopted)?;
    insert_state(work, event, adopted, &siblings)?;
    insert_conflicts(work, event, &adopted.conflicts)?;
    Ok(Adoption::Adopted)
}

fn insert(work: &mut Work<'_>, hash: i64, adopted: &AdoptedEvent) -> Result<i64> {
    let record = &adopted.record;
    let print = StoredPrint::of_body(record.raw.as_ref());
    let event = work.keys.next_event();
    insert_event(work.transaction)?.execute(params![
        event,
        hash,
        record.key.task_id().as_str(),
        record.key.stage().as_str(),
        record.code.0,
        source_column(record.source),
        record.verified_by.bits(),
        record.unconfirmed,
        time_column(record.received_at),
        work.now,
        print.strict.0,
        print.semantic.0,
        record.key.revision(),
        record.results,
        product_column(&record.product),
        record.suffix.as_ref().map(ToString::to_string),
        record.submit.as_ref().map(SubmitId::bytes),
        record
            .reference
            .as_ref()
            .map(suno_callback::Reference::as_str),
        record.kind.as_ref().map(ToString::to_string),
        record.raw.as_deref(),
    ])?;
    work.keys.add(hash);
    Ok(event)
}

fn insert_state(
    work: &mut Work<'_>,
    event: i64,
    adopted: &AdoptedEvent,
    siblings: &[StoredSibling],
) -> Result<()> {
    let record = &adopted.record;
    match record.state {
        EventState::Done => insert_settled(work, event, adopted, DONE),
        EventState::Superseded => insert_settled(work, event, adopted, SUPERSEDED),
        EventState::Dead => {
            let cause = record.dead_cause.map_or("given_up", |cause| cause.as_str());
            work.transaction
                .prepare_cached(
                    "INSERT INTO dead (event_id, stored_at, attempts, epoch, worker, cause, reason)
                     VALUES (?1, ?2, ?3, 0, 0, ?4, ?5)",
                )?
                .execute(params![
                    event,
                    work.now,
                    record.attempts,
                    cause,
                    record.reason
                ])?;
            Ok(())
        }
        EventState::Ready | EventState::Claimed { .. } | EventState::Waiting { .. } => {
            insert_ready(work, event, siblings)
        }
        _ => Err(Error::Unknown),
    }
}

fn insert_settled(
    work: &mut Work<'_>,
    event: i64,
    adopted: &AdoptedEvent,
    state: i64,
) -> Result<()> {
    let record = &adopted.record;
    work.transaction
        .prepare_cached(
            "INSERT INTO settled
             (event_id, state, stored_at, has_body, attempts, epoch, worker, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6)",
        )?
        .execute(params![
            event,
            state,
            work.now,
            record.raw.is_some(),
            record.attempts,
            record.reason
        ])?;
    match state {
        DONE => work.tally.done += 1,
        _ => work.tally.superseded += 1,
    }
    state::look_at_bodies_from(work, event)
}

fn insert_ready(work: &mut Work<'_>, event: i64, siblings: &[StoredSibling]) -> Result<()> {
    let transaction = work.transaction;
    transaction
        .prepare_cached("INSERT INTO ready (event_id, since, is_only) VALUES (?1, ?2, ?3)")?
        .execute(params![event, work.now, siblings.is_empty()])?;
    for sibling in siblings {
        transaction
            .prepare_cached("UPDATE ready SET is_only = 0 WHERE event_id = ?1")?
            .execute([sibling.id])?;
        if sibling.state == CLAIMED {
            transaction
                .prepare_cached("UPDATE later SET supersedes = 1 WHERE event_id = ?1")?
                .execute([sibling.id])?;
        }
    }
    Ok(())
}

fn insert_conflicts(work: &mut Work<'_>, event: i64, conflicts: &[ConflictRecord]) -> Result<()> {
    let with_body = conflicts.iter().filter(|conflict| conflict.raw.is_some());
    for conflict in with_body.take(CONFLICTS_OF_EVENT_MAX) {
        let print = StoredPrint::of_body(conflict.raw.as_ref());
        work.transaction
            .prepare_cached(
                "INSERT INTO conflicts
                 (event_id, source, verified_by, received_at, strict, semantic, raw)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                event,
                source_column(conflict.source.unwrap_or(Source::Callback)),
                conflict.verified_by.bits(),
                time_column(conflict.received_at.unwrap_or_default()),
                print.strict.0,
                print.semantic.0,
                conflict.raw.as_deref(),
            ])?;
    }
    Ok(())
}
