//! Changes made by people and by the reconciler: redriving, requeuing, deciding.

use rusqlite::{OptionalExtension, params};
use suno_callback::{Acceptance, Decision, Delivery, EventId, Redrive, RedriveResult};
use suno_types::{Stage, TaskId};

use crate::accept;
use crate::error::Result;
use crate::row::{DEAD, DONE, READY, SUPERSEDED, WAITING, task_hash};
use crate::siblings::{Siblings, StoredSibling};
use crate::state;
use crate::work::Work;

/// Makes a settled event ready again.
pub(crate) fn redrive(
    work: &mut Work<'_>,
    event: EventId,
    redrive: Redrive,
) -> Result<RedriveResult> {
    let found: Option<(i64, String)> = work
        .transaction
        .prepare_cached("SELECT task_hash, task_id FROM events WHERE id = ?1 AND raw IS NOT NULL")?
        .query_row([event.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((hash, task_id)) = found else {
        return Ok(RedriveResult::Gone);
    };
    let siblings = Siblings::new(work.transaction)?.of(work.keys, hash, &task_id)?;
    let Some(this) = siblings.iter().find(|sibling| sibling.id == event.0) else {
        return Ok(RedriveResult::Gone);
    };
    if ![DONE, DEAD, SUPERSEDED].contains(&this.state) {
        return Ok(RedriveResult::NotSettled);
    }
    let is_superseded = siblings
        .iter()
        .any(|sibling| sibling.state == DONE && sibling.supersedes(this));
    if is_superseded && redrive == Redrive::Current {
        return Ok(RedriveResult::Superseded);
    }
    state::reopen(work, event.0, &siblings)?;
    Ok(RedriveResult::Ready)
}

/// Accepts a quarantined delivery with its new decoding.
pub(crate) fn requeue(
    work: &mut Work<'_>,
    entry: EventId,
    delivery: &Delivery,
) -> Result<Option<Acceptance>> {
    let deleted = work
        .transaction
        .prepare_cached("DELETE FROM quarantine WHERE id = ?1")?
        .execute([entry.0])?;
    if deleted == 0 {
        return Ok(None);
    }
    let accepted = accept::accept(work, std::slice::from_ref(delivery))?;
    Ok(accepted.first().copied())
}

/// Decides for one of the terminal stages of a task.
pub(crate) fn decide(work: &mut Work<'_>, task_id: &TaskId, stage: &Stage) -> Result<Decision> {
    let hash = task_hash(task_id);
    let siblings = Siblings::new(work.transaction)?.of(work.keys, hash, task_id.as_str())?;
    let of_stage = siblings.iter().filter(|sibling| sibling.stage == *stage);
    let latest = of_stage.max_by_key(|sibling| (!sibling.unconfirmed, sibling.revision));
    let Some(decided) = latest else {
        return Ok(Decision::Gone);
    };
    if !stage.is_terminal() {
        return Ok(Decision::Unchanged);
    }
    if decided.state == SUPERSEDED && !has_body(work, decided)? {
        return Ok(Decision::Gone);
    }
    for other in &siblings {
        let waits = other.state == READY || other.state == WAITING;
        if other.stage != *stage && other.stage.is_terminal() && waits {
            state::supersede(work, other.id)?;
        }
    }
    if decided.state != SUPERSEDED {
        return Ok(Decision::Unchanged);
    }
    state::reopen(work, decided.id, &siblings)?;
    Ok(Decision::Ready)
}

fn has_body(work: &Work<'_>, event: &StoredSibling) -> Result<bool> {
    let has_body = work
        .transaction
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE id = ?1 AND raw IS NOT NULL)")?
        .query_row(params![event.id], |row| row.get(0))?;
    Ok(has_body)
}
