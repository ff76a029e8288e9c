//! Stores that wrap other stores, and faults that a test puts between the two.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::{Future, pending};
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::{
    Acceptance, AdoptedEvent, Adoption, ClaimRequest, Claims, ConflictRecord, Counts, Decision,
    Delivery, DueRequest, DueTasks, DueTicket, EventId, EventRecord, ExpectedTask, ExtendResult,
    IdempotencyStore, Intent, ListRequest, OpenIntent, Page, Postponement, PurgeReport,
    PurgeRequest, QuarantinedDelivery, RecordedSubmit, RecordedTask, Redrive, RedriveResult,
    Reference, StoreError, StoreErrorKind, SubmitId, Ticket,
};
use suno_types::{Stage, TaskId};
use tokio::sync::watch;

/// Calls a macro with every operation of a store.
macro_rules! with_operations {
    ($then:ident) => {
        $then! {
            accept(deliveries: &[Delivery]) -> Vec<Acceptance>;
            claim(request: &ClaimRequest) -> Claims;
            extend(tickets: &[Ticket], lease: Duration) -> Vec<ExtendResult>;
            wait(at_most: Duration) -> ();
            find(task_id: &TaskId) -> Vec<EventRecord>;
            list(request: &ListRequest) -> Page<EventRecord>;
            conflicts(event: EventId) -> Vec<ConflictRecord>;
            quarantine(after: Option<EventId>, entries_max: u32) -> Page<QuarantinedDelivery>;
            counts() -> Counts;
            redrive(events: &[EventId], redrive: Redrive) -> Vec<RedriveResult>;
            adopt(events: &[AdoptedEvent]) -> Vec<Adoption>;
            requeue(entry: EventId, delivery: &Delivery) -> Option<Acceptance>;
            decide(task_id: &TaskId, stage: &Stage) -> Decision;
            purge(request: &PurgeRequest) -> PurgeReport;
            intend(intent: &Intent) -> ();
            withdraw(submit: SubmitId) -> ();
            open_intents(
                open_for: Duration,
                after: Option<u64>,
                intents_max: u32
            ) -> Vec<OpenIntent>;
            submits(reference: &Reference, submits_max: u32) -> Vec<RecordedSubmit>;
            expect(task: &ExpectedTask) -> ();
            expected_tasks(before: Option<u64>, tasks_max: u32) -> Vec<RecordedTask>;
            recorded_tasks(task_ids: &[TaskId]) -> Vec<RecordedTask>;
            due(request: &DueRequest) -> DueTasks;
            postpone(ticket: &DueTicket, postponement: Postponement) -> bool;
            finish(ticket: &DueTicket) -> bool;
        }
    };
}

macro_rules! wrapper {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        const OPERATIONS: &[&str] = &[$(stringify!($name)),*];

        /// A store that wraps another one: an operation that it does not implement is passed on.
        #[async_trait]
        pub trait Wrapper: Debug + Send + Sync {
            /// The store that is wrapped.
            fn inner(&self) -> &dyn IdempotencyStore;

            /// The faults between the two.
            fn faults(&self) -> &Faults;

            /// Returns the number of batches that are accepted at the same time.
            fn accepts_at_once(&self) -> usize {
                self.inner().accepts_at_once()
            }

            $(
            /// The operation of this name, as the wrapper does it.
            ///
            /// # Errors
            ///
            /// Those of the wrapped store and of the wrapper.
            async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                self.inner().$name($($argument),*).await
            })*
        }
    };
}

with_operations!(wrapper);

/// The store that a [`Wrapper`] makes.
#[derive(Debug, Default)]
pub struct Wrapped<W>(pub W);

impl<W> Deref for Wrapped<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.0
    }
}

macro_rules! store {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl<W: Wrapper> IdempotencyStore for Wrapped<W> {
            fn accepts_at_once(&self) -> usize {
                self.0.accepts_at_once()
            }

            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                let operation = self.0.$name($($argument),*);
                self.0.faults().around(stringify!($name), operation).await
            })*
        }
    };
}

with_operations!(store);

/// A fault of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It fails, and nothing is done.
    Fails(StoreErrorKind),
    /// It is done and reported as failed: the answer is lost.
    LosesAnswer,
    /// Nothing is done until the fault is mended.
    Hangs,
    /// It is done at once, and answered when the fault is mended.
    AnswersWhenMended,
    /// Nothing is done, and there is never an answer.
    HangsForEver,
    /// It is done after this time.
    Takes(Duration),
}

impl Fault {
    /// The operation fails, and a later try may succeed.
    pub const FAILS: Self = Self::Fails(StoreErrorKind::Unavailable);
}

/// The faults of a store, by the names of its operations.
#[derive(Debug, Default)]
pub struct Faults {
    of: watch::Sender<BTreeMap<&'static str, Fault>>,
    times: Mutex<BTreeMap<&'static str, usize>>,
}

impl Faults {
    /// From now on, an operation has a fault.
    ///
    /// # Panics
    ///
    /// Panics if there is no operation of this name.
    pub fn set(&self, operation: &'static str, fault: Fault) {
        assert!(OPERATIONS.contains(&operation), "{operation}");
        self.of.send_modify(|of| {
            of.insert(operation, fault);
        });
    }

    /// From now on, every operation has a fault.
    pub fn set_all(&self, fault: Fault) {
        OPERATIONS.iter().for_each(|name| self.set(name, fault));
    }

    /// From now on, no operation has a fault.
    pub fn mend(&self) {
        self.of.send_modify(BTreeMap::clear);
    }

    /// Returns how often an operation was called.
    ///
    /// # Panics
    ///
    /// Panics if there is no operation of this name.
    pub fn times(&self, operation: &'static str) -> usize {
        assert!(OPERATIONS.contains(&operation), "{operation}");
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.get(operation).copied().unwrap_or_default()
    }

    async fn mended(&self, operation: &'static str) {
        let mut of = self.of.subscribe();
        let is_well = |of: &BTreeMap<_, _>| !of.contains_key(operation);
        // The sender is a part of this value, so that it cannot be gone.
        let _ = of.wait_for(is_well).await;
    }

    async fn around<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        *self
            .times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        let fault = self.of.borrow().get(name).copied();
        match fault {
            None => operation.await,
            Some(Fault::Fails(kind)) => Err(StoreError::new(kind)),
            Some(Fault::LosesAnswer) => {
                operation.await?;
                Err(StoreError::new(StoreErrorKind::Unavailable))
            }
            Some(Fault::Hangs) => {
                self.mended(name).await;
                operation.await
            }
            Some(Fault::AnswersWhenMended) => {
                let answer = operation.await;
                self.mended(name).await;
                answer
            }
            Some(Fault::HangsForEver) => pending().await,
            Some(Fault::Takes(time)) => {
                tokio::time::sleep(time).await;
                operation.await
            }
        }
    }
}
