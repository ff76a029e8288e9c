//! How events stand: opened when they are stored; claims extended and settled, only for the ticket
//! of the latest one.

use jiff::Timestamp;
use rusqlite::{Transaction, params};
use suno_callback::{EventState, Held, Settlement, StoreError, Ticket};

use crate::error::store_error;
use crate::row::state_columns;

/// Moves the end of claims.
pub(crate) fn extend(
    transaction: &Transaction<'_>,
    tickets: &[Ticket],
    until: Timestamp,
) -> Result<Vec<Held>, StoreError> {
    let change = Change {
        state: EventState::Claimed { until },
        reason: None,
        attempts: 0,
    };
    tickets
        .iter()
        .map(|ticket| change.apply(transaction, *ticket).map_err(store_error))
        .collect()
}

/// Records how claims ended.
pub(crate) fn settle(
    transaction: &Transaction<'_>,
    settled: &[(Ticket, Settlement)],
) -> Result<Vec<Held>, StoreError> {
    settled
        .iter()
        .map(|(ticket, settlement)| {
            Change::from(settlement)
                .apply(transaction, *ticket)
                .map_err(store_error)
        })
        .collect()
}

/// What becomes of a claimed event.
struct Change<'a> {
    state: EventState,
    reason: Option<&'a str>,
    attempts: i64,
}

impl<'a> From<&'a Settlement> for Change<'a> {
    fn from(settlement: &'a Settlement) -> Self {
        let (state, reason, attempts) = match settlement {
            Settlement::Done => (EventState::Done, None, 0),
            Settlement::RetryAt { at, reason } => {
                (EventState::Waiting { at: *at }, Some(&**reason), 0)
            }
            Settlement::Dead { reason } => (EventState::Dead, Some(&**reason), 0),
            // Release, and what this version does not know: as if it had not been claimed.
            _ => (EventState::Ready, None, -1),
        };
        Self {
            state,
            reason,
            attempts,
        }
    }
}

impl Change<'_> {
    fn apply(&self, transaction: &Transaction<'_>, ticket: Ticket) -> rusqlite::Result<Held> {
        let held = if self.state.is_settled() {
            close(transaction, ticket.event.0, Some(ticket.epoch), self)?
        } else {
            let (state, due) = state_columns(self.state);
            // State 1 is claimed: an event that was released is not settled.
            let changed = transaction
                .prepare_cached(
                    "UPDATE open SET state = ?3, due = ?4, reason = coalesce(?5, reason),
                         attempts = attempts + ?6
                     WHERE event_id = ?1 AND epoch = ?2 AND state = 1",
                )?
                .execute(params![
                    ticket.event.0,
                    ticket.epoch,
                    state,
                    due,
                    self.reason,
                    self.attempts
                ])?;
            changed == 1
        };
        Ok(if held { Held::Held } else { Held::Lost })
    }
}

/// Opens the events that were appended from `first` on, all at once: they are ready.
pub(crate) fn open(transaction: &Transaction<'_>, first: i64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO open (event_id, state, due, received_at, attempts, epoch)
             SELECT id, 0, 0, received_at, 0, 0 FROM events WHERE id >= ?1",
        )?
        .execute([first])?;
    Ok(())
}

/// Settles an event that comes too late, whoever has claimed it.
pub(crate) fn supersede(transaction: &Transaction<'_>, event: i64) -> rusqlite::Result<()> {
    let change = Change {
        state: EventState::Superseded,
        reason: None,
        attempts: 0,
    };
    close(transaction, event, None, &change).map(|_| ())
}

/// Moves an event to those that are settled, if it is claimed with that epoch; without one, in any
/// case. False if it was not moved.
fn close(
    transaction: &Transaction<'_>,
    event: i64,
    epoch: Option<u32>,
    change: &Change<'_>,
) -> rusqlite::Result<bool> {
    let (state, _) = state_columns(change.state);
    let moved = transaction
        .prepare_cached(
            "INSERT INTO settled (event_id, state, received_at, has_body, attempts, epoch, reason)
             SELECT event_id, ?3, received_at, 1, attempts, epoch, coalesce(?4, reason)
             FROM open WHERE event_id = ?1 AND (?2 IS NULL OR epoch = ?2 AND state = 1)",
        )?
        .execute(params![event, epoch, state, change.reason])?;
    if moved == 1 {
        transaction
            .prepare_cached("DELETE FROM open WHERE event_id = ?1")?
            .execute([event])?;
    }
    Ok(moved == 1)
}
