//! The leases of claimed events, and the heartbeat that extends them. The heartbeat is a separate
//! task, so that nothing else can delay it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::after;
use crate::key::EventId;
use crate::simulation;
use crate::store::{ExtendResult, IdempotencyStore, Ticket};

/// The maximum time to wait before a failed extension of claims is repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The claims that a worker holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    held: Arc<Mutex<BTreeMap<EventId, HeldClaim>>>,
}

#[derive(Debug)]
struct HeldClaim {
    ticket: Ticket,
    validity: watch::Sender<Validity>,
}

/// The time until which a claim certainly holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validity {
    Until(Instant),
    /// Another worker has claimed the event.
    Lost,
}

/// One claim, as its handler watches it.
#[derive(Debug)]
pub(super) struct Lease(watch::Receiver<Validity>);

impl Lease {
    /// Resolves when it is no longer certain that the claim holds.
    pub(super) async fn ended(mut self) {
        loop {
            let validity = *self.0.borrow_and_update();
            let Validity::Until(end) = validity else {
                return;
            };
            tokio::select! {
                biased;
                // Checked first, so that a claim that was renewed in time continues even if the
                // process was suspended past its former end.
                changed = self.0.changed() => if changed.is_err() { return },
                () = sleep_until(end) => return,
            }
        }
    }
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<EventId, HeldClaim>> {
        // No invariant spans two assignments, so a poisoned lock is harmless.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a claim that holds until `end`. If a claim of the event is already held, the new one
    /// replaces it, also for the handler that watches it.
    pub(super) fn add(&self, ticket: Ticket, end: Instant) {
        let validity = Validity::Until(end);
        match self.held().entry(ticket.event) {
            Entry::Occupied(mut claim) => {
                claim.get_mut().ticket = ticket;
                claim.get().validity.send_replace(validity);
            }
            Entry::Vacant(vacant) => {
                let validity = watch::Sender::new(validity);
                vacant.insert(HeldClaim { ticket, validity });
            }
        }
    }

    /// Returns a watch on the claim of an event. A claim that is not held counts as ended.
    pub(super) fn watch(&self, event: EventId) -> Lease {
        let held = self.held();
        let validity = held.get(&event).map(|claim| claim.validity.subscribe());
        Lease(validity.unwrap_or_else(|| watch::Sender::new(Validity::Lost).subscribe()))
    }

    /// Removes a claim that is settled or lost.
    pub(super) fn remove(&self, event: EventId) {
        self.held().remove(&event);
    }

    /// Whether another worker has claimed the event.
    pub(super) fn is_lost(&self, event: EventId) -> bool {
        let held = self.held();
        held.get(&event)
            .is_none_or(|claim| *claim.validity.borrow() == Validity::Lost)
    }

    fn tickets(&self) -> Vec<Ticket> {
        let held = self.held();
        let live = held
            .values()
            .filter(|claim| *claim.validity.borrow() != Validity::Lost);
        live.map(|claim| claim.ticket).collect()
    }

    /// Records the answers to an extension. A claim that was renewed in the meantime stays
    /// unchanged.
    fn record_extension(&self, tickets: &[Ticket], answers: &[ExtendResult], end: Instant) {
        let held = self.held();
        for (ticket, answer) in tickets.iter().zip(answers) {
            let Some(claim) = held
                .get(&ticket.event)
                .filter(|claim| claim.ticket == *ticket)
            else {
                continue;
            };
            if *answer == ExtendResult::Extended {
                claim.validity.send_replace(Validity::Until(end));
            } else {
                tracing::warn!(event = %ticket.event, "the claim is lost; its handler is cancelled");
                claim.validity.send_replace(Validity::Lost);
            }
        }
    }

    /// Starts a task that extends all claims every third of the lease, until it is aborted.
    pub(super) fn heartbeat(
        &self,
        store: Arc<dyn IdempotencyStore>,
        lease: Duration,
    ) -> JoinHandle<()> {
        let leases = self.clone();
        simulation::spawn(async move {
            let mut next = after(Instant::now(), lease / 3);
            loop {
                sleep_until(next).await;
                let begun = Instant::now();
                next = match leases.extend_all(&*store, lease).await {
                    // The interval does not depend on how long the store takes.
                    true => after(begun, lease / 3),
                    false => after(Instant::now(), RETRY_PAUSE.min(lease / 10)),
                };
            }
        })
    }

    /// Extends all claims. Returns false if the store did not answer.
    async fn extend_all(&self, store: &dyn IdempotencyStore, lease: Duration) -> bool {
        let tickets = self.tickets();
        if tickets.is_empty() {
            return true;
        }
        // Counted from before the request, because the store counts from a later moment.
        let end = after(Instant::now(), lease);
        // Short enough that no lease ends, even if the store does not answer for half of it.
        match timeout(lease / 6, store.extend(&tickets, lease)).await {
            Ok(Ok(answers)) => {
                self.record_extension(&tickets, &answers, end);
                return true;
            }
            Ok(Err(err)) => {
                let err = &err as &dyn std::error::Error;
                tracing::error!(err, "claims could not be extended; trying again");
            }
            Err(_) => {
                tracing::error!(
                    "claims could not be extended: the store does not answer; trying again"
                );
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::store::WorkerId;

    const LEASE: Duration = Duration::from_secs(60);

    fn ticket(epoch: u32) -> Ticket {
        Ticket {
            event: EventId(1),
            epoch,
            worker: WorkerId(1),
        }
    }

    /// Whether the future resolves without waiting.
    async fn is_over(ended: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = ended => true,
            () = tokio::task::yield_now() => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_that_is_renewed_goes_on_although_its_former_end_is_past() {
        let leases = Leases::default();
        leases.add(ticket(1), Instant::now() + LEASE);
        let mut ended = pin!(leases.watch(EventId(1)).ended());
        assert!(!is_over(&mut ended).await);
        // While the process is suspended, nothing runs; the first task to run afterwards claims the
        // event again.
        tokio::time::advance(LEASE + LEASE).await;
        leases.add(ticket(2), Instant::now() + LEASE);
        assert!(!is_over(&mut ended).await);
        tokio::time::advance(LEASE).await;
        assert!(is_over(&mut ended).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_for_a_former_ticket_does_not_end_the_claim() {
        let leases = Leases::default();
        leases.add(ticket(2), Instant::now() + LEASE);
        leases.record_extension(&[ticket(1)], &[ExtendResult::Lost], Instant::now());
        assert!(!leases.is_lost(EventId(1)));
        leases.record_extension(&[ticket(2)], &[ExtendResult::Lost], Instant::now());
        assert!(leases.is_lost(EventId(1)));
        assert!(is_over(leases.watch(EventId(1)).ended()).await);
    }
}
