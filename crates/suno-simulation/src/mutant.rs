//! Mistakes that the simulation must find: each is how an earlier version behaved.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::simulation::Mutation;
use suno_callback::{
    Accepted, ClaimRequest, Claims, Counts, Decision, Delivery, DueRequest, DueTasks, DueTicket,
    EventId, EventRecord, ExpectedTask, Extended, IdempotencyStore, Intent, ListRequest,
    OpenIntent, Page, Postponement, PurgeRequest, Purged, QuarantinedDelivery, Redrive, Redriven,
    StoreError, SubmitId, Ticket, async_trait,
};
use suno_types::{Stage, TaskId};

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mutant {
    /// After a claim that granted something, nothing is claimed for a third of a lease.
    OneClaimPerTurn,
    /// Handlers go on when their lease has ended, and begin beside another one of the same event.
    RunsWithoutLease,
    /// A wait that the provider asks for is kept however long it is.
    UnboundedWait,
    /// An event is a dead letter after ten attempts.
    TenAttempts,
    /// Events are granted in the order of their numbers.
    GrantsByNumber,
    /// The store counts by a wall clock, and tasks are given up by their age alone.
    WallClock,
    /// Events that are suspected of ending their process are claimed beside others.
    SuspectsTogether,
    /// What nothing has confirmed counts as if it were confirmed.
    ForgedCounts,
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Self; 8] = [
        Self::OneClaimPerTurn,
        Self::RunsWithoutLease,
        Self::UnboundedWait,
        Self::TenAttempts,
        Self::GrantsByNumber,
        Self::WallClock,
        Self::SuspectsTogether,
        Self::ForgedCounts,
    ];

    /// The mutant as one word, such as `one-claim-per-turn`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneClaimPerTurn => "one-claim-per-turn",
            Self::RunsWithoutLease => "runs-without-lease",
            Self::UnboundedWait => "unbounded-wait",
            Self::TenAttempts => "ten-attempts",
            Self::GrantsByNumber => "grants-by-number",
            Self::WallClock => "wall-clock",
            Self::SuspectsTogether => "suspects-together",
            Self::ForgedCounts => "forged-counts",
        }
    }

    /// The mutant of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.as_str() == word)
    }

    /// The mistake that it puts into the product. The others are in the store of the simulation.
    pub(crate) fn mutation(self) -> Option<Mutation> {
        match self {
            Self::OneClaimPerTurn => Some(Mutation::OneClaimPerTurn),
            Self::RunsWithoutLease => Some(Mutation::RunsWithoutLease),
            Self::UnboundedWait => Some(Mutation::UnboundedWait),
            Self::TenAttempts => Some(Mutation::TenAttempts),
            Self::GrantsByNumber => Some(Mutation::GrantsByNumber),
            Self::WallClock => Some(Mutation::GivenUpByAge),
            Self::SuspectsTogether => Some(Mutation::SuspectsTogether),
            Self::ForgedCounts => None,
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The store with the mistake that belongs into it.
pub(crate) fn wrap(
    store: Arc<dyn IdempotencyStore>,
    mutant: Option<Mutant>,
) -> Arc<dyn IdempotencyStore> {
    match mutant {
        Some(Mutant::ForgedCounts) => Arc::new(Confirming(store)),
        _ => store,
    }
}

/// Takes everything as confirmed.
#[derive(Debug)]
struct Confirming(Arc<dyn IdempotencyStore>);

#[async_trait]
impl IdempotencyStore for Confirming {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let confirm = |delivery: &Delivery| delivery.clone().with_unconfirmed(false);
        let confirmed: Vec<_> = deliveries.iter().map(confirm).collect();
        self.0.accept(&confirmed).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        self.0.claim(request).await
    }

    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<Extended>, StoreError> {
        self.0.extend(tickets, lease).await
    }

    async fn wait(&self, at_most: Duration) -> Result<(), StoreError> {
        self.0.wait(at_most).await
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>, StoreError> {
        self.0.find(task_id).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>, StoreError> {
        self.0.list(request).await
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> Result<Page<QuarantinedDelivery>, StoreError> {
        self.0.quarantine(after, entries_max).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.0.counts().await
    }

    async fn redrive(&self, events: &[EventId], how: Redrive) -> Result<Vec<Redriven>, StoreError> {
        self.0.redrive(events, how).await
    }

    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> Result<Option<Accepted>, StoreError> {
        self.0.requeue(entry, delivery).await
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision, StoreError> {
        self.0.decide(task_id, stage).await
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<Purged, StoreError> {
        self.0.purge(request).await
    }

    async fn intend(&self, intent: &Intent) -> Result<(), StoreError> {
        self.0.intend(intent).await
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        self.0.withdraw(submit).await
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>, StoreError> {
        self.0.open_intents(open_for, after, intents_max).await
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<(), StoreError> {
        self.0.expect(task).await
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks, StoreError> {
        self.0.due(request).await
    }

    async fn postpone(&self, ticket: &DueTicket, to: Postponement) -> Result<bool, StoreError> {
        self.0.postpone(ticket, to).await
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool, StoreError> {
        self.0.finish(ticket).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_read_as_it_is_written() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::from_word(mutant.as_str()), Some(mutant));
        }
    }
}
