//! The store as its users see it.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Transaction;
use suno_callback::{
    Accepted, Claim, ClaimRequest, Counts, Delivery, Due, DueRequest, DueTicket, EventId, Expected,
    Held, IdempotencyStore, Inspect, Intent, Page, PurgeRequest, Purged, Quarantined, Record,
    Redriven, Settlement, StoreError, SubmitId, TaskLedger, Ticket,
};
use suno_types::TaskId;

use crate::keys::Keys;
use crate::thread::Thread;
use crate::{accept, claim, inspect, ledger, settle, upkeep};

/// A durable store in one SQLite file.
///
/// Times are kept to the microsecond. The file, with its `-wal` and `-shm` neighbours, belongs on a
/// local disk: SQLite's locks do not hold on network file systems.
///
/// The latest events may be in the `-wal` only, while the store is open and after a crash. Whoever
/// copies the file then takes the `-wal` along; whoever puts a backup in its place removes `-wal` and
/// `-shm` first. Dropping the store closes the file, which brings everything into it and removes
/// both; it waits some seconds for that at most.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    // Closed before the one that writes, which tidies up if it is the last.
    reader: Thread<()>,
    writer: Thread<Keys>,
}

impl SqliteStore {
    /// Opens the file, and creates or migrates it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be opened or written, is no SQLite database or one of
    /// another program, or was written by a newer version of this crate.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let writer = Thread::writer(&path)?;
        let reader = Thread::reader(&path)?;
        Ok(Self {
            path,
            reader,
            writer,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl IdempotencyStore for SqliteStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let deliveries = deliveries.to_vec();
        let accept = move |transaction: &Transaction<'_>, keys: &mut Keys| {
            accept::accept(transaction, keys, &deliveries)
        };
        self.writer.run(accept).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        let claim = move |transaction: &Transaction<'_>, keys: &mut Keys| {
            claim::claim(transaction, keys, &request)
        };
        self.writer.run(claim).await
    }

    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError> {
        let tickets = tickets.to_vec();
        let extend = move |transaction: &Transaction<'_>, _: &mut Keys| {
            settle::extend(transaction, &tickets, until)
        };
        self.writer.run(extend).await
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        let settled = settled.to_vec();
        let settle = move |transaction: &Transaction<'_>, _: &mut Keys| {
            settle::settle(transaction, &settled)
        };
        self.writer.run(settle).await
    }
}

#[async_trait]
impl Inspect for SqliteStore {
    async fn find(&self, task_id: &TaskId) -> Result<Vec<Record>, StoreError> {
        let task_id = task_id.clone();
        let find =
            move |transaction: &Transaction<'_>, (): &mut ()| inspect::find(transaction, &task_id);
        self.reader.run(find).await
    }

    async fn list(&self, page: Page) -> Result<Vec<Record>, StoreError> {
        let list =
            move |transaction: &Transaction<'_>, (): &mut ()| inspect::list(transaction, page);
        self.reader.run(list).await
    }

    async fn quarantine(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        let quarantine = move |transaction: &Transaction<'_>, (): &mut ()| {
            inspect::quarantine(transaction, page)
        };
        self.reader.run(quarantine).await
    }

    async fn redrive(&self, event: EventId) -> Result<Redriven, StoreError> {
        let redrive =
            move |transaction: &Transaction<'_>, _: &mut Keys| upkeep::redrive(transaction, event);
        self.writer.run(redrive).await
    }

    async fn purge(&self, request: PurgeRequest) -> Result<Purged, StoreError> {
        let purge =
            move |transaction: &Transaction<'_>, _: &mut Keys| upkeep::purge(transaction, &request);
        self.writer.run(purge).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let counts = |transaction: &Transaction<'_>, (): &mut ()| inspect::counts(transaction);
        self.reader.run(counts).await
    }
}

#[async_trait]
impl TaskLedger for SqliteStore {
    async fn intend(&self, intent: Intent) -> Result<(), StoreError> {
        let intend =
            move |transaction: &Transaction<'_>, _: &mut Keys| ledger::intend(transaction, &intent);
        self.writer.run(intend).await
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<(), StoreError> {
        let withdraw = move |transaction: &Transaction<'_>, _: &mut Keys| {
            ledger::withdraw(transaction, submit)
        };
        self.writer.run(withdraw).await
    }

    async fn open_intents(
        &self,
        before: Timestamp,
        intents_max: u32,
    ) -> Result<Vec<Intent>, StoreError> {
        let open_intents = move |transaction: &Transaction<'_>, (): &mut ()| {
            ledger::open_intents(transaction, before, intents_max)
        };
        self.reader.run(open_intents).await
    }

    async fn expect(&self, expected: Expected) -> Result<(), StoreError> {
        let expect = move |transaction: &Transaction<'_>, _: &mut Keys| {
            ledger::expect(transaction, &expected)
        };
        self.writer.run(expect).await
    }

    async fn due(&self, request: DueRequest) -> Result<Vec<Due>, StoreError> {
        let due = move |transaction: &Transaction<'_>, keys: &mut Keys| {
            ledger::due(transaction, keys, &request)
        };
        self.writer.run(due).await
    }

    async fn postpone(&self, ticket: &DueTicket, until: Timestamp) -> Result<Held, StoreError> {
        let ticket = ticket.clone();
        let postpone = move |transaction: &Transaction<'_>, _: &mut Keys| {
            ledger::postpone(transaction, &ticket, until)
        };
        self.writer.run(postpone).await
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<Held, StoreError> {
        let ticket = ticket.clone();
        let finish =
            move |transaction: &Transaction<'_>, _: &mut Keys| ledger::finish(transaction, &ticket);
        self.writer.run(finish).await
    }
}
