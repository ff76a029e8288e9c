//! The ledger's suite passes for the store in memory, and fails for every ledger that is wrong on
//! purpose.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_callback::conformance::{LedgerBench, check_ledger};
use suno_callback::{
    Accepted, Claim, ClaimRequest, Counts, Delivery, Due, DueRequest, DueTicket, EventId, Expected,
    Held, IdempotencyStore, Inspect, Intent, MemoryStore, Page, PurgeRequest, Purged, Quarantined,
    Record, Redriven, Settlement, StoreError, StoreErrorKind, SubmitId, TaskLedger, Ticket,
};
use suno_types::TaskId;

/// What a ledger gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing: the suite must not be caught by the wrapper itself.
    None,
    /// Forgets at the end of the process.
    Forgets,
    /// Passes over the submit that a delivery names.
    PassesOverSubmits,
    /// Strikes out nothing.
    WithdrawsNothing,
    /// Gives what is due to everybody who asks.
    LeasesNothing,
    /// Leaves a task alone a second longer than its lease.
    WaitsTooLong,
    /// Does not see which events a task has.
    AsksForEver,
    /// Lets whoever once had a ticket postpone and finish.
    BelievesZombies,
    /// Hands out what is due last first.
    LatestFirst,
    /// Forgets a task when it is postponed.
    FinishesWhatIsPostponed,
    /// Keeps intents for ever.
    PurgesNoIntents,
    /// Writes nothing, and says so: right, but of no use.
    IsDown,
}

const FAULTS: [Fault; 10] = [
    Fault::Forgets,
    Fault::PassesOverSubmits,
    Fault::WithdrawsNothing,
    Fault::LeasesNothing,
    Fault::WaitsTooLong,
    Fault::AsksForEver,
    Fault::BelievesZombies,
    Fault::LatestFirst,
    Fault::FinishesWhatIsPostponed,
    Fault::PurgesNoIntents,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ledger_that_is_wrong_on_purpose_is_caught() {
    for fault in FAULTS {
        let report = check_ledger(&WrongBench(fault)).await;
        assert!(
            !report.broken().is_empty(),
            "{fault:?} was not caught: {report}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_in_memory_keeps_the_contract() {
    let report = check_ledger(&WrongBench(Fault::None)).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
    assert!(report.kept().len() >= 18, "{report}");
}

struct WrongBench(Fault);

#[async_trait]
impl LedgerBench for WrongBench {
    async fn fresh(&self) -> Result<Arc<dyn TaskLedger>, StoreError> {
        Ok(Arc::new(Wrong::new(self.0)))
    }

    async fn reopen(
        &self,
        ledger: Arc<dyn TaskLedger>,
    ) -> Result<Option<Arc<dyn TaskLedger>>, StoreError> {
        Ok(match self.0 {
            Fault::Forgets => Some(Arc::new(Wrong::new(self.0))),
            _ => Some(ledger),
        })
    }
}

/// A ledger in memory with a fault.
#[derive(Debug)]
pub(crate) struct Wrong {
    fault: Fault,
    store: MemoryStore,
    /// Where events go that the ledger does not see.
    unseen: MemoryStore,
    latest: Mutex<HashMap<TaskId, u32>>,
}

impl Wrong {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            store: MemoryStore::new(),
            unseen: MemoryStore::new(),
            latest: Mutex::default(),
        }
    }

    fn events(&self) -> &MemoryStore {
        match self.fault {
            Fault::AsksForEver => &self.unseen,
            _ => &self.store,
        }
    }

    /// The ticket that the faulty ledger takes this one for.
    fn seen_as(&self, ticket: &DueTicket) -> DueTicket {
        let mut ticket = ticket.clone();
        if self.fault == Fault::BelievesZombies
            && let Some(epoch) = self.latest.lock().unwrap().get(&ticket.task_id)
        {
            ticket.epoch = *epoch;
        }
        ticket
    }
}

#[async_trait]
impl TaskLedger for Wrong {
    async fn intend(&self, intent: Intent) -> Result<(), StoreError> {
        match self.fault {
            Fault::IsDown => Err(StoreError::new(StoreErrorKind::Full)),
            _ => self.store.intend(intent).await,
        }
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        match self.fault {
            Fault::WithdrawsNothing => Ok(()),
            _ => self.store.withdraw(submit).await,
        }
    }

    async fn open_intents(
        &self,
        before: Timestamp,
        intents_max: u32,
    ) -> Result<Vec<Intent>, StoreError> {
        self.store.open_intents(before, intents_max).await
    }

    async fn expect(&self, expected: Expected) -> Result<(), StoreError> {
        self.store.expect(expected).await
    }

    async fn due(&self, mut request: DueRequest) -> Result<Vec<Due>, StoreError> {
        match self.fault {
            Fault::LeasesNothing => request.lease = Duration::ZERO,
            Fault::WaitsTooLong => request.lease += Duration::from_secs(1),
            _ => {}
        }
        let mut due = self.store.due(request).await?;
        if self.fault == Fault::LatestFirst {
            due.reverse();
        }
        let epochs = due
            .iter()
            .map(|due| (due.ticket.task_id.clone(), due.ticket.epoch));
        self.latest.lock().unwrap().extend(epochs);
        Ok(due)
    }

    async fn postpone(&self, ticket: &DueTicket, until: Timestamp) -> Result<Held, StoreError> {
        let ticket = self.seen_as(ticket);
        match self.fault {
            Fault::FinishesWhatIsPostponed => self.store.finish(&ticket).await,
            _ => self.store.postpone(&ticket, until).await,
        }
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<Held, StoreError> {
        self.store.finish(&self.seen_as(ticket)).await
    }
}

#[async_trait]
impl IdempotencyStore for Wrong {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let mut deliveries = deliveries.to_vec();
        if self.fault == Fault::PassesOverSubmits {
            for delivery in &mut deliveries {
                delivery.submit = None;
            }
        }
        self.events().accept(&deliveries).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        self.events().claim(request).await
    }

    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError> {
        self.events().extend(tickets, until).await
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        self.events().settle(settled).await
    }
}

#[async_trait]
impl Inspect for Wrong {
    async fn find(&self, task_id: &TaskId) -> Result<Vec<Record>, StoreError> {
        self.events().find(task_id).await
    }

    async fn list(&self, page: Page) -> Result<Vec<Record>, StoreError> {
        self.events().list(page).await
    }

    async fn quarantine(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        self.events().quarantine(page).await
    }

    async fn redrive(&self, event: EventId) -> Result<Redriven, StoreError> {
        self.events().redrive(event).await
    }

    async fn purge(&self, request: PurgeRequest) -> Result<Purged, StoreError> {
        match self.fault {
            Fault::PurgesNoIntents => Ok(Purged::default()),
            _ => self.events().purge(request).await,
        }
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.events().counts().await
    }
}
