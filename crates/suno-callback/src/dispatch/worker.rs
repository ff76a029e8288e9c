//! The loop of a dispatcher: what runs, what is not settled yet, and the heartbeat of the claims.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use suno_types::Callback;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Dispatcher;
use crate::clock::after;
use crate::event::Event;
use crate::handler::{HandlerError, Verdict, handle};
use crate::store::{
    Claim, ClaimRequest, Held, Settlement, StoreError, StoreErrorKind, Ticket, later,
};

/// A handler that runs.
#[derive(Debug)]
struct InFlight {
    ticket: Ticket,
    attempt: u32,
    abort: AbortHandle,
}

pub(super) struct Worker {
    dispatcher: Dispatcher,
    handlers: JoinSet<Result<(), HandlerError>>,
    in_flight: HashMap<Id, InFlight>,
    /// What handlers came to and the store does not know yet.
    unsettled: Vec<(Ticket, Settlement)>,
}

type Finished = Result<(Id, Result<(), HandlerError>), JoinError>;

impl Worker {
    pub(super) fn new(dispatcher: Dispatcher) -> Self {
        Self {
            dispatcher,
            handlers: JoinSet::new(),
            in_flight: HashMap::new(),
            unsettled: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut stopped: watch::Receiver<()>) {
        let settings = self.dispatcher.settings;
        let mut heartbeat = after(Instant::now(), settings.lease / 3);
        let mut poll = Instant::now();
        let mut may_have_more = true;
        loop {
            self.settle().await;
            if may_have_more && self.free() > 0 {
                may_have_more = self.claim(&stopped).await;
                // What is buried at once.
                self.settle().await;
                poll = after(Instant::now(), settings.poll_interval);
            }
            let inbox = self.dispatcher.inbox.clone();
            tokio::select! {
                // The sender is only ever dropped, never used: any news is the end.
                _ = stopped.changed() => break,
                Some(finished) = self.handlers.join_next_with_id() => {
                    self.finish(finished);
                    while let Some(finished) = self.handlers.try_join_next_with_id() {
                        self.finish(finished);
                    }
                    may_have_more = true;
                }
                () = sleep_until(heartbeat) => {
                    self.extend().await;
                    heartbeat = after(Instant::now(), settings.lease / 3);
                }
                () = inbox.hint(), if !may_have_more => may_have_more = true,
                () = sleep_until(poll), if !may_have_more || !self.unsettled.is_empty() => {
                    poll = after(Instant::now(), settings.poll_interval);
                    may_have_more = true;
                }
            }
        }
        self.wind_down(after(Instant::now(), settings.stop_grace))
            .await;
    }

    fn free(&self) -> usize {
        let busy = self.in_flight.len() + self.unsettled.len();
        self.dispatcher.settings.handlers_max.saturating_sub(busy)
    }

    /// Claims what there is room for; true if there may be more.
    async fn claim(&mut self, stopped: &watch::Receiver<()>) -> bool {
        let now = self.dispatcher.clock.now();
        let request = ClaimRequest::new(now, self.dispatcher.settings.lease, self.free());
        let claims = match self.dispatcher.inbox.store().claim(request).await {
            Ok(claims) => claims,
            Err(err) => {
                report(&err, "events could not be claimed");
                return false;
            }
        };
        let stopping = stopped.has_changed().is_err();
        let may_have_more = !claims.is_empty();
        for claim in claims {
            if stopping {
                self.unsettled.push((claim.ticket, Settlement::Release));
            } else {
                self.begin(claim);
            }
        }
        may_have_more
    }

    fn begin(&mut self, claim: Claim) {
        let (ticket, attempt) = (claim.ticket, claim.attempt);
        if attempt > self.dispatcher.settings.attempts_max {
            let reason = "claimed too often without an end: the process may die in the handler";
            return self.bury(ticket, reason.to_owned());
        }
        let callback = match Callback::decode(&claim.raw) {
            Ok(callback) => callback,
            Err(err) => return self.bury(ticket, format!("cannot be decoded: {err}")),
        };
        let event = Event {
            id: ticket.event,
            key: claim.key,
            callback,
            attempt,
            source: claim.source,
            verified_by: claim.verified_by,
            received_at: claim.received_at,
        };
        let handler = self.dispatcher.handler.clone();
        let abort = self
            .handlers
            .spawn(async move { handle(&*handler, &event).await });
        let in_flight = InFlight {
            ticket,
            attempt,
            abort: abort.clone(),
        };
        self.in_flight.insert(abort.id(), in_flight);
    }

    fn bury(&mut self, ticket: Ticket, reason: String) {
        tracing::error!(event = %ticket.event, reason, "dead letter");
        self.unsettled.push((ticket, Settlement::Dead { reason }));
    }

    /// Takes in how a handler ended.
    fn finish(&mut self, finished: Finished) {
        let (id, result) = match finished {
            Ok((id, result)) => (id, result),
            Err(err) if err.is_cancelled() => {
                self.in_flight.remove(&err.id());
                return;
            }
            Err(err) => (err.id(), Err(HandlerError::retry("the handler panicked"))),
        };
        let Some(InFlight {
            ticket, attempt, ..
        }) = self.in_flight.remove(&id)
        else {
            return;
        };
        let err = match result {
            Ok(()) => return self.unsettled.push((ticket, Settlement::Done)),
            Err(err) => err,
        };
        let reason = err.reason();
        if err.verdict() == Verdict::GiveUp || attempt >= self.dispatcher.settings.attempts_max {
            return self.bury(ticket, reason);
        }
        let wait = match err.verdict() {
            Verdict::RetryAfter(wait) => wait,
            _ => backoff(attempt, fastrand::f64()),
        };
        tracing::warn!(event = %ticket.event, attempt, reason, ?wait, "handling failed; it is tried again");
        let at = later(self.now(), wait);
        self.unsettled
            .push((ticket, Settlement::RetryAt { at, reason }));
    }

    fn now(&self) -> Timestamp {
        self.dispatcher.clock.now()
    }

    /// Tells the store what handlers came to. What it does not take is kept for the next time; what
    /// it refuses for good is given up, so that its claim lapses and the attempt counts.
    async fn settle(&mut self) {
        if self.unsettled.is_empty() {
            return;
        }
        let store = self.dispatcher.inbox.store().clone();
        let settled = std::mem::take(&mut self.unsettled);
        let err = match store.settle(&settled).await {
            Ok(held) => return tell_lost(&settled, &held),
            Err(err) => err,
        };
        if err.kind() != StoreErrorKind::Refused {
            report(&err, "handled events could not be settled; trying again");
            self.unsettled = settled;
            return;
        }
        for one in settled {
            let alone = std::slice::from_ref(&one);
            match store.settle(alone).await {
                Ok(held) => tell_lost(alone, &held),
                Err(err) if err.kind() == StoreErrorKind::Refused => {
                    let (event, err) = (one.0.event, &err as &dyn std::error::Error);
                    tracing::error!(%event, err, "a settlement was refused: it is handled again");
                }
                Err(err) => {
                    report(&err, "a handled event could not be settled; trying again");
                    self.unsettled.push(one);
                }
            }
        }
    }

    /// Extends the claims of the handlers that run, and ends those whose claim is lost. What is not
    /// settled yet is extended too, so that it is not handled again while the store takes no
    /// settlements.
    async fn extend(&mut self) {
        let running: Vec<&InFlight> = self.in_flight.values().collect();
        let tickets = running.iter().map(|running| running.ticket);
        let unsettled = self.unsettled.iter().map(|(ticket, _)| *ticket);
        let tickets: Vec<Ticket> = tickets.chain(unsettled).collect();
        if tickets.is_empty() {
            return;
        }
        let until = later(self.now(), self.dispatcher.settings.lease);
        match self.dispatcher.inbox.store().extend(&tickets, until).await {
            Ok(held) => {
                let lost = running
                    .iter()
                    .zip(held)
                    .filter(|(_, held)| *held == Held::Lost);
                for (running, _) in lost {
                    tracing::warn!(event = %running.ticket.event, "the claim is lost; its handler is cancelled");
                    running.abort.abort();
                }
            }
            Err(err) => report(&err, "claims could not be extended"),
        }
    }

    /// Waits for the handlers that run, cancels those that take too long, and settles.
    async fn wind_down(mut self, deadline: Instant) {
        let settings = self.dispatcher.settings;
        let mut heartbeat = Instant::now();
        let mut retry = Instant::now();
        while !(self.handlers.is_empty() && self.unsettled.is_empty()) {
            tokio::select! {
                Some(finished) = self.handlers.join_next_with_id() => {
                    self.finish(finished);
                    self.settle().await;
                }
                () = sleep_until(heartbeat) => {
                    self.extend().await;
                    heartbeat = after(Instant::now(), settings.lease / 3);
                }
                () = sleep_until(retry), if !self.unsettled.is_empty() => {
                    self.settle().await;
                    retry = after(Instant::now(), settings.poll_interval);
                }
                () = sleep_until(deadline) => break,
            }
        }
        self.handlers.shutdown().await;
        // A stop is no failure of the event: it costs no attempt.
        for (_, cancelled) in self.in_flight.drain() {
            self.unsettled.push((cancelled.ticket, Settlement::Release));
        }
        self.settle().await;
    }
}

fn tell_lost(settled: &[(Ticket, Settlement)], held: &[Held]) {
    for ((ticket, _), _) in settled
        .iter()
        .zip(held)
        .filter(|(_, held)| **held == Held::Lost)
    {
        tracing::warn!(event = %ticket.event, "settled too late: it is handled again");
    }
}

fn report(err: &StoreError, what: &str) {
    tracing::error!(err = err as &dyn std::error::Error, "{what}");
}

/// How long to wait before another attempt: doubling, with full jitter. `dice` is from 0 to 1.
fn backoff(attempt: u32, dice: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let ceiling = Dispatcher::BACKOFF_MIN.saturating_mul(doubled);
    ceiling.min(Dispatcher::BACKOFF_MAX).mul_f64(dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_off_doubles_up_to_its_bound_and_never_overflows() {
        let ceilings = [1, 2, 3, 9, 10, 100, u32::MAX].map(|attempt| backoff(attempt, 1.0));
        let seconds = ceilings.map(|ceiling| ceiling.as_secs());
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300, 300]);
        assert_eq!(backoff(5, 0.0), Duration::ZERO);
    }
}
