//! Claiming and settling in memory.

use std::time::Duration;

use super::events::Events;
use crate::key::EventId;
use crate::simulation::{Mutation, mutated};
use crate::store::rules::ClaimRound;
use crate::store::{Claim, ClaimRequest, Claims, ExtendResult, SettleResult, Settlement, Ticket};

/// The maximum number of events that one claim looks at.
const LOOKED_AT_MAX: usize = 4_096;

impl Events {
    /// Returns the time until the next event becomes ready. `None` if the queue is empty.
    pub(super) fn ready_in(&self, now: Duration) -> Option<Duration> {
        let (due, _) = self.queue.first()?;
        Some(due.saturating_sub(now))
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest, now: Duration) -> Claims {
        let settle = |(ticket, settlement): &_| self.settle(ticket, settlement, now);
        let settled = request.settlements.iter().map(settle).collect();
        let round = ClaimRound::new(request, settled, now);
        if let Some(granted) = self.requests.granted(request) {
            let held = |ticket: &Ticket| self.held_claim(ticket, now);
            return round.repeat(granted.iter().filter_map(held).collect());
        }
        let claims = self.grant(round, now);
        self.requests.remember(request, &claims);
        claims
    }

    fn grant(&mut self, mut round: ClaimRound<'_>, now: Duration) -> Claims {
        let mut from = (Duration::ZERO, EventId(i64::MIN));
        for _ in 0..LOOKED_AT_MAX {
            let Some(&(ready_at, id)) = self.next_queued(from, now) else {
                return round.into_claims();
            };
            if !round.goes_on(ready_at) {
                return round.into_claims();
            }
            from = (ready_at, EventId(id.0 + 1));
            self.change_of(id, |task| round.look_at(task, id));
        }
        round.leave_the_rest();
        round.into_claims()
    }

    /// Returns the entries of the queue from a position on.
    fn next_queued(
        &self,
        from: (Duration, EventId),
        now: Duration,
    ) -> Option<&(Duration, EventId)> {
        if mutated(Mutation::GrantsByNumber) {
            let is_next = |(due, id): &&(Duration, EventId)| *due <= now && *id >= from.1;
            return self.queue.iter().filter(is_next).min_by_key(|(_, id)| *id);
        }
        self.queue.range(from..).next()
    }

    fn held_claim(&self, ticket: &Ticket, now: Duration) -> Option<Claim> {
        let task_id = self.task_of(ticket.event)?;
        self.tasks.get(task_id)?.held_claim(ticket, now)
    }

    pub(super) fn extend(
        &mut self,
        ticket: &Ticket,
        lease: Duration,
        now: Duration,
    ) -> ExtendResult {
        self.change_of(ticket.event, |task| task.extend(ticket, lease, now))
            .unwrap_or(ExtendResult::Lost)
    }

    fn settle(&mut self, ticket: &Ticket, settlement: &Settlement, now: Duration) -> SettleResult {
        self.change_of(ticket.event, |task| task.settle(ticket, settlement, now))
            .unwrap_or(SettleResult::Lost)
    }
}
