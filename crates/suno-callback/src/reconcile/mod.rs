//! Asks the provider about tasks whose callbacks are missing.

mod breaker;
#[cfg(feature = "client")]
mod client;
mod confirm;
mod learn;
#[cfg(feature = "client")]
mod once;
mod record_info;
mod round;
mod silence;
#[cfg(feature = "client")]
mod submit_error;
#[cfg(feature = "client")]
mod submitter;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suno_types::{TaskId, TaskKind, TaskRecord};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use breaker::Breaker;
#[cfg(feature = "client")]
pub use once::SubmitOnce;
pub use record_info::{RecordInfo, RecordInfoError};
pub use round::Round;
use round::{Found, Polled};
use silence::Silence;
#[cfg(feature = "client")]
pub use submit_error::SubmitError;
#[cfg(feature = "client")]
pub use submitter::Submitter;

use crate::background::BackgroundTask;
use crate::clock::{Clock, SystemClock};
use crate::handler::{CallbackHandler, GivenUpTask};
use crate::inbox::Inbox;
use crate::observe::PollOutcome;
use crate::simulation::{Mutation, gated, mutated};
use crate::store::{DueRequest, DueTask, DueTasks, IdempotencyStore, Postponement, StoreError};

/// Asks the provider about expected tasks whose last callback is overdue, and about tasks for which
/// callbacks report both completion and failure.
///
/// The record goes through the same [`Inbox::accept`] as a callback, so that a handler sees no
/// difference except [`Source::Poll`](crate::Source::Poll), and a callback that arrives later is a
/// duplicate. A lost callback costs minutes, not the song.
///
/// If complete and failed contradict each other, the record decides: if it confirms the one that
/// arrived second and was superseded, that one is handled as well. So a handler may see a failure
/// first and completion later. To check every callback before it is handled, see
/// [`confirm`](Self::confirm).
///
/// A task is given up when its callbacks have been expected for a day and the provider has answered
/// several times that it has not ended. It is never given up because a clock was changed or because
/// the provider could not be reached. [`CallbackHandler::on_given_up`] is then called.
///
/// If several tasks in a row are recovered while this process accepts no callback at all, a warning is
/// logged: the callback URL is probably wrong. See [`recovered`](Self::recovered).
///
/// One reconciler per process is enough. Several share the store: while one of them asks about a
/// task, the others leave it alone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use suno_callback::{
///     RecordInfoError, ExpectedTask, IdempotencyStore, Inbox, MemoryStore, Reconciler, RecordInfo,
///     async_trait,
/// };
/// use suno_types::{TaskId, TaskKind, TaskRecord, TaskStatus};
///
/// // With the feature `client`: a `suno_client::Client`.
/// #[derive(Debug)]
/// struct Provider;
///
/// #[async_trait]
/// impl RecordInfo for Provider {
///     async fn record(
///         &self,
///         task_id: &TaskId,
///         _kind: &TaskKind,
///     ) -> Result<Option<TaskRecord>, RecordInfoError> {
///         let status = TaskStatus::GENERATE_AUDIO_FAILED;
///         Ok(Some(TaskRecord::new(task_id.clone(), status)))
///     }
/// }
///
/// let store = Arc::new(MemoryStore::new());
/// let inbox = Inbox::start(store.clone());
/// let reconciler = Reconciler::new(inbox, Provider);
///
/// // A task was submitted, and its callbacks are lost.
/// let task_id = TaskId::new("5c79000000000000000000000000be8e")?;
/// store.expect(&ExpectedTask::new(task_id, std::time::Duration::ZERO)).await?;
///
/// // `start` does this again and again.
/// let round = reconciler.round().await?;
/// assert_eq!((round.asked, round.recovered), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Reconciler {
    inbox: Inbox,
    records: Arc<dyn RecordInfo>,
    handler: Option<Arc<dyn CallbackHandler>>,
    breaker: Arc<Mutex<Breaker>>,
    silence: Silence,
    clock: Arc<dyn Clock>,
    interval: Duration,
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler")
            .field("records", &self.records)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl Reconciler {
    /// The default time after a submit when the provider is asked about its task, if the last
    /// callback has not arrived: most tasks end within 4 minutes (`PROTOCOL.md 4.14`).
    pub const DUE_AFTER: Duration = Duration::from_secs(180);
    /// The default maximum time between two requests to the store for due tasks. The store is asked
    /// earlier if it has announced that a task becomes due.
    pub const INTERVAL: Duration = Duration::from_secs(30);
    /// The minimum time before the provider is asked about a task again.
    pub const PAUSE_MIN: Duration = Duration::from_secs(30);
    /// The maximum time, whatever the provider asks for.
    pub const PAUSE_MAX: Duration = Duration::from_secs(3_600);
    /// The minimum time for which a task is expected before it may be given up.
    pub const AGE_MAX: Duration = Duration::from_secs(86_400);
    /// The time for which a task is expected before a record that says success without a result is
    /// handed on as it is. A result can follow its status, but by a moment (`PROTOCOL.md 4.9`).
    pub const RESULT_AGE_MAX: Duration = Duration::from_secs(3_600);
    /// The minimum number of answers about a task before it may be given up.
    pub const ANSWERS_MIN: u32 = 5;
    /// The maximum number of tasks in one [`round`](Self::round).
    pub const TASKS_MAX: usize = 64;
    /// The maximum number of tasks that are asked about at the same time.
    pub const ASKING_MAX: usize = 16;
    /// The time limit for one request to the provider.
    pub const ASK_TIMEOUT: Duration = Duration::from_secs(60);
    /// The lease of a task that is being asked about: other reconcilers leave it alone.
    pub const LEASE: Duration = Duration::from_secs(300);
    /// The time limit for an operation of the store.
    pub const STORE_TIMEOUT: Duration = Duration::from_secs(10);
    /// Pauses are longer by a random fraction of up to this much, so that tasks do not stay in
    /// step.
    const JITTER: f64 = 0.1;

    /// Creates a reconciler that asks `records` about tasks that are due in the store of `inbox`.
    #[must_use]
    pub fn new(inbox: Inbox, records: impl RecordInfo) -> Self {
        Self {
            inbox,
            records: Arc::new(records),
            handler: None,
            breaker: Arc::default(),
            silence: Silence::default(),
            clock: Arc::new(SystemClock),
            interval: Self::INTERVAL,
        }
    }

    /// Sets the handler that is notified of tasks that are given up. Without one, they are logged
    /// at ERROR.
    #[must_use]
    pub fn with_handler(mut self, handler: Arc<dyn CallbackHandler>) -> Self {
        self.handler = Some(handler);
        self
    }

    /// Sets the maximum time between two requests to the store for due tasks.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the clock that provides the time at which records are received.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Returns the number of tasks that were recovered by polling since this reconciler was created:
    /// they had ended, and no callback that was accepted reported it. Clones count together.
    #[must_use]
    pub fn recovered(&self) -> u64 {
        self.silence.recovered()
    }

    /// Starts reconciling on the current tokio runtime. A stop drops the requests in progress;
    /// another process repeats them when the lease ends.
    pub fn start(self) -> BackgroundTask {
        BackgroundTask::start(|stopped| self.run(stopped))
    }

    async fn run(self, mut stopped: watch::Receiver<()>) {
        let mut asking = JoinSet::new();
        loop {
            let step = async {
                let wait = self.take(&mut asking, Self::ASKING_MAX).await;
                tokio::select! {
                    biased;
                    Some(ended) = asking.join_next() => drop(found(ended)),
                    () = sleep(wait) => {}
                }
            };
            tokio::select! {
                biased;
                // The sender is never used, only dropped: any change means the end.
                _ = stopped.changed() => return,
                () = step => {}
            }
        }
    }

    /// Takes due tasks while there are free slots, and starts to ask about them. Returns how long
    /// to wait before the next look, unless a request ends earlier.
    async fn take(&self, asking: &mut JoinSet<Found>, asking_max: usize) -> Duration {
        let places = match self.breaker().places(Instant::now(), asking_max) {
            Ok(places) => places.saturating_sub(asking.len()),
            Err(wait) => return wait,
        };
        if places == 0 {
            return self.interval;
        }
        match self.due(places).await {
            Ok(due) => {
                let wait = match due.next_due {
                    _ if due.more => Duration::ZERO,
                    Some(next_due) => next_due.min(self.interval),
                    None => self.interval,
                };
                let all_taken = due.tasks.len() >= places;
                for task in due.tasks {
                    let reconciler = self.clone();
                    asking.spawn(gated(async move { reconciler.reconcile(&task).await }));
                }
                if all_taken { self.interval } else { wait }
            }
            Err(err) => {
                let err = &err as &dyn std::error::Error;
                tracing::error!(err, "due tasks could not be read; trying again");
                self.interval
            }
        }
    }

    async fn due(&self, tasks_max: usize) -> Result<DueTasks, StoreError> {
        let request = DueRequest::new(Self::LEASE, tasks_max);
        let asked = timeout(Self::STORE_TIMEOUT, self.store().due(&request)).await;
        asked.unwrap_or_else(|_| Err(StoreError::unanswered()))
    }

    fn store(&self) -> &dyn IdempotencyStore {
        &**self.inbox.store()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // No data is left half-changed when something panics.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks once about at most [`TASKS_MAX`](Self::TASKS_MAX) tasks that are due.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the due tasks could not be read. Failures of single tasks are
    /// logged, counted, and retried later.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let mut due = self.due(Self::TASKS_MAX).await?.tasks.into_iter();
        let (mut round, mut asking) = (Round::default(), JoinSet::new());
        loop {
            while asking.len() < Self::ASKING_MAX
                && let Some(task) = due.next()
            {
                let reconciler = self.clone();
                asking.spawn(gated(async move { reconciler.reconcile(&task).await }));
            }
            match asking.join_next().await {
                Some(ended) => round.add(found(ended)),
                None => return Ok(round),
            }
        }
    }

    /// Asks about one task, and records when to ask again.
    async fn reconcile(&self, task: &DueTask) -> Found {
        let task_id = &task.ticket.task_id;
        let (found, mut polled, asked_wait) = match self.learn(task).await {
            Ok((found, polled)) => (found, polled, Duration::ZERO),
            Err(obstacle) => {
                obstacle.report(task_id);
                let wait = obstacle.retry_after().unwrap_or_default();
                (Found::Failed, Polled::failed(&obstacle.into()), wait)
            }
        };
        let is_answered = !matches!(found, Found::Failed);
        let answers = task.answers + u32::from(is_answered);
        let is_over = task.age >= Self::AGE_MAX
            && (answers >= Self::ANSWERS_MIN || mutated(Mutation::GivenUpByAge));
        let found = match found {
            Found::Running if is_over => Found::GivenUp,
            found => found,
        };
        if let Found::GivenUp = found {
            polled.outcome = PollOutcome::GivenUp;
        }
        polled.report(&**self.inbox.observer(), task_id, None);
        if let Found::GivenUp = found {
            self.tell_given_up(task, answers).await;
        }
        let pause = pause(task.age, fastrand::f64());
        let bound = match mutated(Mutation::UnboundedWait) {
            true => Duration::MAX,
            false => Self::PAUSE_MAX.max(pause),
        };
        let pause = asked_wait.clamp(pause, bound);
        self.note(task, found, pause).await;
        found
    }

    /// Records the result of asking.
    async fn note(&self, task: &DueTask, found: Found, pause: Duration) {
        let noting = async {
            match found {
                Found::Ended { .. } | Found::GivenUp => self.store().finish(&task.ticket).await,
                Found::Running => {
                    let postponement = Postponement::answered(pause);
                    self.store().postpone(&task.ticket, postponement).await
                }
                Found::Failed => {
                    let postponement = Postponement::unanswered(pause);
                    self.store().postpone(&task.ticket, postponement).await
                }
            }
        };
        let noted = timeout(Self::STORE_TIMEOUT, noting).await;
        if let Err(err) = noted.unwrap_or_else(|_| Err(StoreError::unanswered())) {
            let err = &err as &dyn std::error::Error;
            tracing::warn!(
                err,
                "the result for a task could not be recorded; the provider is asked again"
            );
        }
    }

    async fn tell_given_up(&self, task: &DueTask, answers: u32) {
        let given_up = GivenUpTask {
            task_id: task.ticket.task_id.clone(),
            age: task.age,
            answers,
        };
        match &self.handler {
            Some(handler) => {
                let telling = handler.on_given_up(&given_up);
                if timeout(Self::ASK_TIMEOUT, telling).await.is_err() {
                    tracing::error!(task_id = %given_up.task_id, "the handler took too long when it was notified of a task that is given up");
                }
            }
            None => tracing::error!(
                task_id = %given_up.task_id,
                age = ?given_up.age,
                "gave up on the task: the provider does not report that it ended"
            ),
        }
    }

    /// Asks the provider about a task, unless the circuit breaker is open.
    async fn ask(
        &self,
        task_id: &TaskId,
        kind: &TaskKind,
    ) -> Result<Option<TaskRecord>, RecordInfoError> {
        self.breaker().admit(Instant::now()).map_err(|wait| {
            RecordInfoError::new("several requests failed in a row; waiting before the next one")
                .with_retry_after(Some(wait))
        })?;
        let asked = timeout(Self::ASK_TIMEOUT, self.records.record(task_id, kind)).await;
        let asked = asked
            .unwrap_or_else(|_| Err(RecordInfoError::new("the provider did not answer in time")));
        let now = Instant::now();
        match &asked {
            Ok(_) if self.breaker().succeeded() => {
                tracing::info!("the provider answers again");
            }
            Err(_) if self.breaker().failed(now) => {
                tracing::warn!(
                    "the provider does not answer: fewer requests are sent until it does"
                );
            }
            _ => {}
        }
        asked
    }
}

/// Returns the result of asking about a task, even if that panicked.
fn found(ended: Result<Found, JoinError>) -> Found {
    ended.unwrap_or_else(|err| {
        tracing::error!(%err, "the request about a task ended unexpectedly");
        Found::Failed
    })
}

/// Returns the time before a task of this age is asked about again: a tenth of its age, within
/// bounds, and a little longer. `dice` is from 0 to 1.
fn pause(age: Duration, dice: f64) -> Duration {
    let pause = (age / 10).clamp(Reconciler::PAUSE_MIN, Reconciler::PAUSE_MAX);
    pause.mul_f64(1.0 + Reconciler::JITTER * dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_a_task_the_longer_the_pause_within_bounds() {
        let seconds = |age: u64, dice| pause(Duration::from_secs(age), dice).as_secs();
        assert_eq!(seconds(0, 0.0), 30);
        assert_eq!(seconds(0, 1.0), 33);
        assert_eq!(seconds(600, 0.0), 60);
        assert_eq!(seconds(u64::MAX, 0.0), 3_600);
        assert_eq!(seconds(u64::MAX, 1.0), 3_960);
    }
}
