//! Granting claims.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Row, Transaction, params};
use suno_callback::{
    Claim, ClaimRequest, EventId, EventKey, EventState, StoreError, Ticket, VerifiedBy, turn,
};
use suno_types::{Stage, TaskId};

use crate::error::{damaged, store_error};
use crate::keys::Keys;
use crate::row::{micros, moment, source, state, state_columns};
use crate::settle;
use crate::siblings::{Sibling, Siblings};

/// How many open events are looked at for one claim, so that a backlog of tasks that are being
/// handled costs a bounded time.
const LOOKED_AT_MAX: usize = 4_096;

/// How many of them are read at once at least.
const READ_MIN: usize = 32;

/// Claims the events whose turn it is, oldest first.
pub(crate) fn claim(
    transaction: &Transaction<'_>,
    keys: &mut Keys,
    request: &ClaimRequest,
) -> Result<Vec<Claim>, StoreError> {
    keys.catch_up(transaction)?;
    let claims = claim_among(transaction, keys, request, LOOKED_AT_MAX)?;
    // A process that only claims takes in keys as well.
    keys.merge(transaction, 0)?;
    Ok(claims)
}

/// Looks at the `looked_at_max` oldest open events that are due.
fn claim_among(
    transaction: &Transaction<'_>,
    keys: &Keys,
    request: &ClaimRequest,
    looked_at_max: usize,
) -> Result<Vec<Claim>, StoreError> {
    let mut siblings_of = Siblings::new(transaction).map_err(store_error)?;
    let mut claims = Vec::new();
    let mut seen = HashSet::new();
    let (mut after, mut left) = (0, looked_at_max);
    while claims.len() < request.events_max && left > 0 {
        let read = (request.events_max - claims.len()).max(READ_MIN).min(left);
        let found = candidates(transaction, request, after, read).map_err(store_error)?;
        let Some(last) = found.last() else {
            break;
        };
        after = last.id;
        left -= found.len();
        for Candidate { hash, task_id, .. } in found {
            if claims.len() >= request.events_max {
                break;
            }
            // One event of a task is claimed at a time. Another task of the same hash waits for the
            // next claim.
            if !seen.insert(hash) {
                continue;
            }
            let siblings = siblings_of.of(keys, hash, &task_id).map_err(store_error)?;
            claims.extend(claim_of_task(transaction, &siblings, request)?);
        }
    }
    Ok(claims)
}

/// An open event that is due.
struct Candidate {
    id: i64,
    hash: i64,
    task_id: String,
}

/// The oldest open events behind `after` that are due.
fn candidates(
    transaction: &Transaction<'_>,
    request: &ClaimRequest,
    after: i64,
    read: usize,
) -> rusqlite::Result<Vec<Candidate>> {
    transaction
        .prepare_cached(
            "SELECT event_id, task_hash, task_id FROM open JOIN events ON id = event_id
             WHERE due <= ?1 AND event_id > ?2 ORDER BY event_id LIMIT ?3",
        )?
        .query_map(
            params![
                micros(request.now),
                after,
                i64::try_from(read).unwrap_or(i64::MAX)
            ],
            |row| {
                Ok(Candidate {
                    id: row.get(0)?,
                    hash: row.get(1)?,
                    task_id: row.get(2)?,
                })
            },
        )?
        .collect()
}

fn claim_of_task(
    transaction: &Transaction<'_>,
    siblings: &[Sibling],
    request: &ClaimRequest,
) -> Result<Option<Claim>, StoreError> {
    let mut standing = Vec::with_capacity(siblings.len());
    for sibling in siblings {
        standing.push((sibling.stage.clone(), state(sibling.state, sibling.due)?));
    }
    let Some(turn) = turn(&standing, request.now) else {
        return Ok(None);
    };
    for place in turn.supersede {
        settle::supersede(transaction, siblings[place].id).map_err(store_error)?;
    }
    let id = siblings[turn.claim].id;
    grant(transaction, id, request)
        .map_err(store_error)?
        .ok_or_else(|| damaged("an event has no body"))?
        .into_claim(id)
        .map(Some)
}

fn grant(
    transaction: &Transaction<'_>,
    id: i64,
    request: &ClaimRequest,
) -> rusqlite::Result<Option<Granted>> {
    let (state, due) = state_columns(EventState::Claimed {
        until: request.until(),
    });
    transaction
        .prepare_cached(
            "UPDATE open SET state = ?2, due = ?3, epoch = epoch + 1, attempts = attempts + 1
             WHERE event_id = ?1",
        )?
        .execute(params![id, state, due])?;
    transaction
        .prepare_cached(
            "SELECT task_id, stage, source, verified_by, events.received_at, attempts, epoch, raw
             FROM open JOIN events ON id = event_id
             WHERE event_id = ?1 AND raw IS NOT NULL",
        )?
        .query_row([id], Granted::read)
        .optional()
}

/// The row of an event that was claimed.
struct Granted {
    task_id: String,
    stage: Stage,
    source: i64,
    verified_by: u8,
    received_at: i64,
    attempts: u32,
    epoch: u32,
    raw: Vec<u8>,
}

impl Granted {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            task_id: row.get(0)?,
            stage: Stage::from(row.get_ref(1)?.as_str()?),
            source: row.get(2)?,
            verified_by: row.get(3)?,
            received_at: row.get(4)?,
            attempts: row.get(5)?,
            epoch: row.get(6)?,
            raw: row.get(7)?,
        })
    }

    fn into_claim(self, id: i64) -> Result<Claim, StoreError> {
        let task_id =
            TaskId::new(self.task_id).map_err(|_| damaged("a stored task id is no id"))?;
        let ticket = Ticket {
            event: EventId(id),
            epoch: self.epoch,
        };
        let mut claim = Claim::new(ticket, EventKey::new(task_id, self.stage), self.raw);
        claim.attempt = self.attempts;
        claim.source = source(self.source);
        claim.verified_by = VerifiedBy::from_bits(self.verified_by);
        claim.received_at = moment(self.received_at)?;
        Ok(claim)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use suno_callback::{Delivery, Verification};

    use super::*;
    use crate::{accept, schema};

    fn delivery(task: &str, word: &str) -> Delivery {
        let body = format!(
            r#"{{"code":200,"data":{{"callbackType":"{word}","task_id":"{task}","data":[]}}}}"#
        );
        let none = Verification::dangerous_none();
        let verified = none.verify(None, &Default::default(), body.into(), 0);
        Delivery::decode(verified.unwrap(), Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_backlog_of_a_task_that_is_handled_is_looked_at_up_to_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let mut connection = schema::open(&dir.path().join("suno.db")).unwrap();
        let transaction = connection.transaction().unwrap();
        let mut keys = Keys::default();
        // So many that they are read in several steps.
        let words = (0..2 * READ_MIN).map(|number| format!("word-{number}"));
        let mut deliveries: Vec<_> = words.map(|word| delivery("busy", &word)).collect();
        deliveries.push(delivery("free", "text"));
        accept::accept(&transaction, &mut keys, &deliveries).unwrap();
        let now = Timestamp::from_second(1).unwrap();
        let claim = |looked_at_max, events_max| {
            let request = ClaimRequest::new(now, Duration::from_secs(60), events_max);
            let claims = claim_among(&transaction, &keys, &request, looked_at_max).unwrap();
            let tasks = claims.iter().map(|claim| claim.key.task_id().to_string());
            tasks.collect::<Vec<_>>()
        };
        assert_eq!(claim(LOOKED_AT_MAX, 1), ["busy"]);
        // Its other events wait for their turn, and stand before the free one.
        let waiting = deliveries.len() - 2;
        assert!(claim(waiting, 1).is_empty());
        assert_eq!(claim(waiting + 1, 1), ["free"]);
        assert!(claim(LOOKED_AT_MAX, 1).is_empty());
    }
}
