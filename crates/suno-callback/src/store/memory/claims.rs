//! Claiming and settling in memory.

use std::time::Duration;

use suno_types::TaskId;

use super::events::Events;
use crate::simulation::{Mutation, mutated};
use crate::store::rules::superseded_by;
use crate::store::{
    Claim, ClaimRequest, Claims, EventId, EventState, Extended, Settled, Settlement, Ticket, turn,
};

/// How many events are looked at for one claim.
const LOOKED_AT_MAX: usize = 4_096;

/// What a look at one event of the queue came to.
enum Looked {
    Granted {
        claim: Claim,
        is_suspected: bool,
    },
    /// It is not its turn, or its task has a live claim.
    PassedOver,
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
        if let Some(granted) = self.requests.granted(request) {
            let held = |ticket: &Ticket| self.get(ticket.event)?.held_claim(ticket, now);
            claims.claims = granted.iter().filter_map(held).collect();
            claims.more = true;
            return claims;
        }
        self.grant_all(request, now, &mut claims);
        self.requests.remember(request, &claims);
        claims
    }

    fn grant_all(&mut self, request: &ClaimRequest, now: Duration, claims: &mut Claims) {
        let mut after = (Duration::ZERO, EventId(i64::MIN));
        for _ in 0..LOOKED_AT_MAX {
            let Some(&(due, id)) = self.next_queued(after, now) else {
                return;
            };
            if due > now {
                claims.next_due = Some(due - now);
                return;
            }
            if claims.claims.len() >= request.events_max {
                claims.more = true;
                return;
            }
            after = (due, EventId(id.0 + 1));
            let is_alone = request.running == 0 && claims.claims.is_empty();
            match self.look_at(id, request, is_alone, now) {
                Looked::Granted {
                    claim,
                    is_suspected,
                } => {
                    claims.claims.push(claim);
                    if is_suspected {
                        break;
                    }
                }
                Looked::Suspected => claims.suspected = true,
                Looked::PassedOver => {}
            }
        }
        claims.more = true;
    }

    /// What is in the queue from `after` on.
    fn next_queued(
        &self,
        after: (Duration, EventId),
        now: Duration,
    ) -> Option<&(Duration, EventId)> {
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
        is_alone: bool,
        now: Duration,
    ) -> Looked {
        let Some(event) = self.get(id) else {
            return Looked::PassedOver;
        };
        let is_suspected = event.is_suspected(now);
        let (ids, siblings) = self.siblings(event.key.task_id(), now);
        let Some(turn) = turn(&siblings) else {
            self.park(id);
            return Looked::PassedOver;
        };
        if ids[turn.claim] != id {
            return Looked::PassedOver;
        }
        if is_suspected && !is_alone {
            return Looked::Suspected;
        }
        for place in turn.supersede {
            self.supersede(ids[place]);
        }
        match self.change(id, |event| event.claim(request.worker, request.lease, now)) {
            Some(claim) => Looked::Granted {
                claim,
                is_suspected,
            },
            None => Looked::PassedOver,
        }
    }

    /// Takes an event out of the queue until the claimed event of its task is settled.
    fn park(&mut self, id: EventId) {
        if let Some(queued) = self.by_id.get_mut(&id)
            && let Some(queued_at) = queued.queued_at.take()
        {
            self.queue.remove(&(queued_at, id));
        }
    }

    pub(super) fn extend(&mut self, ticket: &Ticket, lease: Duration, now: Duration) -> Extended {
        self.change(ticket.event, |event| event.extend(ticket, lease, now))
            .unwrap_or(Extended::Lost)
    }

    fn settle(&mut self, ticket: &Ticket, settlement: &Settlement, now: Duration) -> Settled {
        let settled = self.change(ticket.event, |event| {
            (event.settle(ticket, settlement, now), event.key.clone())
        });
        let Some((settled, key)) = settled else {
            return Settled::Lost;
        };
        if settled == Settled::Settled {
            self.after_settling(ticket.event, key.task_id(), now);
        }
        settled
    }

    /// Supersedes what a done event makes pointless, and puts the other open events of its task back
    /// into the queue.
    fn after_settling(&mut self, settled: EventId, task_id: &TaskId, now: Duration) {
        let (ids, siblings) = self.siblings(task_id, now);
        let place = ids.iter().position(|id| *id == settled);
        if let Some(place) = place
            && siblings[place].state == EventState::Done
        {
            for other in superseded_by(&siblings, place) {
                self.supersede(ids[other]);
            }
        }
        for id in ids {
            self.change(id, |_| ());
        }
    }
}
