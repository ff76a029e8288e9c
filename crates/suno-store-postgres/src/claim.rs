//! Applies settlements and grants claims.
//!
//! The order of locks is the same everywhere: tasks in the order of their keys, then rows of `work` in
//! the order of their numbers. A claim waits for the tasks of its settlements, while it holds nothing
//! else; for everything after that it waits for nobody, and leaves out what others hold.
//!
//! A user's transaction in `settle_in` holds only the row of its event in `work`, in a mode that lets
//! extensions pass and claims not.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use suno_callback::rules::{ClaimRound, StoredState};
use suno_callback::{Claim, ClaimRequest, Claims, DeadCause, EventId, SettleResult, Ticket};
use tokio_postgres::types::{ToSql, Type};

use crate::begin::{BEGIN, NOW};
use crate::columns::{micros, since_start, worker_column};
use crate::connect::{Error, Session};
use crate::inner::Inner;
use crate::load::{EVENTS_OF_TASKS, Tasks};
use crate::requests::Asked;
use crate::transaction::{Tried, commit_with, roll_back, time};
use crate::write::{Changes, Sending};

/// How often a claim looks for further events in one transaction.
const PICKS_MAX: usize = 4;
/// How many events more than asked for a claim looks at: some may be held, suspected or not have their
/// turn.
const PICK_MORE: usize = 16;
/// When to look again for an event that a user's transaction holds.
const HELD_RECHECK: Duration = Duration::from_secs(1);

/// Locks the tasks of the events that are settled.
const LOCK_SETTLED: &str = "
    SELECT t.no FROM {schema}.task t
    WHERE t.no IN (SELECT e.task_no FROM {schema}.event e WHERE e.no = ANY ($1))
    ORDER BY t.key FOR NO KEY UPDATE";
/// Locks the tasks of events that transactions of handlers have settled, to take notice of it.
const LOCK_MARKED: &str = "
    SELECT t.no FROM {schema}.task t
    WHERE t.no IN (SELECT w.task_no FROM {schema}.settled_in m
        JOIN {schema}.work w ON w.event_no = m.event_no LIMIT 256)
    ORDER BY t.key FOR NO KEY UPDATE SKIP LOCKED";
/// Locks the rows of events. Under the lock of their task, only users' transactions and extensions hold
/// them.
const LOCK_WORK: &str = "
    SELECT w.event_no FROM {schema}.work w WHERE w.event_no = ANY ($1)
    ORDER BY w.event_no FOR UPDATE SKIP LOCKED";
/// Finds events that are ready, in the order of the queue, and locks their tasks.
const PICK: &str = "
    SELECT w.event_no, w.at, t.no FROM {schema}.work w JOIN {schema}.task t ON t.no = w.task_no
    WHERE w.at <= (SELECT {schema}.clock()) AND (w.at, w.event_no) > ($1, $2)
    ORDER BY w.at, w.event_no LIMIT $3 FOR NO KEY UPDATE OF t SKIP LOCKED";
/// Waits for the transactions that hold the first events of the queue: among them may be an earlier try of
/// the same request, which is still being committed.
const AWAIT: &str = "
    SELECT t.no FROM {schema}.work w JOIN {schema}.task t ON t.no = w.task_no
    WHERE w.at <= (SELECT {schema}.clock())
    ORDER BY w.at, w.event_no LIMIT $1 FOR NO KEY UPDATE OF t";
/// Finds the claims that a request was granted, and locks their tasks.
const RECALL: &str = "
    SELECT w.event_no, w.at, t.no FROM {schema}.work w JOIN {schema}.task t ON t.no = w.task_no
    WHERE w.at > (SELECT {schema}.clock()) AND w.worker = $1 AND w.request = $2 AND w.state = 1
    ORDER BY t.key FOR NO KEY UPDATE OF t";
const NEXT: &str = "
    SELECT w.at FROM {schema}.work w WHERE w.at > $1 AND w.task_no <> ALL ($2)
    ORDER BY w.at LIMIT 1";
const BODIES: &str = "SELECT event_no, raw FROM {schema}.body WHERE event_no = ANY ($1)";

/// An event that was picked.
#[derive(Debug, Clone, Copy)]
struct Picked {
    event: i64,
    at: i64,
    task: i64,
}

/// Applies the settlements of a request, and claims the events whose turn it is.
pub(crate) async fn claim(
    store: &Inner,
    session: Session,
    request: &ClaimRequest,
    asked: Asked,
    is_last_try: bool,
) -> Result<Tried<Claims>, Error> {
    let events = request.settlements.iter().map(|(ticket, _)| ticket.event.0);
    let events: Vec<i64> = events.collect();
    let sent = store.clock.reading();
    let worker = worker_column(request.worker);
    let number = request.number.cast_signed();
    let pick_max = pick_max(request, asked);
    let event_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&events, Type::INT8_ARRAY)];
    let recall_parameters: [(&(dyn ToSql + Sync), Type); 2] =
        [(&worker, Type::INT8), (&number, Type::INT8)];
    let begun = session.batch(BEGIN);
    let locked = optional(
        !events.is_empty(),
        session.query(LOCK_SETTLED, &event_parameters),
    );
    let marked = session.query(LOCK_MARKED, &[]);
    let awaited_max = i64::try_from(pick_max).unwrap_or(i64::MAX);
    let await_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&awaited_max, Type::INT8)];
    let awaited = optional(
        asked == Asked::Unanswered,
        session.query(AWAIT, &await_parameters),
    );
    let recalled = optional(
        matches!(asked, Asked::Unanswered | Asked::Answered),
        session.query(RECALL, &recall_parameters),
    );
    let picked = pick(&session, (i64::MIN, 0), pick_max);
    let now = session.query(NOW, &[]);
    let (_, locked, _, recalled, marked, picked, now) =
        tokio::try_join!(biased; begun, locked, awaited, recalled, marked, picked, now)?;
    let Some(now) = time(&store.clock, &now, sent)? else {
        return roll_back(&session, Tried::ClockMoved).await;
    };
    let mut settled_tasks = Vec::with_capacity(locked.len());
    for row in locked.iter().chain(&marked) {
        settled_tasks.push(row.try_get(0)?);
    }
    let mut round = Round {
        session,
        tasks: Tasks::default(),
        free: HashSet::new(),
        now,
    };
    let recalled: Vec<Picked> = recalled.iter().map(read_picked).collect::<Result<_, _>>()?;
    let first = picked.iter().chain(&recalled).copied().collect::<Vec<_>>();
    round.load(&settled_tasks, &first, &events).await?;
    let (settled, is_busy) = round.settle(request);
    if is_busy && !is_last_try {
        return roll_back(&round.session, Tried::Busy).await;
    }
    if is_busy {
        tracing::warn!(
            "the transaction of a handler still holds an event that its worker has settled; the event \
             stays claimed until the transaction or the lease ends: commit or roll back before the \
             handler returns"
        );
    }
    let is_repeated = match asked {
        Asked::New => false,
        Asked::Unanswered => !recalled.is_empty(),
        Asked::Answered | Asked::Later => true,
    };
    let claims = ClaimRound::new(request, settled, now);
    let claims = if is_repeated {
        claims.repeat(round.held(request, &recalled))
    } else {
        round.grant(request, claims, picked, pick_max).await?
    };
    Ok(Tried::Done(round.commit(request, claims).await?))
}

/// Runs a statement, or none.
async fn optional(
    is_wanted: bool,
    query: impl Future<Output = Result<Vec<tokio_postgres::Row>, Error>>,
) -> Result<Vec<tokio_postgres::Row>, Error> {
    match is_wanted {
        true => query.await,
        false => Ok(Vec::new()),
    }
}

fn pick_max(request: &ClaimRequest, asked: Asked) -> usize {
    match asked {
        Asked::Answered | Asked::Later => 0,
        _ if request.events_max == 0 => 0,
        _ => request.events_max.saturating_add(PICK_MORE),
    }
}

async fn pick(session: &Session, after: (i64, i64), max: usize) -> Result<Vec<Picked>, Error> {
    if max == 0 {
        return Ok(Vec::new());
    }
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let parameters: [(&(dyn ToSql + Sync), Type); 3] = [
        (&after.0, Type::INT8),
        (&after.1, Type::INT8),
        (&limit, Type::INT8),
    ];
    let rows = session.query(PICK, &parameters).await?;
    rows.iter().map(read_picked).collect()
}

fn read_picked(row: &tokio_postgres::Row) -> Result<Picked, Error> {
    Ok(Picked {
        event: row.try_get(0)?,
        at: row.try_get(1)?,
        task: row.try_get(2)?,
    })
}

/// A claim request within its transaction.
struct Round {
    session: Session,
    tasks: Tasks,
    /// The events whose rows this transaction has locked.
    free: HashSet<EventId>,
    now: Duration,
}

impl Round {
    /// Locks the rows of events, and then reads the tasks that are not read yet.
    async fn load(
        &mut self,
        tasks: &[i64],
        picked: &[Picked],
        events: &[i64],
    ) -> Result<(), Error> {
        let picked_tasks = picked.iter().map(|picked| picked.task);
        let mut tasks: Vec<i64> = tasks.iter().copied().chain(picked_tasks).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks.retain(|no| !self.tasks.contains(*no));
        let picked_events = picked.iter().map(|picked| picked.event);
        let events: Vec<i64> = events.iter().copied().chain(picked_events).collect();
        if tasks.is_empty() && events.is_empty() {
            return Ok(());
        }
        let lock_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&events, Type::INT8_ARRAY)];
        let load_parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&tasks, Type::INT8_ARRAY)];
        let locked = self.session.query(LOCK_WORK, &lock_parameters);
        let loaded = self.session.query(EVENTS_OF_TASKS, &load_parameters);
        let (locked, loaded) = tokio::try_join!(biased; locked, loaded)?;
        for row in &locked {
            self.free.insert(EventId(row.try_get(0)?));
        }
        self.tasks.add(&loaded, &[], self.now)?;
        self.bury_damaged();
        Ok(())
    }

    /// Makes dead letters of events whose bodies are missing (C11).
    fn bury_damaged(&mut self) {
        for task in &mut self.tasks.tasks {
            for event in &mut task.events.events {
                if event.raw.is_none() && event.ready_at().is_some() {
                    tracing::error!(
                        event = event.id.0,
                        "the body of an event is missing; the event is a dead letter now"
                    );
                    event.state = StoredState::Dead;
                    event.dead_cause = Some(DeadCause::Unreadable);
                    event.reason = Some("its body is missing".to_owned());
                }
            }
        }
    }

    /// Applies the settlements. Returns the results, and whether another transaction holds one of the
    /// events; that one is lost for now.
    fn settle(&mut self, request: &ClaimRequest) -> (Vec<SettleResult>, bool) {
        let mut is_busy = false;
        let mut settled = Vec::with_capacity(request.settlements.len());
        for (ticket, settlement) in &request.settlements {
            let is_free = self.free.contains(&ticket.event);
            let Some(task) = self.tasks.of_event(ticket.event) else {
                settled.push(SettleResult::Lost);
                continue;
            };
            let holds = task.events.events.iter().any(|event| {
                event.id == ticket.event
                    && event.epoch == ticket.epoch
                    && event.worker == ticket.worker
                    && matches!(event.state, StoredState::Claimed { .. })
            });
            settled.push(if holds && !is_free {
                is_busy = true;
                SettleResult::Lost
            } else {
                task.events.settle(ticket, settlement, self.now)
            });
        }
        (settled, is_busy)
    }

    /// Returns the claims that the request was granted and that still hold.
    fn held(&mut self, request: &ClaimRequest, recalled: &[Picked]) -> Vec<Claim> {
        let mut held = Vec::new();
        for picked in recalled {
            let event = EventId(picked.event);
            if let Some(task) = self.tasks.of_event(event) {
                let events = &mut task.events;
                let epoch = events.events.iter().find(|it| it.id == event);
                let Some(epoch) = epoch.map(|event| event.epoch) else {
                    continue;
                };
                let ticket = Ticket {
                    event,
                    epoch,
                    worker: request.worker,
                };
                held.extend(events.held_claim(&ticket, self.now));
            }
        }
        held.sort_by_key(|claim| claim.ticket.event);
        held
    }

    /// Looks at the events in the order of the queue, and claims those whose turn it is.
    async fn grant(
        &mut self,
        request: &ClaimRequest,
        mut claims: ClaimRound<'_>,
        mut picked: Vec<Picked>,
        pick_max: usize,
    ) -> Result<Claims, Error> {
        let mut looked_at = (i64::MIN, 0);
        for _ in 0..PICKS_MAX {
            let is_full = picked.len() >= pick_max;
            let horizon = match picked.last() {
                Some(last) if is_full => (last.at, last.event),
                _ => (i64::MAX, i64::MAX),
            };
            if self.look_at(&mut claims, looked_at, horizon) {
                return Ok(claims.into_claims());
            }
            if !is_full || request.events_max == 0 {
                return Ok(claims.into_claims());
            }
            looked_at = horizon;
            picked = pick(&self.session, horizon, pick_max).await?;
            self.load(&[], &picked, &[]).await?;
        }
        claims.leave_the_rest();
        Ok(claims.into_claims())
    }

    /// Looks at the events after a place of the queue and up to another one. Returns whether the round
    /// is over.
    fn look_at(&mut self, claims: &mut ClaimRound<'_>, after: (i64, i64), to: (i64, i64)) -> bool {
        let queue = self.tasks.tasks.iter().flat_map(|task| task.events.queue());
        let mut queue: Vec<_> = queue.collect();
        queue.sort_unstable();
        for (ready_at, id) in queue {
            let place = (micros(ready_at), id.0);
            if place <= after || place > to {
                continue;
            }
            if !self.free.contains(&id) && self.was_claimed(id) {
                continue;
            }
            if !claims.goes_on(ready_at) {
                return true;
            }
            if let Some(task) = self.tasks.of_event(id) {
                claims.look_at(&mut task.events, id);
            }
        }
        false
    }

    /// Whether an event was claimed before this request: then a user's transaction may hold it.
    fn was_claimed(&mut self, id: EventId) -> bool {
        let task = self.tasks.of_event(id);
        let former = task.and_then(|task| task.former(id));
        former.is_some_and(|former| matches!(former.event.state, StoredState::Claimed { .. }))
    }

    /// Writes what has changed, commits, and completes the answer.
    async fn commit(&self, request: &ClaimRequest, mut claims: Claims) -> Result<Claims, Error> {
        let changes = Changes::of(&self.tasks, Some(request.number))?;
        let granted = claims.claims.iter().map(|claim| claim.ticket.event.0);
        let granted: Vec<i64> = granted.collect();
        let tasks: Vec<i64> = self.tasks.tasks.iter().map(|task| task.no).collect();
        // A request that only settles says whether there is something to claim.
        let from = match request.events_max {
            0 => i64::MIN,
            _ => micros(self.now),
        };
        let session = &self.session;
        let bodies = optional(!granted.is_empty(), async {
            let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&granted, Type::INT8_ARRAY)];
            session.query(BODIES, &parameters).await
        });
        let next = async {
            let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                [(&from, Type::INT8), (&tasks, Type::INT8_ARRAY)];
            session.query(NEXT, &parameters).await
        };
        let further: Vec<Sending<'_>> = vec![Box::pin(bodies), Box::pin(next)];
        let mut rows = commit_with(session, &changes, further).await?.into_iter();
        let mut bodies = std::collections::HashMap::new();
        for row in rows.next().unwrap_or_default() {
            let raw: Vec<u8> = row.try_get(1)?;
            bodies.insert(row.try_get::<_, i64>(0)?, Bytes::from(raw));
        }
        for claim in &mut claims.claims {
            let raw = bodies.remove(&claim.ticket.event.0);
            claim.raw = raw.ok_or(Error::Damaged("the body of an event is missing"))?;
        }
        let next = rows.next().unwrap_or_default();
        let next = next
            .first()
            .map(|row| row.try_get::<_, i64>(0))
            .transpose()?;
        self.say_what_is_next(request, &mut claims, next.map(since_start));
        Ok(claims)
    }

    /// Adds when the next event becomes ready.
    fn say_what_is_next(
        &self,
        request: &ClaimRequest,
        claims: &mut Claims,
        next: Option<Duration>,
    ) {
        let here = self.tasks.tasks.iter().flat_map(|task| task.events.queue());
        let mut next_due = next;
        for (ready_at, id) in here {
            let is_later = ready_at > self.now;
            let at = match is_later || request.events_max == 0 {
                true => ready_at,
                false if self.free.contains(&id) => continue,
                // A user's transaction holds it.
                false => self.now + HELD_RECHECK,
            };
            next_due = Some(next_due.map_or(at, |next| next.min(at)));
        }
        if request.events_max == 0 && next_due.is_some_and(|next| next <= self.now) {
            claims.more = true;
        }
        claims.next_due = match claims.more {
            true => None,
            false => next_due.map(|next| next.saturating_sub(self.now)),
        };
    }
}
