//! Stores deliveries.

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};
use suno_callback::bounds::{
    CONFLICTS_OF_EVENT_MAX, EVENTS_OF_TASK_MAX, NUDGES_MAX, QUARANTINED_MAX,
};
use suno_callback::{Acceptance, Content, Delivery, EventKey, Fingerprint};
use suno_types::Code;

use crate::error::{Error, Result};
use crate::ledger;
use crate::row::{DEAD, WAITING, source_column, task_hash, time_column};
use crate::siblings::{Siblings, StoredSibling};
use crate::state;
use crate::work::Work;

/// Stores deliveries, one after the other.
pub(crate) fn accept(work: &mut Work<'_>, deliveries: &[Delivery]) -> Result<Vec<Acceptance>> {
    let transaction = work.transaction;
    let first = work.keys.next_event();
    let mut accepting = Accepting {
        siblings: Siblings::new(transaction)?,
        event: insert_event(transaction)?,
        late: Vec::new(),
        of_one_task: Vec::new(),
        work,
    };
    let accepted = deliveries
        .iter()
        .map(|delivery| accepting.accept(delivery, first))
        .collect::<Result<_>>()?;
    let late = std::mem::take(&mut accepting.late);
    accepting.open(first)?;
    for event in late {
        state::supersede(work, event)?;
    }
    Ok(accepted)
}

fn insert_event<'t>(transaction: &'t Transaction<'_>) -> rusqlite::Result<CachedStatement<'t>> {
    transaction.prepare_cached(
        "INSERT INTO events (id, task_hash, task_id, stage, code, source, verified_by,
             unconfirmed, received_at, stored_at, strict, semantic, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )
}

/// The content of a delivery about an event.
#[derive(Clone, Copy)]
struct Says<'a> {
    delivery: &'a Delivery,
    key: &'a EventKey,
    code: Code,
    semantic: Fingerprint,
}

/// A transaction that stores deliveries, with the prepared statements that it needs for each.
struct Accepting<'a, 'w> {
    work: &'a mut Work<'w>,
    siblings: Siblings<'w>,
    event: CachedStatement<'w>,
    /// The late events. Like the others, they are ready until all deliveries of the slice are
    /// stored.
    late: Vec<i64>,
    /// The events that have gained a sibling since the slice began, so that they are not the only
    /// ones of their tasks any more.
    of_one_task: Vec<i64>,
}

impl Accepting<'_, '_> {
    fn accept(&mut self, delivery: &Delivery, first: i64) -> Result<Acceptance> {
        ledger::meet(self.work, delivery)?;
        match &delivery.content {
            Content::Event {
                key,
                code,
                semantic,
                ..
            } => {
                let says = Says {
                    delivery,
                    key,
                    code: *code,
                    semantic: *semantic,
                };
                self.accept_event(says, first)
            }
            Content::Quarantined { reason, .. } => {
                put_in_quarantine(self.work, delivery, &reason.to_string())
            }
            _ => Err(Error::Unknown),
        }
    }

    fn accept_event(&mut self, says: Says<'_>, first: i64) -> Result<Acceptance> {
        let (task_id, stage) = (says.key.task_id(), says.key.stage());
        let hash = task_hash(task_id);
        let siblings = self.siblings.of(self.work.keys, hash, task_id.as_str())?;
        if let Some(known) = siblings.iter().find(|known| known.stage == *stage) {
            if known.id >= first && known.unconfirmed && !says.delivery.unconfirmed {
                // The event was confirmed by a delivery of the same slice, which needs its state.
                self.open(first)?;
            }
            return accept_again(self.work, known, &siblings, says);
        }
        if siblings.len() >= EVENTS_OF_TASK_MAX {
            let reason = "the task has too many events";
            return put_in_quarantine(self.work, says.delivery, reason);
        }
        let is_late = !siblings.is_empty() && self.is_late(&siblings, says)?;
        let event = self.insert(hash, says)?;
        if !siblings.is_empty() {
            self.of_one_task
                .extend(siblings.iter().map(|known| known.id));
            self.of_one_task.push(event);
        }
        if is_late {
            self.late.push(event);
            return Ok(Acceptance::Late);
        }
        Ok(Acceptance::New)
    }

    fn is_late(&self, siblings: &[StoredSibling], says: Says<'_>) -> Result<bool> {
        // Events of this slice have no state yet. For lateness that does not matter: they are not
        // done.
        let stage = says.key.stage();
        Ok(siblings.iter().any(|sibling| {
            let counts = !sibling.unconfirmed || sibling.state == crate::row::DONE;
            counts && sibling.stage.supersedes(stage)
        }))
    }

    fn insert(&mut self, hash: i64, says: Says<'_>) -> Result<i64> {
        let Says { delivery, key, .. } = says;
        let event = self.work.keys.next_event();
        self.event.execute(params![
            event,
            hash,
            key.task_id().as_str(),
            key.stage().as_str(),
            says.code.0,
            source_column(delivery.source),
            delivery.verified_by.bits(),
            delivery.unconfirmed,
            time_column(delivery.received_at),
            self.work.now,
            delivery.strict.0,
            says.semantic.0,
            &*delivery.raw,
        ])?;
        self.work.keys.add(hash);
        Ok(event)
    }

    /// Makes the events of this slice ready that have no state yet, all at once.
    fn open(&mut self, first: i64) -> Result<()> {
        if self.work.keys.next_event() > first {
            self.work
                .transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO ready (event_id, since, is_only)
                     SELECT id, stored_at, 1 FROM events WHERE id >= ?1",
                )?
                .execute([first])?;
        }
        for event in self.of_one_task.drain(..) {
            self.work
                .transaction
                .prepare_cached("UPDATE ready SET is_only = 0 WHERE event_id = ?1")?
                .execute([event])?;
        }
        Ok(())
    }
}

/// Stores another delivery of a known event.
fn accept_again(
    work: &mut Work<'_>,
    known: &StoredSibling,
    siblings: &[StoredSibling],
    says: Says<'_>,
) -> Result<Acceptance> {
    if known.unconfirmed && !says.delivery.unconfirmed {
        confirm(work, known, says)?;
        if known.state == DEAD {
            state::reopen(work, known.id, siblings)?;
        }
        return Ok(Acceptance::Confirmed);
    }
    let accepted = add_conflict(work, known.id, says)?;
    if known.unconfirmed && known.state == WAITING {
        nudge(work, known.id)?;
    }
    Ok(accepted)
}

/// Keeps a delivery with its event, unless its content is already known.
fn add_conflict(work: &mut Work<'_>, event: i64, says: Says<'_>) -> Result<Acceptance> {
    let transaction = work.transaction;
    let (strict, semantic) = (says.delivery.strict.0, says.semantic.0);
    let is_known: bool = transaction
        .prepare_cached(
            "SELECT EXISTS (
                 SELECT 1 FROM events WHERE id = ?1 AND (strict = ?2 OR semantic = ?3)
                 UNION ALL
                 SELECT 1 FROM conflicts WHERE event_id = ?1 AND (strict = ?2 OR semantic = ?3))",
        )?
        .query_row(params![event, strict, semantic], |row| row.get(0))?;
    if is_known {
        return Ok(Acceptance::Duplicate);
    }
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

/// Ends the wait of an event early, within a limit.
fn nudge(work: &mut Work<'_>, event: i64) -> Result<()> {
    let nudged = work
        .transaction
        .prepare_cached(
            "UPDATE later SET state = 0, due = iif(due IS NULL, NULL, ?2), since = ?2
             WHERE event_id = ?1 AND state = 2 AND coalesce(due, since) > ?2
                 AND (SELECT nudges FROM events WHERE id = ?1) < ?3",
        )?
        .execute(params![event, work.now, NUDGES_MAX])?;
    if nudged == 1 {
        work.transaction
            .prepare_cached("UPDATE events SET nudges = nudges + 1 WHERE id = ?1")?
            .execute([event])?;
    }
    Ok(())
}

/// Replaces the content of an unconfirmed event by that of a confirmed delivery.
fn confirm(work: &mut Work<'_>, known: &StoredSibling, says: Says<'_>) -> Result<()> {
    let (transaction, event) = (work.transaction, known.id);
    keep_former(transaction, event, says)?;
    transaction
        .prepare_cached(
            "UPDATE events SET code = ?2, source = ?3, verified_by = ?4, unconfirmed = 0,
                 strict = ?5, semantic = ?6, raw = ?7
             WHERE id = ?1",
        )?
        .execute(params![
            event,
            says.code.0,
            source_column(says.delivery.source),
            says.delivery.verified_by.bits(),
            says.delivery.strict.0,
            says.semantic.0,
            &*says.delivery.raw,
        ])?;
    transaction
        .prepare_cached(
            "UPDATE later SET due = iif(state = 2, min(due, ?2), due),
                 since = iif(state = 2, min(since, ?2), since), state = iif(state = 2, 0, state)
             WHERE event_id = ?1",
        )?
        .execute([event, work.now])?;
    Ok(())
}

/// Keeps the content of an unconfirmed event as a conflict, if the record differs from it.
fn keep_former(transaction: &Transaction<'_>, event: i64, says: Says<'_>) -> Result<()> {
    let (strict, semantic) = (says.delivery.strict.0, says.semantic.0);
    transaction
        .prepare_cached(
            "DELETE FROM conflicts WHERE event_id = ?1 AND strict = ?2 AND semantic = ?3",
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

/// Keeps a delivery as it was received, within a limit.
pub(crate) fn put_in_quarantine(
    work: &mut Work<'_>,
    delivery: &Delivery,
    reason: &str,
) -> Result<Acceptance> {
    let is_known = work
        .transaction
        .prepare_cached("SELECT 1 FROM quarantine WHERE strict = ?1")?
        .query_row([delivery.strict.0], |_| Ok(()))
        .optional()?;
    if is_known.is_some() {
        return Ok(Acceptance::Quarantined);
    }
    let entries: u32 = work
        .transaction
        .prepare_cached("SELECT count(*) FROM quarantine")?
        .query_row((), |row| row.get(0))?;
    if entries as usize >= QUARANTINED_MAX {
        work.tally.dropped += 1;
        return Ok(Acceptance::Dropped);
    }
    work.transaction
        .prepare_cached(
            "INSERT INTO quarantine
             (strict, task_id, source, verified_by, received_at, stored_at, reason, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            delivery.strict.0,
            delivery.task_id().map(|id| id.as_str()),
            source_column(delivery.source),
            delivery.verified_by.bits(),
            time_column(delivery.received_at),
            work.now,
            reason,
            &*delivery.raw,
        ])?;
    Ok(Acceptance::Quarantined)
}
