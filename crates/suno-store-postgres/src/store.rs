//! The public store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::{
    Acceptance, AdoptedEvent, Adoption, ClaimRequest, Claims, Clock, ConflictRecord, Counts,
    Decision, Delivery, DueRequest, DueTasks, DueTicket, EventId, EventRecord, ExpectedTask,
    ExtendResult, IdempotencyStore, Intent, ListRequest, OpenIntent, Page, Postponement,
    PurgeReport, PurgeRequest, QuarantinedDelivery, RecordedSubmit, RecordedTask, Redrive,
    RedriveResult, Reference, StoreError, StoreErrorKind, SubmitId, SystemClock, Ticket,
};
use suno_types::{Stage, TaskId};
use tokio::time::Instant;

use crate::begin::LIMIT;
use crate::clock::StoreClock;
use crate::connect::Connections;
use crate::first_ready::FirstReady;
use crate::history::PostgresHistory;
use crate::idle::Idle;
use crate::inner::Inner;
use crate::plain::Plain;
use crate::plain_claim::Settlements;
use crate::requests::{Asked, LastRequests};
use crate::{
    PostgresConfig, accept, adopt, claim, extend, inspect, ledger, operations, plain_claim, purge,
    quarantine, schema,
};

/// How many batches of deliveries are worth sending before the first is committed: while one waits for
/// the disk, the server works on the others.
const ACCEPTS_AT_ONCE: usize = 3;
/// A durable store in a PostgreSQL database, which any number of processes share.
///
/// Clones are the same store.
///
/// # Time
///
/// Leases and waits are measured with the clock of the database server. Changes to it are noticed and
/// do not affect them, and the clocks of the hosts of the processes do not matter. Time during which no
/// process used the store counts as at most an hour.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

/// Leaves out the server.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.inner.schema)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects to the server, and creates the schema if it is not there.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the server cannot be reached or refuses the role, if the schema cannot
    /// be created, or if it was written by a version of this crate that this one cannot read.
    pub async fn connect(config: PostgresConfig) -> Result<Self, StoreError> {
        Self::connect_with_clock(config, SystemClock).await
    }

    /// Connects with another monotonic clock than the system's. The clock only tells changes of the
    /// server's clock from elapsed time; the store's time is always the server's.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub async fn connect_with_clock(
        config: PostgresConfig,
        clock: impl Clock + 'static,
    ) -> Result<Self, StoreError> {
        let connections = Connections::open(&config).await?;
        schema::prepare(&connections, &config.schema).await?;
        let clock = StoreClock::new(Arc::new(clock));
        clock.correct(&connections).await?;
        let inner = Inner {
            connections,
            clock,
            requests: LastRequests::default(),
            first_ready: FirstReady::default(),
            idle: Idle::default(),
            schema: config.schema,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Returns the history of this store, in a table of the same schema.
    #[must_use]
    pub fn history(&self) -> PostgresHistory {
        PostgresHistory::new(Arc::clone(&self.inner))
    }

    /// Returns the name of the schema.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.inner.schema
    }

    /// Returns the names of the schemas of this database that hold a store and whose names begin with
    /// `prefix`, in their order.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the server cannot be asked.
    pub async fn schemas(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let find = |session| schema::with_prefix(session, prefix);
        self.inner.connections.with(LIMIT, find).await
    }
}

impl Inner {
    async fn claim(self: &Arc<Self>, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let mut last = self.requests.of(request.worker).await;
        let asked = last.ask(request);
        let claims = match self.claim_plainly(request, asked).await? {
            Some(claims) => claims,
            None => {
                self.first_ready.forget();
                self.run(|session, is_last_try| {
                    claim::claim(self, session, request, asked, is_last_try)
                })
                .await?
            }
        };
        last.answered(request);
        self.idle.set(request, &claims);
        if !request.settlements.is_empty() {
            // The claims of this request came after them: only others look again.
            self.connections.notify();
        }
        Ok(claims)
    }

    async fn claim_plainly(
        self: &Arc<Self>,
        request: &ClaimRequest,
        asked: Asked,
    ) -> Result<Option<Claims>, StoreError> {
        match Settlements::of(request) {
            Some(settlements) if asked == Asked::New => {
                let claim = |session, _| plain_claim::claim(self, session, request, &settlements);
                self.run(claim).await
            }
            _ => Ok(None),
        }
    }

    async fn wait(self: &Arc<Self>, at_most: Duration) -> Result<(), StoreError> {
        let start = Instant::now();
        loop {
            let due = self
                .run(|session, _| inspect::next_due(self, session))
                .await?;
            let left = at_most.saturating_sub(start.elapsed());
            if let Some(idle) = self.idle.left().filter(|_| due == Some(Duration::ZERO)) {
                self.connections.wait(idle.min(left)).await;
                return Ok(());
            }
            let pause = due.unwrap_or(Duration::MAX).min(left);
            if pause.is_zero() {
                return Ok(());
            }
            // Timers count in milliseconds: a shorter wait would ask again and again.
            let pause = pause.max(Duration::from_millis(1));
            let paused = Instant::now();
            self.connections.wait(pause).await;
            if paused.elapsed() < pause {
                // Somebody says that there is new work.
                self.idle.end();
            }
        }
    }
}

type StoreResult<T> = Result<T, StoreError>;

#[async_trait]
impl IdempotencyStore for PostgresStore {
    async fn accept(&self, deliveries: &[Delivery]) -> StoreResult<Vec<Acceptance>> {
        if deliveries.is_empty() {
            return Ok(Vec::new());
        }
        let inner = &self.inner;
        if let Some(plain) = Plain::of(deliveries) {
            let accept = |session, _| plain.accept(inner, session);
            if let Some(accepted) = inner.run_and_wake(accept).await? {
                return Ok(accepted);
            }
        }
        let accept = |session, _| accept::accept(inner, session, deliveries, None);
        inner.first_ready.forget();
        Ok(inner.run_and_wake(accept).await?.unwrap_or_default())
    }

    fn accepts_at_once(&self) -> usize {
        ACCEPTS_AT_ONCE
    }

    async fn claim(&self, request: &ClaimRequest) -> StoreResult<Claims> {
        // Goes on if the caller gives up: the next request of the worker then finds out what it did.
        let (inner, request) = (Arc::clone(&self.inner), request.clone());
        let claim = tokio::spawn(async move { inner.claim(&request).await });
        let stopped = |_| StoreError::new(StoreErrorKind::Unavailable);
        claim.await.map_err(stopped)?
    }

    async fn extend(&self, tickets: &[Ticket], lease: Duration) -> StoreResult<Vec<ExtendResult>> {
        let inner = &self.inner;
        inner
            .run(|session, _| extend::extend(inner, session, tickets, lease))
            .await
    }

    async fn wait(&self, at_most: Duration) -> StoreResult<()> {
        self.inner.wait(at_most).await
    }

    async fn find(&self, task_id: &TaskId) -> StoreResult<Vec<EventRecord>> {
        let inner = &self.inner;
        inner
            .run(|session, _| inspect::find(inner, session, task_id))
            .await
    }

    async fn list(&self, request: &ListRequest) -> StoreResult<Page<EventRecord>> {
        let inner = &self.inner;
        inner
            .run(|session, _| inspect::list(inner, session, request))
            .await
    }

    async fn conflicts(&self, event: EventId) -> StoreResult<Vec<ConflictRecord>> {
        let conflicts = |session| adopt::conflicts(session, event);
        self.inner.connections.with(LIMIT, conflicts).await
    }

    async fn quarantine(
        &self,
        after: Option<EventId>,
        entries_max: u32,
    ) -> StoreResult<Page<QuarantinedDelivery>> {
        let page = |session| quarantine::page(session, after, entries_max);
        self.inner.connections.with(LIMIT, page).await
    }

    async fn counts(&self) -> StoreResult<Counts> {
        self.inner.connections.with(LIMIT, inspect::counts).await
    }

    async fn redrive(
        &self,
        events: &[EventId],
        redrive: Redrive,
    ) -> StoreResult<Vec<RedriveResult>> {
        let inner = &self.inner;
        inner.first_ready.forget();
        inner
            .run_and_wake(|session, _| operations::redrive(inner, session, events, redrive))
            .await
    }

    async fn adopt(&self, events: &[AdoptedEvent]) -> StoreResult<Vec<Adoption>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let inner = &self.inner;
        inner.first_ready.forget();
        inner
            .run_and_wake(|session, _| adopt::adopt(inner, session, events))
            .await
    }

    async fn requeue(
        &self,
        entry: EventId,
        delivery: &Delivery,
    ) -> StoreResult<Option<Acceptance>> {
        let inner = &self.inner;
        let deliveries = std::slice::from_ref(delivery);
        inner.first_ready.forget();
        let requeue = |session, _| accept::accept(inner, session, deliveries, Some(entry));
        let accepted = inner.run_and_wake(requeue).await?;
        Ok(accepted.and_then(|accepted| accepted.into_iter().next()))
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> StoreResult<Decision> {
        let inner = &self.inner;
        inner.first_ready.forget();
        inner
            .run_and_wake(|session, _| operations::decide(inner, session, task_id, stage))
            .await
    }

    async fn purge(&self, request: &PurgeRequest) -> StoreResult<PurgeReport> {
        let inner = &self.inner;
        inner
            .run(|session, _| purge::purge(inner, session, request))
            .await
    }

    async fn intend(&self, intent: &Intent) -> StoreResult<()> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::intend(inner, session, intent))
            .await
    }

    async fn withdraw(&self, submit: SubmitId) -> StoreResult<()> {
        let withdraw = |session| ledger::withdraw(session, submit);
        self.inner.connections.with(LIMIT, withdraw).await
    }

    async fn open_intents(
        &self,
        open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> StoreResult<Vec<OpenIntent>> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::open_intents(inner, session, open_for, after, intents_max))
            .await
    }

    async fn submits(
        &self,
        reference: &Reference,
        submits_max: u32,
    ) -> StoreResult<Vec<RecordedSubmit>> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::submits(inner, session, reference, submits_max))
            .await
    }

    async fn expect(&self, task: &ExpectedTask) -> StoreResult<()> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::expect(inner, session, task))
            .await
    }

    async fn expected_tasks(
        &self,
        before: Option<u64>,
        tasks_max: u32,
    ) -> StoreResult<Vec<RecordedTask>> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::expected_tasks(inner, session, before, tasks_max))
            .await
    }

    async fn recorded_tasks(&self, task_ids: &[TaskId]) -> StoreResult<Vec<RecordedTask>> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::recorded_tasks(inner, session, task_ids))
            .await
    }

    async fn due(&self, request: &DueRequest) -> StoreResult<DueTasks> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::due(inner, session, request))
            .await
    }

    async fn postpone(&self, ticket: &DueTicket, postponement: Postponement) -> StoreResult<bool> {
        let inner = &self.inner;
        inner
            .run(|session, _| ledger::postpone(inner, session, ticket, postponement))
            .await
    }

    async fn finish(&self, ticket: &DueTicket) -> StoreResult<bool> {
        let finish = |session| ledger::finish_task(session, ticket);
        self.inner.connections.with(LIMIT, finish).await
    }
}
