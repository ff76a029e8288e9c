//! Stores deliveries.

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};
use suno_callback::bounds::{NUDGES_MAX, QUARANTINED_MAX, REVISIONS_MAX, UNRANKED_EVENTS_MAX};
use suno_callback::{Acceptance, Content, Delivery, SubmitId};

use crate::conflicts::{Says, add_conflict, has_fingerprints, keep_former};
use crate::error::{Error, Result};
use crate::ledger;
use crate::row::{
    CLAIMED, DEAD, DONE, READY, SUPERSEDED, WAITING, product_column, source_column, task_hash,
    time_column, worker_column,
};
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

pub(crate) fn insert_event<'t>(
    transaction: &'t Transaction<'_>,
) -> rusqlite::Result<CachedStatement<'t>> {
    transaction.prepare_cached(
        "INSERT INTO events (id, task_hash, task_id, stage, code, source, verified_by,
             unconfirmed, received_at, stored_at, strict, semantic, revision, results, product,
             suffix, submit, reference, kind, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
             ?18, ?19, ?20)",
    )
}

/// How a delivery relates to the events of its stage.
enum Relation<'a> {
    /// It confirms this event, and its body replaces the event's.
    Confirms(&'a StoredSibling),
    /// Another delivery of this event, and whether it is a duplicate.
    Again(&'a StoredSibling, bool),
    /// It says more than the stage.
    Revises,
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
        let submit = ledger::meet(self.work, delivery)?;
        match &delivery.content {
            Content::Event {
                key,
                code,
                semantic,
                results,
                product,
                ..
            } => {
                let says = Says {
                    delivery,
                    key,
                    code: *code,
                    semantic: *semantic,
                    results: *results,
                    product,
                    submit: &submit,
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
        // Revisions are stored in their order.
        let Some(latest) = siblings.iter().rfind(|known| known.stage == *stage) else {
            return self.store(hash, says, 0, &siblings);
        };
        match self.relation(latest, &siblings, says, first)? {
            Relation::Revises => self.store(hash, says, latest.revision + 1, &siblings),
            Relation::Again(known, is_duplicate) => {
                accept_again(self.work, known, is_duplicate, says)
            }
            Relation::Confirms(known) => {
                if known.id >= first {
                    // The event was stored by a delivery of the same slice. It needs its state.
                    self.open(first)?;
                }
                confirm(self.work, known, says)?;
                let was_denied = known.state == DONE && known.revision > 0;
                if known.state == DEAD || was_denied {
                    state::reopen(self.work, known.id, &siblings)?;
                }
                Ok(Acceptance::Confirmed)
            }
        }
    }

    /// Finds how a delivery relates to the events of its stage (A3, A4, A7, A13, A14).
    fn relation<'s>(
        &self,
        latest: &'s StoredSibling,
        siblings: &'s [StoredSibling],
        says: Says<'_>,
        first: i64,
    ) -> Result<Relation<'s>> {
        let is_confirmed = !says.delivery.unconfirmed;
        let (mut conflict, mut most) = (None, None);
        for known in siblings.iter().filter(|known| known.stage == latest.stage) {
            let (is_same, has_conflict) = has_fingerprints(self.work.transaction, known.id, says)?;
            if is_same && known.unconfirmed && is_confirmed {
                return Ok(Relation::Confirms(known));
            }
            if is_same {
                return Ok(Relation::Again(known, true));
            }
            if has_conflict && conflict.is_none() {
                conflict = Some(known);
            }
            if known.counts() {
                most = most.max(Some(known.results));
            }
        }
        let says_more = says.results > most.unwrap_or(latest.results);
        // A claimed event may be handled with less already, unless the delivery comes from its claim.
        let is_handled = match latest.state {
            DONE => latest.revision == 0,
            CLAIMED => !self.is_claimed_by(latest.id, says.delivery)?,
            _ => false,
        };
        let is_about_latest = match says_more {
            true => !is_handled,
            false => latest.revision == 0 || most.is_none(),
        };
        if latest.unconfirmed && is_confirmed && is_about_latest {
            return Ok(Relation::Confirms(latest));
        }
        let is_open = [READY, WAITING].contains(&self.state_of(latest, first));
        let is_pending = latest.unconfirmed && is_open;
        if says_more && !is_pending && latest.revision < REVISIONS_MAX {
            return Ok(Relation::Revises);
        }
        Ok(match conflict {
            Some(known) => Relation::Again(known, true),
            None => Relation::Again(latest, false),
        })
    }

    /// Whether a delivery names the latest claim of an event.
    fn is_claimed_by(&self, event: i64, delivery: &Delivery) -> Result<bool> {
        let Some(ticket) = delivery.claim.filter(|ticket| ticket.event.0 == event) else {
            return Ok(false);
        };
        let is_held = self
            .work
            .transaction
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM later
                     WHERE event_id = ?1 AND epoch = ?2 AND worker = ?3 AND state = 1)",
            )?
            .query_row(
                params![event, ticket.epoch, worker_column(ticket.worker)],
                |row| row.get(0),
            )?;
        Ok(is_held)
    }

    /// The state of an event, also if it was stored in this slice.
    fn state_of(&self, known: &StoredSibling, first: i64) -> i64 {
        match known.id >= first {
            true if self.late.contains(&known.id) => SUPERSEDED,
            true => READY,
            false => known.state,
        }
    }

    /// Stores a new event: the first of its stage, or a revision.
    fn store(
        &mut self,
        hash: i64,
        says: Says<'_>,
        revision: u32,
        siblings: &[StoredSibling],
    ) -> Result<Acceptance> {
        let is_unranked = says.key.stage().rank().is_none();
        let unranked = siblings.iter().filter(|known| known.stage.rank().is_none());
        if is_unranked && unranked.count() >= UNRANKED_EVENTS_MAX {
            let reason = "the task has too many events of unknown stages";
            return put_in_quarantine(self.work, says.delivery, reason);
        }
        // Events of this slice have no state yet. For lateness that does not matter: they are not
        // done.
        let stage = says.key.stage();
        let is_late = siblings.iter().any(|sibling| sibling.makes_late(stage));
        let event = self.insert(hash, says, revision)?;
        if !siblings.is_empty() {
            self.of_one_task
                .extend(siblings.iter().map(|known| known.id));
            self.of_one_task.push(event);
        }
        if is_late {
            self.late.push(event);
            return Ok(Acceptance::Late);
        }
        Ok(match revision {
            0 => Acceptance::New,
            _ => Acceptance::Revised,
        })
    }

    fn insert(&mut self, hash: i64, says: Says<'_>, revision: u32) -> Result<i64> {
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
            revision,
            says.results,
            product_column(says.product),
            delivery.suffix.as_ref().map(ToString::to_string),
            delivery.submit.as_ref().map(SubmitId::bytes),
            says.submit.reference,
            says.submit.kind,
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
    is_duplicate: bool,
    says: Says<'_>,
) -> Result<Acceptance> {
    let accepted = match is_duplicate {
        true => Acceptance::Duplicate,
        false => add_conflict(work, known.id, says)?,
    };
    if known.unconfirmed && known.state == WAITING {
        nudge(work, known.id)?;
    }
    Ok(accepted)
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
                 strict = ?5, semantic = ?6, raw = ?7, results = ?8, product = ?9,
                 submit = coalesce(submit, ?10), reference = iif(submit IS NULL, ?11, reference),
                 kind = iif(submit IS NULL, ?12, kind)
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
            says.results,
            product_column(says.product),
            says.delivery.submit.as_ref().map(SubmitId::bytes),
            says.submit.reference,
            says.submit.kind,
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
             (strict, task_id, source, verified_by, received_at, stored_at, reason, submit,
                 suffix, raw)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            delivery.strict.0,
            delivery.task_id().map(|id| id.as_str()),
            source_column(delivery.source),
            delivery.verified_by.bits(),
            time_column(delivery.received_at),
            work.now,
            reason,
            delivery.submit.as_ref().map(SubmitId::bytes),
            delivery.suffix.as_ref().map(ToString::to_string),
            &*delivery.raw,
        ])?;
    Ok(Acceptance::Quarantined)
}
