//! The events of one task as plain data, and the operations on them.

use std::time::Duration;

use suno_types::{Stage, TaskId};

use super::{
    Arrival, Arriving, KnownSubmit, PurgeStep, StoredEvent, StoredState, arrival, decide,
    is_decided, superseded_by,
};
use crate::content::Content;
use crate::delivery::Delivery;
use crate::key::EventId;
use crate::store::{
    Acceptance, AdoptedEvent, Claim, ClaimRequest, Decision, ExtendResult, Redrive, RedriveResult,
    SettleResult, Settlement, Sibling, Ticket, turn,
};

/// The events of one task, at most [`UNRANKED_EVENTS_MAX`](crate::bounds::UNRANKED_EVENTS_MAX), in the
/// order of their arrival.
#[derive(Debug, Default, Clone)]
#[non_exhaustive]
pub struct TaskEvents {
    /// Its events in the order of their arrival.
    pub events: Vec<StoredEvent>,
}

/// The result of looking at an event.
pub(super) enum Look {
    Granted {
        claim: Box<Claim>,
        is_suspected: bool,
    },
    /// It can be claimed only alone.
    Suspected,
    /// It is not its turn.
    NotItsTurn,
}

impl TaskEvents {
    /// Whether there are events that all belong to this task.
    #[must_use]
    pub fn is_of(&self, task_id: &TaskId) -> bool {
        let first = self.events.first();
        first.is_some_and(|event| event.key.task_id() == task_id)
    }

    fn siblings(&self, now: Duration) -> Vec<Sibling> {
        self.events.iter().map(|event| event.sibling(now)).collect()
    }

    fn place(&self, id: EventId) -> Option<usize> {
        self.events.iter().position(|event| event.id == id)
    }

    fn supersede(&mut self, places: Vec<usize>) {
        for place in places {
            self.events[place].state = StoredState::Superseded;
        }
    }

    /// Accepts a delivery, and returns the outcome and the number of bodies dropped. A new event
    /// gets the number `id`. `submit` is what [`Ledger::meet`](super::Ledger::meet) returned.
    /// Returns `None` if the delivery must be quarantined, because the task has too many events.
    pub fn accept(
        &mut self,
        id: EventId,
        delivery: &Delivery,
        submit: &KnownSubmit,
        now: Duration,
    ) -> Option<(Acceptance, u64)> {
        let Content::Event { key, results, .. } = &delivery.content else {
            return None;
        };
        let stage = key.stage();
        let place = |is_it: &dyn Fn(&StoredEvent) -> bool| {
            let mut events = self.events.iter();
            events.position(|event| event.key.stage() == stage && is_it(event))
        };
        let same_event = place(&|event| event.is_same(delivery));
        let same_conflict = place(&|event| event.has_conflict(delivery));
        let claimed = place(&|event| event.is_claimed_by(delivery));
        let arriving = Arriving::new(stage, *results, delivery.unconfirmed)
            .with_same(same_event, same_conflict)
            .with_claimed(claimed);
        match arrival(&self.siblings(now), &arriving) {
            Arrival::Confirms(place) => Some(self.events[place].confirm(delivery, submit, now)),
            Arrival::Again(place) => Some(self.events[place].accept_again(delivery, now)),
            Arrival::TooMany => None,
            Arrival::New { revision, is_late } => {
                let mut event = StoredEvent::new(id, delivery, submit, is_late, now)?;
                event.key = event.key.with_revision(revision);
                self.events.push(event);
                let accepted = match (is_late, revision) {
                    (true, _) => Acceptance::Late,
                    (false, 0) => Acceptance::New,
                    (false, _) => Acceptance::Revised,
                };
                Some((accepted, 0))
            }
        }
    }

    /// Adopts an event of another store, which gets the number `id` (I11). Returns false if the stage
    /// has an event with the same or a later revision.
    pub fn adopt(&mut self, id: EventId, adopted: &AdoptedEvent, now: Duration) -> bool {
        let key = &adopted.record.key;
        let is_known = self.events.iter().any(|event| {
            event.key.stage() == key.stage() && event.key.revision() >= key.revision()
        });
        if !is_known {
            self.events.push(StoredEvent::adopted(id, adopted, now));
        }
        !is_known
    }

    /// Returns the events to look at for a claim, each with the time at which it is or becomes
    /// ready. If one is claimed, it is the only one: no other can be claimed before it is settled
    /// or has lapsed.
    pub fn queue(&self) -> impl Iterator<Item = (Duration, EventId)> + '_ {
        let is_claimed = |event: &StoredEvent| matches!(event.state, StoredState::Claimed { .. });
        let has_claimed = self.events.iter().any(is_claimed);
        self.events
            .iter()
            .filter(move |event| !has_claimed || is_claimed(event))
            .filter_map(|event| Some((event.ready_at()?, event.id)))
    }

    /// Claims an event if it is its turn.
    pub(super) fn look_at(
        &mut self,
        id: EventId,
        request: &ClaimRequest,
        is_alone: bool,
        now: Duration,
    ) -> Look {
        let turn = turn(&self.siblings(now));
        let Some(turn) = turn.filter(|turn| self.events[turn.claim].id == id) else {
            return Look::NotItsTurn;
        };
        let is_suspected = self.events[turn.claim].is_suspected(now);
        if is_suspected && !is_alone {
            return Look::Suspected;
        }
        self.supersede(turn.supersede);
        let claim = self.events[turn.claim].claim(request.worker, request.lease, now);
        Look::Granted {
            claim: Box::new(claim),
            is_suspected,
        }
    }

    /// Returns the claim of a ticket while it holds.
    #[must_use]
    pub fn held_claim(&self, ticket: &Ticket, now: Duration) -> Option<Claim> {
        self.events[self.place(ticket.event)?].held_claim(ticket, now)
    }

    /// Extends a claim to `lease` from now.
    pub fn extend(&mut self, ticket: &Ticket, lease: Duration, now: Duration) -> ExtendResult {
        match self.place(ticket.event) {
            Some(place) => self.events[place].extend(ticket, lease, now),
            None => ExtendResult::Lost,
        }
    }

    /// Settles a claim. A done event supersedes other events of the task.
    pub fn settle(
        &mut self,
        ticket: &Ticket,
        settlement: &Settlement,
        now: Duration,
    ) -> SettleResult {
        let Some(place) = self.place(ticket.event) else {
            return SettleResult::Lost;
        };
        let settled = self.events[place].settle(ticket, settlement, now);
        if settled == SettleResult::Settled && *settlement == Settlement::Done {
            self.supersede(superseded_by(&self.siblings(now), place));
        }
        settled
    }

    /// Redrives an event if its state and the other events allow that.
    pub fn redrive(&mut self, id: EventId, redrive: Redrive, now: Duration) -> RedriveResult {
        let siblings = self.siblings(now);
        match self.place(id) {
            Some(place) => self.events[place].try_redrive(&siblings, redrive, now),
            None => RedriveResult::Gone,
        }
    }

    /// Decides for one of the terminal stages.
    pub fn decide(&mut self, stage: &Stage, now: Duration) -> Decision {
        let choice = decide(&self.siblings(now), stage);
        if let Some(place) = choice.redrive {
            if self.events[place].raw.is_none() {
                return Decision::Gone;
            }
            self.events[place].redrive(now);
        }
        self.supersede(choice.supersede);
        choice.decision
    }

    /// Whether the provider need not be asked about the task (L5).
    #[must_use]
    pub fn is_decided(&self, now: Duration) -> bool {
        is_decided(&self.siblings(now))
    }

    /// Purges old data. The store removes a task that has no events left.
    pub fn purge(&mut self, step: &mut PurgeStep<'_>) {
        self.events.retain_mut(|event| step.keeps_event(event));
    }
}
