//! Storing deliveries.

use rusqlite::{Transaction, params};
use suno_callback::{Accepted, Content, Delivery, EventKey, EventState, Fingerprint, StoreError};
use suno_types::Code;

use crate::error::store_error;
use crate::keys::Keys;
use crate::ledger;
use crate::row::{Sibling, micros, source_column, state_columns, task_hash};

/// Stores deliveries, one after the other.
pub(crate) fn accept(
    transaction: &Transaction<'_>,
    keys: &mut Keys,
    deliveries: &[Delivery],
) -> Result<Vec<Accepted>, StoreError> {
    keys.catch_up(transaction)?;
    let mut numbers = Numbers::read(transaction).map_err(store_error)?;
    let accepted = deliveries
        .iter()
        .map(|delivery| accept_one(transaction, keys, &mut numbers, delivery).map_err(store_error))
        .collect::<Result<Vec<_>, _>>()?;
    numbers.write(transaction).map_err(store_error)?;
    keys.merge(transaction, deliveries.len())?;
    Ok(accepted)
}

/// The numbers that events get.
struct Numbers {
    written: i64,
    last: i64,
}

impl Numbers {
    fn read(transaction: &Transaction<'_>) -> rusqlite::Result<Self> {
        let last = transaction
            .prepare_cached("SELECT id FROM last_event")?
            .query_row((), |row| row.get(0))?;
        Ok(Self {
            written: last,
            last,
        })
    }

    fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.last > self.written {
            transaction
                .prepare_cached("UPDATE last_event SET id = ?1")?
                .execute([self.last])?;
        }
        Ok(())
    }
}

fn accept_one(
    transaction: &Transaction<'_>,
    keys: &mut Keys,
    numbers: &mut Numbers,
    delivery: &Delivery,
) -> rusqlite::Result<Accepted> {
    ledger::meet(transaction, delivery)?;
    match &delivery.content {
        Content::Event {
            key,
            code,
            semantic,
            ..
        } => {
            let told = Told {
                key,
                code: *code,
                semantic: *semantic,
            };
            accept_event(transaction, keys, numbers, delivery, told)
        }
        Content::Quarantined {
            task_id, reason, ..
        } => {
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO quarantine
                     (strict, task_id, source, verified_by, received_at, reason, raw)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    delivery.strict.0,
                    task_id.as_ref().map(|id| id.as_str()),
                    source_column(delivery.source),
                    delivery.verified_by.bits(),
                    micros(delivery.received_at),
                    reason.to_string(),
                    &*delivery.raw,
                ])?;
            Ok(Accepted::Quarantined)
        }
        // A kind of content that this version of the store does not know.
        _ => Err(rusqlite::Error::InvalidQuery),
    }
}

/// What a delivery says of an event.
struct Told<'a> {
    key: &'a EventKey,
    code: Code,
    semantic: Fingerprint,
}

fn accept_event(
    transaction: &Transaction<'_>,
    keys: &mut Keys,
    numbers: &mut Numbers,
    delivery: &Delivery,
    told: Told<'_>,
) -> rusqlite::Result<Accepted> {
    let Told {
        key,
        code,
        semantic,
    } = told;
    let hash = task_hash(key.task_id());
    let siblings = Sibling::all(transaction, keys, hash, key.task_id().as_str())?;
    if let Some(known) = siblings.iter().find(|known| known.stage == *key.stage()) {
        return meet(transaction, delivery, known.id, semantic);
    }
    let late = siblings
        .iter()
        .any(|sibling| sibling.stage.supersedes(key.stage()));
    let (state, accepted) = if late {
        (EventState::Superseded, Accepted::Late)
    } else {
        (EventState::Ready, Accepted::New)
    };
    let (state, due) = state_columns(state);
    let event = numbers.next();
    transaction
        .prepare_cached(
            "INSERT INTO events (id, task_hash, task_id, stage, code, source, verified_by,
                 received_at, strict, semantic, state, due)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            event,
            hash,
            key.task_id().as_str(),
            key.stage().as_str(),
            code.0,
            source_column(delivery.source),
            delivery.verified_by.bits(),
            micros(delivery.received_at),
            delivery.strict.0,
            semantic.0,
            state,
            due,
        ])?;
    transaction
        .prepare_cached("INSERT INTO bodies (event_id, raw) VALUES (?1, ?2)")?
        .execute(params![event, &*delivery.raw])?;
    keys.add(hash, event);
    Ok(accepted)
}

/// Another delivery of a known event: a duplicate, unless it says something else.
fn meet(
    transaction: &Transaction<'_>,
    delivery: &Delivery,
    event: i64,
    semantic: Fingerprint,
) -> rusqlite::Result<Accepted> {
    let known: bool = transaction
        .prepare_cached(
            "SELECT EXISTS (
                 SELECT 1 FROM events WHERE id = ?1 AND (strict = ?2 OR semantic = ?3)
                 UNION ALL
                 SELECT 1 FROM conflicts WHERE event_id = ?1 AND (strict = ?2 OR semantic = ?3))",
        )?
        .query_row(params![event, delivery.strict.0, semantic.0], |row| {
            row.get(0)
        })?;
    if known {
        return Ok(Accepted::Duplicate);
    }
    transaction
        .prepare_cached(
            "INSERT INTO conflicts
             (event_id, source, verified_by, received_at, strict, semantic, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            event,
            source_column(delivery.source),
            delivery.verified_by.bits(),
            micros(delivery.received_at),
            delivery.strict.0,
            semantic.0,
            &*delivery.raw,
        ])?;
    Ok(Accepted::Conflict)
}
