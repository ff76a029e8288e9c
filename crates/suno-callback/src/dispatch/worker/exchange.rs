//! The requests of a worker: settling what is finished, and claiming what is next.

use tokio::time::{Instant, timeout};

use super::{Worker, report};
use crate::clock::after;
use crate::dispatch::Dispatcher;
use crate::simulation::{Mutation, mutated};
use crate::store::{ClaimRequest, Claims, SettleResult, Settlement, StoreErrorKind, Ticket};

impl Worker {
    /// Settles finished events, and claims at most `events_max` events, in one operation of the
    /// store.
    pub(super) async fn exchange(&mut self, events_max: usize) {
        let settlements = self.unsettled.clone();
        let request = self.request(events_max, settlements.clone());
        // Leases are counted from before the request, because the store grants them later.
        let asked_at = Instant::now();
        match self.ask(&request).await {
            Ok(claims) => self.take_in(claims, &settlements, asked_at, events_max),
            Err(Some(StoreErrorKind::Refused)) if !settlements.is_empty() => {
                self.settle_each(settlements).await;
            }
            Err(_) => self.pause(),
        }
    }

    fn request(&self, events_max: usize, settlements: Vec<(Ticket, Settlement)>) -> ClaimRequest {
        ClaimRequest::new(self.id, self.number, self.settings().lease, events_max)
            .with_running(self.running.len() + self.held_back.len())
            .with_settlements(settlements)
    }

    /// Sends one request to the store. If it gets no answer, the next request has the same number,
    /// so that the store can repeat the claims that it granted.
    async fn ask(&mut self, request: &ClaimRequest) -> Result<Claims, Option<StoreErrorKind>> {
        self.is_unanswered = true;
        match timeout(Dispatcher::STORE_TIMEOUT, self.store.claim(request)).await {
            Ok(Ok(claims)) => {
                self.is_unanswered = false;
                self.number += 1;
                Ok(claims)
            }
            Ok(Err(err)) => {
                report(
                    &err,
                    "events could not be settled and claimed; trying again",
                );
                Err(Some(err.kind()))
            }
            Err(_) => {
                tracing::error!("the store does not answer; trying again");
                Err(None)
            }
        }
    }

    /// Processes the answer to a request that contained the first of the unsettled settlements.
    fn take_in(
        &mut self,
        claims: Claims,
        settlements: &[(Ticket, Settlement)],
        asked_at: Instant,
        events_max: usize,
    ) {
        self.unsettled.drain(..settlements.len());
        self.take_settled(settlements, &claims.settled);
        self.take_claims(claims, asked_at, events_max);
    }

    /// Processes the results of settlements. A settled event needs no lease any more.
    fn take_settled(&self, settlements: &[(Ticket, Settlement)], settled: &[SettleResult]) {
        for ((ticket, _), settled) in settlements.iter().zip(settled) {
            self.leases.remove(ticket.event);
            if *settled == SettleResult::Lost {
                tracing::warn!(event = %ticket.event, "settled too late: the event is handled again");
                self.observer().on_claim_lost(ticket.event);
            }
        }
    }

    /// Settles the events separately, because the store permanently rejected one settlement. That
    /// one is dropped, so that its claim lapses.
    async fn settle_each(&mut self, settlements: Vec<(Ticket, Settlement)>) {
        for one in settlements {
            let event = one.0.event;
            let alone = vec![one];
            let request = self.request(0, alone.clone());
            let asked_at = Instant::now();
            match self.ask(&request).await {
                // The answer may repeat claims that were granted to a request whose answer was
                // lost.
                Ok(claims) => self.take_in(claims, &alone, asked_at, 0),
                Err(Some(StoreErrorKind::Refused)) => {
                    tracing::error!(%event, "a settlement was rejected: the event is handled again");
                    self.unsettled.drain(..1);
                    self.leases.remove(event);
                }
                Err(_) => return self.pause(),
            }
        }
    }

    fn take_claims(&mut self, claims: Claims, asked_at: Instant, events_max: usize) {
        if events_max > 0 {
            self.is_suspected = claims.suspected;
            self.may_have_more = claims.more;
        }
        for claim in claims.claims {
            if self.is_stopping && !self.running.contains_key(&claim.ticket.event) {
                self.settle(claim.ticket, Settlement::Release);
                continue;
            }
            self.leases
                .add(claim.ticket, after(asked_at, claim.holds_for));
            let running = self.running.get_mut(&claim.ticket.event);
            match running.filter(|_| !mutated(Mutation::RunsWithoutLease)) {
                // The event's handler is still running here and continues under the new claim: a
                // second one never starts beside it.
                Some(running) => running.ticket = claim.ticket,
                None => self.begin(claim),
            }
        }
        self.note_whether_full();
    }
}
