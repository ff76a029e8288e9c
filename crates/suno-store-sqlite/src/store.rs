//! The public store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::{
    Acceptance, AdoptedEvent, Adoption, ClaimRequest, Claims, Clock, ConflictRecord, Counts,
    Decision, Delivery, DueRequest, DueTasks, DueTicket, EventId, EventRecord, ExpectedTask,
    ExtendResult, IdempotencyStore, Intent, ListRequest, OpenIntent, Page, Postponement,
    PurgeReport, PurgeRequest, QuarantinedDelivery, RecordedSubmit, RecordedTask, Redrive,
    RedriveResult, Reference, StoreError, SubmitId, SystemClock, Ticket,
};
use suno_types::{Stage, TaskId};

use crate::clock::Reading;
use crate::error::Result;
use crate::thread::Thread;
use crate::watch::Watch;
use crate::work::{Remembered, Work, read, write};
use crate::{accept, adopt, claim, inspect, ledger, operations, purge, settle};

/// A durable store in one SQLite file.
///
/// Keep the file, with its `-wal` and `-shm` files, on a local disk: SQLite's locks do not work on
/// network file systems. Processes on one machine can share it.
///
/// While the store is open and after a crash, the latest events may be only in the `-wal`. To copy
/// the file then, copy the `-wal` as well; to restore a backup, remove `-wal` and `-shm` first.
/// Dropping the store closes the file, which writes everything to it and removes both; the drop
/// waits for that for at most some seconds.
///
/// # Time
///
/// Leases and waits are measured with the store's own clock, which all processes that use the file
/// share. It never goes back, and changes to the system clock do not affect it. Time during which
/// no process has the file open counts as at most an hour.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    watch: Watch,
    // Closed before the writing connection, which tidies up if it is the last one.
    reader: Thread<Remembered>,
    writer: Thread<Remembered>,
}

impl SqliteStore {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the file cannot be opened or written, is not an SQLite database,
    /// belongs to another program, or was written by a version of this crate that this one cannot
    /// read.
    pub fn open(path: impl AsRef<Path>) -> std::result::Result<Self, StoreError> {
        Self::open_with_clock(path, SystemClock)
    }

    /// Opens the file with another clock than the system's.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub fn open_with_clock(
        path: impl AsRef<Path>,
        clock: impl Clock + 'static,
    ) -> std::result::Result<Self, StoreError> {
        let path = path.as_ref();
        let writer = Thread::writer(path)?;
        let reader = Thread::reader(path)?;
        Ok(Self::new(path, Arc::new(clock), reader, writer, true))
    }

    /// Opens a store without threads, for a simulation: operations run at once, nothing is synced,
    /// and closing it leaves the files as a killed process would.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn open_inline(
        path: impl AsRef<Path>,
        clock: impl Clock + 'static,
    ) -> std::result::Result<Self, StoreError> {
        use crate::queue::Queue;
        use crate::schema;

        let path = path.as_ref();
        let writer = Thread::inline(path, schema::open_inline, Some(Queue::beside(path)))?;
        let reader = Thread::inline(path, schema::open_reader, None)?;
        Ok(Self::new(path, Arc::new(clock), reader, writer, false))
    }

    fn new(
        path: &Path,
        clock: Arc<dyn Clock>,
        reader: Thread<Remembered>,
        writer: Thread<Remembered>,
        has_other_processes: bool,
    ) -> Self {
        Self {
            watch: Watch::of(path, has_other_processes),
            path: path.to_owned(),
            clock,
            reader,
            writer,
        }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn write<T, F>(&self, operation: F) -> std::result::Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T> + Send + 'static,
    {
        let reading = Reading::of(&*self.clock);
        self.writer
            .run(move |transaction, remembered| write(transaction, remembered, reading, operation))
            .await
    }

    /// Runs an operation that may make events claimable.
    async fn write_and_wake<T, F>(&self, operation: F) -> std::result::Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T> + Send + 'static,
    {
        let done = self.write(operation).await;
        self.watch.wake();
        done
    }

    async fn read<T, F>(&self, operation: F) -> std::result::Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T> + Send + 'static,
    {
        let reading = Reading::of(&*self.clock);
        self.reader
            .run(move |transaction, remembered| read(transaction, remembered, reading, operation))
            .await
    }
}

type StoreResult<T> = std::result::Result<T, StoreError>;

#[async_trait]
impl IdempotencyStore for SqliteStore {
    async fn accept(&self, deliveries: &[Delivery]) -> StoreResult<Vec<Acceptance>> {
        let deliveries = deliveries.to_vec();
        self.write_and_wake(move |work| accept::accept(work, &deliveries))
            .await
    }

    fn accepts_at_once(&self) -> usize {
        1
    }

    async fn claim(&self, request: &ClaimRequest) -> StoreResult<Claims> {
        let request = request.clone();
        let has_settled = !request.settlements.is_empty();
        let claim = move |work: &mut Work<'_>| claim::claim(work, &request);
        if has_settled {
            self.write_and_wake(claim).await
        } else {
            self.write(claim).await
        }
    }

    async fn extend(&self, tickets: &[Ticket], lease: Duration) -> StoreResult<Vec<ExtendResult>> {
        let tickets = tickets.to_vec();
        self.write(move |work| settle::extend(work, &tickets, lease))
            .await
    }

    async fn wait(&self, at_most: Duration) -> StoreResult<()> {
        let next_due = || self.read(|work| claim::next_due(work.transaction, work.now));
        self.watch.wait(at_most, next_due).await
    }

    async fn find(&self, task_id: &TaskId) -> StoreResult<Vec<EventRecord>> {
        let task_id = task_id.clone();
        self.read(move |work| inspect::find(work, &task_id)).await
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<Page<EventRecord>> {
        let request = request.clone();
        self.read(move |work| inspect::list(work, &request)).await
    }

    async fn conflicts(&self, event: EventId) -> StoreResult<Vec<ConflictRecord>> {
        self.read(move |work| inspect::conflicts(work, event)).await
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> StoreResult<Page<QuarantinedDelivery>> {
        self.read(move |work| inspect::quarantine(work, after, entries_max))
            .await
    }

    async fn counts(&self) -> StoreResult<Counts> {
        self.read(inspect::counts).await
    }

    async fn redrive(
        &self,
        events: &[EventId],
        redrive: Redrive,
    ) -> StoreResult<Vec<RedriveResult>> {
        let events = events.to_vec();
        self.write_and_wake(move |work| {
            let redrive = |event: &EventId| operations::redrive(work, *event, redrive);
            events.iter().map(redrive).collect()
        })
        .await
    }

    async fn adopt(&self, events: &[AdoptedEvent]) -> StoreResult<Vec<Adoption>> {
        let events = events.to_vec();
        self.write_and_wake(move |work| adopt::adopt(work, &events))
            .await
    }

    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> StoreResult<Option<Acceptance>> {
        let delivery = delivery.clone();
        self.write_and_wake(move |work| operations::requeue(work, entry, &delivery))
            .await
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> StoreResult<Decision> {
        let (task_id, stage) = (task_id.clone(), stage.clone());
        self.write_and_wake(move |work| operations::decide(work, &task_id, &stage))
            .await
    }

    async fn purge(&self, request: &PurgeRequest) -> StoreResult<PurgeReport> {
        let request = *request;
        self.write(move |work| purge::purge(work, &request)).await
    }

    async fn intend(&self, intent: &Intent) -> StoreResult<()> {
        let intent = intent.clone();
        self.write(move |work| ledger::intend(work, &intent)).await
    }

    async fn withdraw(&self, submit: SubmitId) -> StoreResult<()> {
        self.write(move |work| ledger::withdraw(work, submit)).await
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> StoreResult<Vec<OpenIntent>> {
        self.read(move |work| ledger::open_intents(work, open_for, after, intents_max))
            .await
    }

    async fn submits(
        &self,
        reference: &Reference,
        submits_max: u32,
    ) -> StoreResult<Vec<RecordedSubmit>> {
        let reference = reference.clone();
        self.read(move |work| ledger::submits(work, &reference, submits_max))
            .await
    }

    async fn expect(&self, task: &ExpectedTask) -> StoreResult<()> {
        let task = task.clone();
        self.write(move |work| ledger::expect(work, &task)).await
    }

    async fn expected_tasks(
        &self,
        before: Option<u64>,
        tasks_max: u32,
    ) -> StoreResult<Vec<RecordedTask>> {
        self.read(move |work| ledger::expected_tasks(work, before, tasks_max))
            .await
    }

    async fn recorded_tasks(&self, task_ids: &[TaskId]) -> StoreResult<Vec<RecordedTask>> {
        let task_ids = task_ids.to_vec();
        self.read(move |work| ledger::recorded_tasks(work, &task_ids))
            .await
    }

    async fn due(&self, request: &DueRequest) -> StoreResult<DueTasks> {
        let request = *request;
        self.write(move |work| ledger::due(work, &request)).await
    }

    async fn postpone(&self, ticket: &DueTicket, postponement: Postponement) -> StoreResult<bool> {
        let ticket = ticket.clone();
        self.write(move |work| ledger::postpone(work, &ticket, postponement))
            .await
    }

    async fn finish(&self, ticket: &DueTicket) -> StoreResult<bool> {
        let ticket = ticket.clone();
        self.write(move |work| ledger::finish(work, &ticket)).await
    }
}
