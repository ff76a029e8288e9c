//! Granting claims: whichever became ready first, and a bounded number of looks.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use suno_callback::bounds::{LAPSES_SUSPECT, LEASE_MAX};
use suno_callback::{
    Claim, ClaimRequest, Claims, DeadCause, EventId, EventKey, Ticket, VerifiedBy, WorkerId, turn,
};
use suno_types::Stage;

use crate::clock::{Micros, after, left};
use crate::error::{Error, Result};
use crate::row::{CLAIMED, source, task_id, time};
use crate::settle::{settle, worker_column};
use crate::siblings::{Siblings, StoredSibling, at};
use crate::state;
use crate::work::Work;

/// How many events are looked at for one claim. Each is claimed, parked or buried, or is a suspected
/// one: a look is nearly never in vain.
const LOOKED_AT_MAX: usize = 4_096;
/// How many candidates are read at once at least.
const READ_MIN: usize = 32;
/// How many workers are remembered with their last request.
const WORKERS_MAX: usize = 64;

/// The last request of each worker and what it was granted, so that an answer which got lost can be
/// repeated. In memory, because a worker that has lost its process asks no more.
#[derive(Debug, Default)]
pub(crate) struct LastRequests(Vec<LastRequest>);

#[derive(Debug)]
struct LastRequest {
    worker: WorkerId,
    number: u64,
    granted: Vec<Ticket>,
}

impl LastRequests {
    fn of(&self, worker: WorkerId) -> Option<&LastRequest> {
        self.0.iter().find(|last| last.worker == worker)
    }

    fn remember(&mut self, request: &ClaimRequest, claims: &[Claim]) {
        self.0.retain(|last| last.worker != request.worker);
        if self.0.len() >= WORKERS_MAX {
            self.0.remove(0);
        }
        self.0.push(LastRequest {
            worker: request.worker,
            number: request.number,
            granted: claims.iter().map(|claim| claim.ticket).collect(),
        });
    }
}

/// Settles, and claims the events whose turn it is.
pub(crate) fn claim(work: &mut Work<'_>, request: &ClaimRequest) -> Result<Claims> {
    let mut claims = Claims::default();
    for (ticket, settlement) in &request.settlements {
        claims.settled.push(settle(work, ticket, settlement)?);
    }
    if let Some(granted) = granted_before(work, request) {
        claims.claims = still_held(work, &granted)?;
        claims.more = true;
        return Ok(claims);
    }
    grant_all(work, request, &mut claims)?;
    work.requests.remember(request, &claims.claims);
    if !claims.more {
        claims.next_due = next_due(work.transaction, work.now)?;
    }
    Ok(claims)
}

/// What the request was granted, if it was answered before.
fn granted_before(work: &Work<'_>, request: &ClaimRequest) -> Option<Vec<Ticket>> {
    let last = work.requests.of(request.worker)?;
    match last.number.cmp(&request.number) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(last.granted.clone()),
        std::cmp::Ordering::Greater => Some(Vec::new()),
    }
}

fn still_held(work: &mut Work<'_>, granted: &[Ticket]) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    for ticket in granted {
        let row = Granted::of(work.transaction, ticket.event.0)?;
        if let Some(row) = row.filter(|row| row.is_held_by(ticket, work.now)) {
            claims.push(row.into_claim(ticket.event, ticket.worker, work.now)?);
        }
    }
    Ok(claims)
}

/// An event that may be claimed now.
struct Candidate {
    id: i64,
    since: Micros,
    is_ready: bool,
    /// `None` if the event of this row is missing.
    task: Option<(i64, String)>,
}

/// What a look at a candidate came to.
enum Looked {
    Granted(Claim),
    Suspected,
    /// It is not a candidate any more.
    PutAside,
}

/// How far candidates were read.
struct Cursor {
    ready_after: i64,
    later_after: (Micros, i64),
}

fn grant_all(work: &mut Work<'_>, request: &ClaimRequest, claims: &mut Claims) -> Result<()> {
    let mut siblings = Siblings::new(work.transaction)?;
    let mut cursor = Cursor {
        ready_after: 0,
        later_after: (Micros::MIN, 0),
    };
    let mut looked_at = 0;
    while looked_at < LOOKED_AT_MAX {
        let read = (request.events_max - claims.claims.len()).max(READ_MIN);
        let candidates = cursor.read(work.transaction, work.now, read)?;
        if candidates.is_empty() {
            return Ok(());
        }
        for candidate in candidates {
            if claims.claims.len() >= request.events_max {
                claims.more = true;
                return Ok(());
            }
            looked_at += 1;
            let alone = request.running == 0 && claims.claims.is_empty();
            match look_at(work, &mut siblings, &candidate, request, alone)? {
                Looked::Granted(claim) => {
                    let is_suspected = claim.lapses >= LAPSES_SUSPECT;
                    claims.claims.push(claim);
                    if is_suspected {
                        claims.more = true;
                        return Ok(());
                    }
                }
                Looked::Suspected => claims.suspected = true,
                Looked::PutAside => {}
            }
        }
    }
    claims.more = true;
    Ok(())
}

impl Cursor {
    /// The next candidates, those first that became ready first.
    fn read(
        &mut self,
        transaction: &Transaction<'_>,
        now: Micros,
        read: usize,
    ) -> Result<Vec<Candidate>> {
        let limit = i64::try_from(read).unwrap_or(i64::MAX);
        let mut candidates = transaction
            .prepare_cached(
                "SELECT event_id, since, 1, task_hash, task_id
                 FROM ready LEFT JOIN events ON id = event_id
                 WHERE event_id > ?1 ORDER BY event_id LIMIT ?2",
            )?
            .query_map([self.ready_after, limit], Candidate::read)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if let Some(last) = candidates.last() {
            self.ready_after = last.id;
        }
        let (due, id) = self.later_after;
        let later = transaction
            .prepare_cached(
                "SELECT event_id, due, 0, later.task_hash, task_id
                 FROM later LEFT JOIN events ON id = event_id
                 WHERE due <= ?1 AND (due, event_id) > (?2, ?3)
                 ORDER BY due, event_id LIMIT ?4",
            )?
            .query_map(params![now, due, id, limit], Candidate::read)?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if let Some(last) = later.last() {
            self.later_after = (last.since, last.id);
        }
        candidates.extend(later);
        candidates.sort_by_key(|candidate| (candidate.since, candidate.id));
        Ok(candidates)
    }
}

impl Candidate {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (hash, task_id): (Option<i64>, Option<String>) = (row.get(3)?, row.get(4)?);
        Ok(Self {
            id: row.get(0)?,
            since: row.get(1)?,
            is_ready: row.get(2)?,
            task: hash.zip(task_id),
        })
    }
}

/// Claims the event of the candidate's task whose turn it is.
fn look_at(
    work: &mut Work<'_>,
    siblings: &mut Siblings<'_>,
    candidate: &Candidate,
    request: &ClaimRequest,
    alone: bool,
) -> Result<Looked> {
    let Some((hash, task_id)) = &candidate.task else {
        forget_orphan(work.transaction, candidate.id)?;
        return Ok(Looked::PutAside);
    };
    let looked = if candidate.is_ready && siblings.is_only(work.keys, *hash, candidate.id)? {
        // Nearly always: nothing else has to be looked up.
        grant(work, candidate, 0, request).map(Looked::Granted)
    } else {
        let stored = siblings.of(work.keys, *hash, task_id)?;
        claim_of_task(work, &stored, candidate, request, alone)
    };
    match looked {
        Err(err) if err.is_of_one_row() => {
            bury_damaged(work, candidate, &err)?;
            Ok(Looked::PutAside)
        }
        looked => looked,
    }
}

fn claim_of_task(
    work: &mut Work<'_>,
    stored: &[StoredSibling],
    candidate: &Candidate,
    request: &ClaimRequest,
    alone: bool,
) -> Result<Looked> {
    let now = at(stored, work.now)?;
    // Claimed, superseded or parked by an earlier look of this claim.
    let is_open = stored
        .iter()
        .zip(&now)
        .any(|(stored, sibling)| stored.id == candidate.id && sibling.state.is_claimable());
    if !is_open {
        return Ok(Looked::PutAside);
    }
    let Some(turn) = turn(&now) else {
        state::park(work, candidate.id, candidate.is_ready)?;
        return Ok(Looked::PutAside);
    };
    let claimed = &stored[turn.claim];
    if claimed.id != candidate.id {
        // It is met by itself, in the order in which it became ready.
        return Ok(Looked::PutAside);
    }
    let mut lapses = 0;
    if !candidate.is_ready {
        lapses = u32::from(now[turn.claim].state.is_lapsed()) + lapses_of(work, claimed.id)?;
    }
    if lapses >= LAPSES_SUSPECT && !alone {
        return Ok(Looked::Suspected);
    }
    for place in turn.supersede {
        state::supersede(work, stored[place].id)?;
    }
    grant(work, candidate, lapses, request).map(Looked::Granted)
}

fn lapses_of(work: &Work<'_>, event: i64) -> Result<u32> {
    let lapses = work
        .transaction
        .prepare_cached("SELECT lapses FROM later WHERE event_id = ?1")?
        .query_row([event], |row| row.get(0))
        .optional()?;
    Ok(lapses.unwrap_or(0))
}

fn grant(
    work: &mut Work<'_>,
    candidate: &Candidate,
    lapses: u32,
    request: &ClaimRequest,
) -> Result<Claim> {
    let until = after(work.now, request.lease.min(LEASE_MAX));
    let ticket = Ticket {
        event: EventId(candidate.id),
        epoch: 0,
        worker: request.worker,
    };
    if candidate.is_ready {
        state::claim_ready(work, candidate.id, until, worker_column(&ticket))?;
    } else {
        work.transaction
            .prepare_cached(
                "UPDATE later SET state = ?2, due = ?3, lapses = ?4, worker = ?5,
                     epoch = epoch + 1, attempts = attempts + 1
                 WHERE event_id = ?1",
            )?
            .execute(params![
                candidate.id,
                CLAIMED,
                until,
                lapses,
                worker_column(&ticket)
            ])?;
    }
    Granted::of(work.transaction, candidate.id)?
        .ok_or(Error::Damaged("an event has no state"))?
        .into_claim(ticket.event, ticket.worker, work.now)
}

/// A row without an event cannot be handled, and would be met again and again.
fn forget_orphan(transaction: &Transaction<'_>, event: i64) -> Result<()> {
    for sql in [
        "DELETE FROM ready WHERE event_id = ?1",
        "DELETE FROM later WHERE event_id = ?1",
    ] {
        transaction.prepare_cached(sql)?.execute([event])?;
    }
    tracing::error!(
        event,
        "the store is damaged: an event that was to be handled is missing"
    );
    Ok(())
}

/// Makes an event that cannot be read a dead letter, so that it does not hold up the others.
fn bury_damaged(work: &mut Work<'_>, candidate: &Candidate, err: &Error) -> Result<()> {
    let event = candidate.id;
    tracing::error!(
        event,
        ?err,
        "the store is damaged: an event cannot be read, and is a dead letter"
    );
    state::move_to_later(work, event)?;
    let reason = "its record in the store is damaged";
    state::bury(work, event, DeadCause::Unreadable, reason)
}

/// The row of an event that was claimed.
struct Granted {
    task_id: String,
    stage: Stage,
    source: i64,
    verified_by: u8,
    unconfirmed: bool,
    received_at: i64,
    state: i64,
    due: Option<Micros>,
    attempts: u32,
    lapses: u32,
    epoch: u32,
    worker: i64,
    open_since: Micros,
    raw: Option<Vec<u8>>,
}

impl Granted {
    fn of(transaction: &Transaction<'_>, event: i64) -> Result<Option<Self>> {
        let row = transaction
            .prepare_cached(
                "SELECT task_id, stage, source, verified_by, events.unconfirmed, received_at, state,
                     due, attempts, lapses, epoch, worker, open_since, raw
                 FROM later JOIN events ON id = event_id WHERE event_id = ?1",
            )?
            .query_row([event], Self::read)
            .optional()?;
        Ok(row)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            task_id: row.get(0)?,
            stage: Stage::from(row.get_ref(1)?.as_str()?),
            source: row.get(2)?,
            verified_by: row.get(3)?,
            unconfirmed: row.get(4)?,
            received_at: row.get(5)?,
            state: row.get(6)?,
            due: row.get(7)?,
            attempts: row.get(8)?,
            lapses: row.get(9)?,
            epoch: row.get(10)?,
            worker: row.get(11)?,
            open_since: row.get(12)?,
            raw: row.get(13)?,
        })
    }

    fn is_held_by(&self, ticket: &Ticket, now: Micros) -> bool {
        self.state == CLAIMED
            && self.epoch == ticket.epoch
            && self.worker == worker_column(ticket)
            && self.due.is_some_and(|due| due > now)
    }

    fn into_claim(self, event: EventId, worker: WorkerId, now: Micros) -> Result<Claim> {
        let raw = self.raw.ok_or(Error::Damaged("an event has no body"))?;
        let ticket = Ticket {
            event,
            epoch: self.epoch,
            worker,
        };
        let key = EventKey::new(task_id(self.task_id)?, self.stage);
        let mut claim = Claim::new(ticket, key, raw);
        claim.holds_for = left(now, self.due.unwrap_or(now));
        claim.attempt = self.attempts;
        claim.lapses = self.lapses;
        claim.age = left(self.open_since, now);
        claim.source = source(self.source);
        claim.verified_by = VerifiedBy::from_bits(self.verified_by);
        claim.unconfirmed = self.unconfirmed;
        claim.received_at = time(self.received_at)?;
        Ok(claim)
    }
}

/// After what time the next event becomes ready; zero if one is.
pub(crate) fn next_due(
    transaction: &Transaction<'_>,
    now: Micros,
) -> Result<Option<std::time::Duration>> {
    let ready: Option<i64> = transaction
        .prepare_cached("SELECT event_id FROM ready LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    if ready.is_some() {
        return Ok(Some(std::time::Duration::ZERO));
    }
    let due: Option<Micros> = transaction
        .prepare_cached("SELECT due FROM later WHERE due IS NOT NULL ORDER BY due LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(due.map(|due| left(now, due)))
}
