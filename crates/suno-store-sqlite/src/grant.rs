//! Grants claims in the order in which events became ready, with a limited number of candidates.

use std::collections::VecDeque;

use rusqlite::{CachedStatement, OptionalExtension, Row, ToSql, Transaction, params};
use suno_callback::bounds::{LAPSES_SUSPECT, LEASE_MAX};
use suno_callback::{ClaimRequest, Claims, DeadCause, EventId, turn};

use crate::clock::{Micros, after};
use crate::error::{Error, Result};
use crate::lease::{Event, Lease};
use crate::row::{CLAIMED, worker_column};
use crate::siblings::{Siblings, at};
use crate::state::{self, ClaimedReady};
use crate::work::Work;

/// The maximum number of events that are looked at for one claim. Each of them is claimed, parked,
/// made a dead letter, or suspected: a look is hardly ever wasted.
const LOOKED_AT_MAX: u32 = 4_096;
/// The minimum number of candidates that are read from a table at first. Each further read is twice
/// as large.
const READ_MIN: u32 = 4;

/// An event that may be claimed now.
struct Candidate {
    id: i64,
    since: Micros,
    is_ready: bool,
    /// Whether it is the only event of its task and was never claimed.
    is_only: bool,
    /// `None` if the event of this row is missing.
    task_hash: Option<i64>,
}

/// The result of looking at a candidate.
enum Looked {
    /// It was claimed, after so many lapses in a row.
    Granted(u32),
    Suspected,
    /// It is no longer a candidate.
    PutAside,
}

/// Grants the claims of a request.
pub(crate) fn grant(work: &mut Work<'_>, request: &ClaimRequest) -> Result<Claims> {
    let mut granting = Granting {
        event: Event::statement(work.transaction)?,
        claim: state::claim_ready(work.transaction)?,
        until: after(work.now, request.lease.min(LEASE_MAX)),
        claims: Claims::default(),
        taken: Vec::new(),
        request,
        work,
    };
    granting.claims.more = granting.run()?;
    granting.delete_taken()?;
    Ok(granting.claims)
}

/// A transaction that grants claims, with the prepared statements that it needs for each.
struct Granting<'a, 'w> {
    work: &'a mut Work<'w>,
    request: &'a ClaimRequest,
    event: CachedStatement<'w>,
    claim: CachedStatement<'w>,
    /// The time at which the leases end.
    until: Micros,
    claims: Claims,
    /// The events of `ready` that were claimed. Their rows still exist.
    taken: Vec<i64>,
}

impl Granting<'_, '_> {
    /// Looks at candidates in their order. Returns true if there may be more.
    fn run(&mut self) -> Result<bool> {
        // One more than can be granted, to find out whether there are more.
        let granted_max = u32::try_from(self.request.events_max).unwrap_or(LOOKED_AT_MAX);
        let mut candidates = Candidates::new(self.work.now, granted_max.saturating_add(1));
        for _ in 0..LOOKED_AT_MAX {
            let Some(candidate) = candidates.next(self.work.transaction)? else {
                return Ok(false);
            };
            if self.claims.claims.len() >= self.request.events_max {
                return Ok(true);
            }
            match self.look_at(&candidate)? {
                Looked::Granted(lapses) => {
                    if lapses >= LAPSES_SUSPECT {
                        return Ok(true);
                    }
                }
                Looked::Suspected => self.claims.suspected = true,
                Looked::PutAside => {}
            }
        }
        Ok(true)
    }

    /// Claims the event of the candidate's task whose turn it is.
    fn look_at(&mut self, candidate: &Candidate) -> Result<Looked> {
        let Some(task_hash) = candidate.task_hash else {
            forget_orphan(self.work.transaction, candidate.id)?;
            return Ok(Looked::PutAside);
        };
        let looked = if candidate.is_only {
            // The usual case: nothing else needs to be looked up.
            self.grant(candidate, task_hash, 0)
        } else {
            self.look_at_task(candidate, task_hash)
        };
        match looked {
            Err(err) if err.is_of_one_row() => {
                bury_damaged(self.work, candidate, &err)?;
                Ok(Looked::PutAside)
            }
            looked => looked,
        }
    }

    fn look_at_task(&mut self, candidate: &Candidate, task_hash: i64) -> Result<Looked> {
        let mut siblings = Siblings::new(self.work.transaction)?;
        let stored = siblings.of_event(self.work.keys, task_hash, candidate.id)?;
        let now = at(&stored, self.work.now)?;
        // Already claimed, superseded or parked earlier in this request.
        let is_open = stored
            .iter()
            .zip(&now)
            .any(|(stored, sibling)| stored.id == candidate.id && sibling.state.is_claimable());
        if !is_open {
            return Ok(Looked::PutAside);
        }
        let Some(turn) = turn(&now) else {
            state::park(self.work, candidate.id, candidate.is_ready)?;
            return Ok(Looked::PutAside);
        };
        if stored[turn.claim].id != candidate.id {
            // That event is a candidate itself, in the order in which it became ready.
            return Ok(Looked::PutAside);
        }
        let mut lapses = 0;
        if !candidate.is_ready {
            let has_lapsed = now[turn.claim].state.is_lapsed();
            lapses = u32::from(has_lapsed) + lapses_of(self.work, candidate.id)?;
        }
        let alone = self.request.running == 0 && self.claims.claims.is_empty();
        if lapses >= LAPSES_SUSPECT && !alone {
            return Ok(Looked::Suspected);
        }
        for place in turn.supersede {
            state::supersede(self.work, stored[place].id)?;
        }
        self.grant(candidate, task_hash, lapses)
    }

    fn grant(&mut self, candidate: &Candidate, task_hash: i64, lapses: u32) -> Result<Looked> {
        let event = Event::read(&mut self.event, candidate.id)?;
        let lease = if candidate.is_ready {
            self.taken.push(candidate.id);
            let claimed = ClaimedReady {
                event: candidate.id,
                task_hash,
                since: candidate.since,
                until: self.until,
                supersedes: event.unconfirmed,
                worker: self.request.worker,
            };
            claimed.write(&mut self.claim)?;
            Lease::first(&claimed)
        } else {
            self.claim_later(candidate.id, lapses)?
        };
        let claim = lease.claim(EventId(candidate.id), event, self.work.now);
        let lapses = claim.lapses;
        self.claims.claims.push(claim);
        Ok(Looked::Granted(lapses))
    }

    fn claim_later(&mut self, event: i64, lapses: u32) -> Result<Lease> {
        let worker = worker_column(self.request.worker);
        self.work
            .transaction
            .prepare_cached(
                "UPDATE later SET state = ?2, due = ?3, lapses = ?4, worker = ?5,
                     epoch = epoch + 1, attempts = attempts + 1
                 WHERE event_id = ?1",
            )?
            .execute(params![event, CLAIMED, self.until, lapses, worker])?;
        Lease::of(self.work.transaction, event)?.ok_or(Error::Damaged("an event has no state"))
    }

    /// Deletes the claimed rows of `ready`; consecutive numbers are deleted together.
    fn delete_taken(&mut self) -> Result<()> {
        self.taken.sort_unstable();
        let mut delete = self
            .work
            .transaction
            .prepare_cached("DELETE FROM ready WHERE event_id BETWEEN ?1 AND ?2")?;
        for run in self.taken.chunk_by(|before, next| before + 1 == *next) {
            delete.execute([run[0], run[run.len() - 1]])?;
        }
        Ok(())
    }
}

/// The candidates, in the order in which they became ready: merged from the tables `ready` and
/// `later`.
struct Candidates {
    now: Micros,
    ready: Queue,
    later: Queue,
}

/// The candidates of one table, read in batches.
struct Queue {
    read: VecDeque<Candidate>,
    /// The time since when the last candidate read is ready, and its number.
    after: (Micros, i64),
    read_next: u32,
    is_at_end: bool,
}

impl Candidates {
    fn new(now: Micros, read_first: u32) -> Self {
        let queue = || Queue {
            read: VecDeque::new(),
            after: (Micros::MIN, 0),
            read_next: read_first.clamp(READ_MIN, LOOKED_AT_MAX),
            is_at_end: false,
        };
        Self {
            now,
            ready: queue(),
            later: queue(),
        }
    }

    fn next(&mut self, transaction: &Transaction<'_>) -> Result<Option<Candidate>> {
        self.ready.fill(|(_, id), limit| {
            let sql = "SELECT event_id, since, 1, task_hash, is_only
                 FROM ready LEFT JOIN events ON id = event_id
                 WHERE event_id > ?1 ORDER BY event_id LIMIT ?2";
            candidates(transaction, sql, params![id, limit])
        })?;
        self.later.fill(|(due, id), limit| {
            let sql = "SELECT event_id, due, 0, events.task_hash, 0
                 FROM later LEFT JOIN events ON id = event_id
                 WHERE due <= ?1 AND (due, event_id) > (?2, ?3)
                 ORDER BY due, event_id LIMIT ?4";
            candidates(transaction, sql, params![self.now, due, id, limit])
        })?;
        let (ready, later) = (self.ready.read.front(), self.later.read.front());
        let is_later_first = match (ready, later) {
            (Some(ready), Some(later)) => later.place() < ready.place(),
            (ready, _) => ready.is_none(),
        };
        Ok(if is_later_first {
            self.later.read.pop_front()
        } else {
            self.ready.read.pop_front()
        })
    }
}

impl Queue {
    /// Reads a batch, if all candidates read so far are used.
    fn fill(
        &mut self,
        read: impl FnOnce((Micros, i64), u32) -> rusqlite::Result<VecDeque<Candidate>>,
    ) -> Result<()> {
        if self.is_at_end || !self.read.is_empty() {
            return Ok(());
        }
        self.read = read(self.after, self.read_next)?;
        self.is_at_end = self.read.len() < self.read_next as usize;
        self.read_next = (2 * self.read_next).min(LOOKED_AT_MAX);
        if let Some(last) = self.read.back() {
            self.after = last.place();
        }
        Ok(())
    }
}

fn candidates(
    transaction: &Transaction<'_>,
    sql: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<VecDeque<Candidate>> {
    let mut statement = transaction.prepare_cached(sql)?;
    statement.query_map(values, Candidate::read)?.collect()
}

impl Candidate {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            since: row.get(1)?,
            is_ready: row.get(2)?,
            task_hash: row.get(3)?,
            is_only: row.get(4)?,
        })
    }

    /// Its position in the order of claims.
    fn place(&self) -> (Micros, i64) {
        (self.since, self.id)
    }
}

fn lapses_of(work: &Work<'_>, event: i64) -> Result<u32> {
    let lapses = work
        .transaction
        .prepare_cached("SELECT lapses FROM later WHERE event_id = ?1")?
        .query_row([event], |row| row.get(0))
        .optional()?;
    Ok(lapses.unwrap_or(0))
}

/// A row without an event cannot be handled, and would be found again and again.
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

/// Makes an event that cannot be read a dead letter, so that it does not block the others.
fn bury_damaged(work: &mut Work<'_>, candidate: &Candidate, err: &Error) -> Result<()> {
    let event = candidate.id;
    tracing::error!(
        event,
        ?err,
        "the store is damaged: an event cannot be read and becomes a dead letter"
    );
    state::move_to_later(work, event)?;
    let reason = "its record in the store is damaged";
    state::bury(work, event, DeadCause::Unreadable, reason)
}
