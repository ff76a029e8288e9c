//! The leases of what is claimed: until when each certainly holds, and the heartbeat that extends
//! them, in a task of its own so that nothing else can hold it up.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::clock::after;
use crate::simulation;
use crate::store::{EventId, Extended, IdempotencyStore, Ticket};

/// How long to wait before claims that could not be extended are tried again, at most.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The claims that a worker holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    held: Arc<Mutex<BTreeMap<EventId, Held>>>,
}

#[derive(Debug)]
struct Held {
    ticket: Ticket,
    until: watch::Sender<Until>,
}

/// Until when a claim certainly holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    At(Instant),
    /// Another worker has it.
    Lost,
}

/// One claim, as its handler sees it.
#[derive(Debug)]
pub(super) struct Lease(watch::Receiver<Until>);

impl Lease {
    /// Resolves when the claim does not certainly hold any more.
    pub(super) async fn ended(mut self) {
        loop {
            let until = *self.0.borrow_and_update();
            let Until::At(at) = until else { return };
            tokio::select! {
                biased;
                () = sleep_until(at) => return,
                changed = self.0.changed() => if changed.is_err() { return },
            }
        }
    }
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<EventId, Held>> {
        // Every change is one assignment.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a claim that holds until a moment. If a claim of the event was held, this one takes
    /// its place, also for those who watch it.
    pub(super) fn add(&self, ticket: Ticket, at: Instant) {
        match self.held().entry(ticket.event) {
            Entry::Occupied(mut held) => {
                held.get_mut().ticket = ticket;
                held.get().until.send_replace(Until::At(at));
            }
            Entry::Vacant(vacant) => {
                let until = watch::Sender::new(Until::At(at));
                vacant.insert(Held { ticket, until });
            }
        }
    }

    /// Watches the claim of an event. One that is not held has ended.
    pub(super) fn watch(&self, event: EventId) -> Lease {
        let held = self.held();
        let until = held.get(&event).map(|held| held.until.subscribe());
        Lease(until.unwrap_or_else(|| watch::Sender::new(Until::Lost).subscribe()))
    }

    /// Forgets a claim, because it is settled or lost.
    pub(super) fn remove(&self, event: EventId) {
        self.held().remove(&event);
    }

    /// True if another worker has the event.
    pub(super) fn is_lost(&self, event: EventId) -> bool {
        let held = self.held();
        held.get(&event)
            .is_none_or(|held| *held.until.borrow() == Until::Lost)
    }

    fn tickets(&self) -> Vec<Ticket> {
        let held = self.held();
        let live = held
            .values()
            .filter(|held| *held.until.borrow() != Until::Lost);
        live.map(|held| held.ticket).collect()
    }

    /// Takes in what became of an extension. A claim that was renewed meanwhile is left as it is.
    fn extended(&self, tickets: &[Ticket], answers: &[Extended], at: Instant) {
        let mut held = self.held();
        for (ticket, answer) in tickets.iter().zip(answers) {
            let Some(held) = held.get_mut(&ticket.event) else {
                continue;
            };
            if held.ticket != *ticket {
                continue;
            }
            if *answer == Extended::Extended {
                held.until.send_replace(Until::At(at));
            } else {
                tracing::warn!(event = %ticket.event, "the claim is lost; its handler is cancelled");
                held.until.send_replace(Until::Lost);
            }
        }
    }

    /// Starts to extend all claims, again and again; ends when the handle is aborted.
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
                let pause = match leases.extend_all(&*store, lease).await {
                    true => lease / 3,
                    false => RETRY_PAUSE.min(lease / 10),
                };
                next = after(Instant::now(), pause);
            }
        })
    }

    /// Extends all claims; false if the store could not be asked.
    async fn extend_all(&self, store: &dyn IdempotencyStore, lease: Duration) -> bool {
        let tickets = self.tickets();
        if tickets.is_empty() {
            return true;
        }
        // From before the request: the store counts from when it was carried out, which is later.
        let until = after(Instant::now(), lease);
        match timeout(lease / 3, store.extend(&tickets, lease)).await {
            Ok(Ok(answers)) => {
                self.extended(&tickets, &answers, until);
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
