//! Claiming and settling in memory.

use std::time::Duration;

use super::events::{Events, State, StoredEvent};
use crate::simulation::{Mutation, mutated};
use crate::store::bounds::{LAPSES_SUSPECT, LEASE_MAX, RETRY_AFTER_MAX};
use crate::store::{
    Claim, ClaimRequest, Claims, EventId, Extended, Settled, Settlement, Sibling, Ticket, WorkerId,
    turn,
};

/// How many workers are remembered with their last request.
const WORKERS_MAX: usize = 64;
/// How many events are looked at for one claim.
const LOOKED_AT_MAX: usize = 4_096;

/// So that no claim lapses at the moment at which it is granted.
const LEASE_MIN: Duration = Duration::from_nanos(1);

/// What a worker was granted last.
#[derive(Debug)]
pub(super) struct LastRequest {
    worker: WorkerId,
    number: u64,
    granted: Vec<Ticket>,
}

/// What a look at one event of the queue came to.
enum Looked {
    Granted(Claim),
    /// The task has a live claim: the event is out of the queue until that is settled.
    Parked,
    /// It can only be claimed alone.
    Suspected,
}

impl Events {
    /// After what time the next event is ready. `None` if the queue is empty.
    pub(super) fn ready_in(&self, now: Duration) -> Option<Duration> {
        let (due, _) = self.queue.first()?;
        Some(due.saturating_sub(now))
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest, now: Duration) -> Claims {
        let settle = |(ticket, settlement): &_| self.settle(ticket, settlement, now);
        let mut claims = Claims {
            settled: request.settlements.iter().map(settle).collect(),
            ..Claims::default()
        };
        if let Some(last) = self.last_request(request.worker)
            && last.number >= request.number
        {
            let granted = if last.number == request.number {
                last.granted.clone()
            } else {
                Vec::new()
            };
            let still_held = granted
                .iter()
                .filter_map(|ticket| self.held(ticket).map(|event| event.claim(ticket, now)));
            claims.claims = still_held
                .filter(|claim| !claim.holds_for.is_zero())
                .collect();
            claims.more = true;
            return claims;
        }
        self.grant_all(request, now, &mut claims);
        self.remember(request, &claims);
        claims
    }

    fn grant_all(&mut self, request: &ClaimRequest, now: Duration, claims: &mut Claims) {
        let mut after = (Duration::ZERO, EventId(i64::MIN));
        for _ in 0..LOOKED_AT_MAX {
            let Some(&next) = self.next_queued(after, now) else {
                return;
            };
            if next.0 > now {
                claims.next_due = Some(next.0 - now);
                return;
            }
            if claims.claims.len() >= request.events_max {
                claims.more = true;
                return;
            }
            after = (next.0, EventId(next.1.0 + 1));
            let alone = request.running == 0 && claims.claims.is_empty();
            match self.look_at(next.1, request, alone, now) {
                Some(Looked::Granted(claim)) => {
                    let is_suspected = claim.lapses >= LAPSES_SUSPECT
                        && !mutated(Mutation::SuspectsTogether);
                    claims.claims.push(claim);
                    if is_suspected {
                        claims.more = true;
                        return;
                    }
                }
                Some(Looked::Suspected) => claims.suspected = true,
                Some(Looked::Parked) | None => {}
            }
        }
        claims.more = true;
    }

    /// What is in the queue from `after` on.
    fn next_queued(&self, after: (Duration, EventId), now: Duration) -> Option<&(Duration, EventId)> {
        if mutated(Mutation::GrantsByNumber) {
            let is_next = |(due, id): &&(Duration, EventId)| *due <= now && *id >= after.1;
            return self.queue.iter().filter(is_next).min_by_key(|(_, id)| *id);
        }
        self.queue.range(after..).next()
    }

    /// Claims an event if it is its turn in its task.
    fn look_at(
        &mut self,
        id: EventId,
        request: &ClaimRequest,
        alone: bool,
        now: Duration,
    ) -> Option<Looked> {
        let task_id = self.by_id.get(&id)?.key.task_id().clone();
        let (ids, siblings): (Vec<EventId>, Vec<Sibling>) =
            self.siblings(&task_id, now).into_iter().unzip();
        let Some(turn) = turn(&siblings) else {
            self.park(id);
            return Some(Looked::Parked);
        };
        let claimed = ids[turn.claim];
        if claimed != id {
            return None;
        }
        let is_lapsed = siblings[turn.claim].state.is_lapsed();
        let lapses = self.by_id.get(&claimed)?.lapses + u32::from(is_lapsed);
        if lapses >= LAPSES_SUSPECT && !alone && !mutated(Mutation::SuspectsTogether) {
            return Some(Looked::Suspected);
        }
        for place in turn.supersede {
            self.set_state(ids[place], State::Superseded);
        }
        let until = now + request.lease.clamp(LEASE_MIN, LEASE_MAX);
        self.set_state(claimed, State::Claimed { until });
        let event = self.by_id.get_mut(&claimed)?;
        event.epoch += 1;
        event.attempts += 1;
        event.lapses = lapses;
        event.worker = request.worker;
        let ticket = Ticket {
            event: claimed,
            epoch: event.epoch,
            worker: event.worker,
        };
        Some(Looked::Granted(event.claim(&ticket, now)))
    }

    /// Takes an event out of the queue until the claimed event of its task is settled.
    fn park(&mut self, id: EventId) {
        if let Some(event) = self.by_id.get_mut(&id)
            && let Some(queued_at) = event.queued_at.take()
        {
            self.queue.remove(&(queued_at, id));
        }
    }

    fn last_request(&self, worker: WorkerId) -> Option<&LastRequest> {
        self.last_requests.iter().find(|last| last.worker == worker)
    }

    fn remember(&mut self, request: &ClaimRequest, claims: &Claims) {
        self.last_requests
            .retain(|last| last.worker != request.worker);
        if self.last_requests.len() >= WORKERS_MAX {
            self.last_requests.remove(0);
        }
        self.last_requests.push(LastRequest {
            worker: request.worker,
            number: request.number,
            granted: claims.claims.iter().map(|claim| claim.ticket).collect(),
        });
    }

    /// The event that a ticket holds.
    fn held(&self, ticket: &Ticket) -> Option<&StoredEvent> {
        let event = self.by_id.get(&ticket.event)?;
        let is_latest = event.epoch == ticket.epoch && event.worker == ticket.worker;
        (is_latest && matches!(event.state, State::Claimed { .. })).then_some(event)
    }

    pub(super) fn extend(&mut self, ticket: &Ticket, lease: Duration, now: Duration) -> Extended {
        if self.held(ticket).is_none() {
            return Extended::Lost;
        }
        let until = now + lease.clamp(LEASE_MIN, LEASE_MAX);
        self.set_state(ticket.event, State::Claimed { until });
        Extended::Extended
    }

    fn settle(&mut self, ticket: &Ticket, settlement: &Settlement, now: Duration) -> Settled {
        if self.held(ticket).is_none() {
            let same = |event: &StoredEvent| {
                event.epoch == ticket.epoch && event.worker == ticket.worker && ticket.epoch > 0
            };
            return match self.by_id.get(&ticket.event).is_some_and(same) {
                true => Settled::AlreadySettled,
                false => Settled::Lost,
            };
        }
        let Some(event) = self.by_id.get_mut(&ticket.event) else {
            return Settled::Lost;
        };
        let state = event.settle(settlement, now);
        let task_id = event.key.task_id().clone();
        self.set_state(ticket.event, state);
        self.after_settling(ticket.event, &task_id, now);
        Settled::Settled
    }

    /// Supersedes what a done event makes pointless, and puts the other open events of its task back
    /// into the queue.
    fn after_settling(&mut self, settled: EventId, task_id: &suno_types::TaskId, now: Duration) {
        let siblings = self.siblings(task_id, now);
        let Some((_, this)) = siblings.iter().find(|(id, _)| *id == settled).cloned() else {
            return;
        };
        for (id, sibling) in siblings {
            if id == settled || sibling.state.is_settled() {
                continue;
            }
            let is_done = this.state == crate::store::EventState::Done;
            if is_done && this.supersedes(&sibling.stage) {
                self.set_state(id, State::Superseded);
            } else if let Some(event) = self.by_id.get(&id) {
                let state = event.state;
                self.set_state(id, state);
            }
        }
    }
}

impl StoredEvent {
    fn claim(&self, ticket: &Ticket, now: Duration) -> Claim {
        let raw = self.raw.clone().unwrap_or_default();
        let mut claim = Claim::new(*ticket, self.key.clone(), raw);
        if let State::Claimed { until } = self.state {
            claim.holds_for = until.saturating_sub(now);
        }
        claim.attempt = self.attempts;
        claim.lapses = self.lapses;
        claim.age = now.saturating_sub(self.open_since);
        claim.source = self.source;
        claim.verified_by = self.verified_by;
        claim.unconfirmed = self.unconfirmed;
        claim.received_at = self.received_at;
        claim
    }

    fn settle(&mut self, settlement: &Settlement, now: Duration) -> State {
        match settlement {
            Settlement::Release => {
                self.attempts = self.attempts.saturating_sub(1);
                return State::Ready { since: now };
            }
            Settlement::Retry { reason, .. } | Settlement::Dead { reason, .. } => {
                self.reason = Some(reason.clone());
            }
            Settlement::Done => {}
        }
        self.lapses = 0;
        match settlement {
            Settlement::Retry { after, .. } => State::Waiting {
                until: now + (*after).min(RETRY_AFTER_MAX),
            },
            Settlement::Dead { cause, .. } => {
                self.dead_cause = Some(*cause);
                State::Dead
            }
            _ => State::Done,
        }
    }
}
