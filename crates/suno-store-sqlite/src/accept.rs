//! Storing deliveries.

use rusqlite::{CachedStatement, Transaction, params};
use suno_callback::{Accepted, Content, Delivery, EventKey, Fingerprint, StoreError};
use suno_types::Code;

use crate::error::store_error;
use crate::keys::Keys;
use crate::row::{micros, source_column, task_hash};
use crate::siblings::Siblings;
use crate::{ledger, settle};

/// Stores deliveries, one after the other.
pub(crate) fn accept(
    transaction: &Transaction<'_>,
    keys: &mut Keys,
    deliveries: &[Delivery],
) -> Result<Vec<Accepted>, StoreError> {
    keys.catch_up(transaction)?;
    let accepted = accept_all(transaction, keys, deliveries).map_err(store_error)?;
    keys.merge(transaction, deliveries.len())?;
    Ok(accepted)
}

fn accept_all(
    transaction: &Transaction<'_>,
    keys: &mut Keys,
    deliveries: &[Delivery],
) -> rusqlite::Result<Vec<Accepted>> {
    let first = keys.next_event();
    let mut accepting = Accepting::new(transaction, keys)?;
    let accepted = deliveries
        .iter()
        .map(|delivery| accepting.accept(delivery))
        .collect::<Result<_, _>>()?;
    let late = accepting.late;
    settle::open(transaction, first)?;
    for event in late {
        settle::supersede(transaction, event)?;
    }
    Ok(accepted)
}

/// What a delivery says of an event.
struct Told<'a> {
    key: &'a EventKey,
    code: Code,
    semantic: Fingerprint,
}

/// A transaction that stores deliveries, with the statements that each of them needs.
struct Accepting<'t> {
    transaction: &'t Transaction<'t>,
    keys: &'t mut Keys,
    siblings: Siblings<'t>,
    event: CachedStatement<'t>,
    /// The events that came too late. As the others they are open once all are stored.
    late: Vec<i64>,
}

impl<'t> Accepting<'t> {
    fn new(transaction: &'t Transaction<'t>, keys: &'t mut Keys) -> rusqlite::Result<Self> {
        Ok(Self {
            transaction,
            keys,
            siblings: Siblings::new(transaction)?,
            event: transaction.prepare_cached(
                "INSERT INTO events (id, task_hash, task_id, stage, code, source, verified_by,
                     received_at, strict, semantic, raw)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?,
            late: Vec::new(),
        })
    }

    fn accept(&mut self, delivery: &Delivery) -> rusqlite::Result<Accepted> {
        ledger::meet(self.transaction, delivery)?;
        match &delivery.content {
            Content::Event {
                key,
                code,
                semantic,
                ..
            } => self.accept_event(
                delivery,
                Told {
                    key,
                    code: *code,
                    semantic: *semantic,
                },
            ),
            Content::Quarantined {
                task_id, reason, ..
            } => {
                self.transaction
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

    fn accept_event(&mut self, delivery: &Delivery, told: Told<'_>) -> rusqlite::Result<Accepted> {
        let (task_id, stage) = (told.key.task_id(), told.key.stage());
        let hash = task_hash(task_id);
        let siblings = self.siblings.of(self.keys, hash, task_id.as_str())?;
        if let Some(known) = siblings.iter().find(|known| known.stage == *stage) {
            return meet(self.transaction, delivery, known.id, told.semantic);
        }
        let event = self.keys.next_event();
        self.event.execute(params![
            event,
            hash,
            task_id.as_str(),
            stage.as_str(),
            told.code.0,
            source_column(delivery.source),
            delivery.verified_by.bits(),
            micros(delivery.received_at),
            delivery.strict.0,
            told.semantic.0,
            &*delivery.raw,
        ])?;
        self.keys.add(hash, event);
        if siblings
            .iter()
            .any(|sibling| sibling.stage.supersedes(stage))
        {
            self.late.push(event);
            return Ok(Accepted::Late);
        }
        Ok(Accepted::New)
    }
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
