//! Asking about tasks whose callbacks did not come.

#[cfg(feature = "client")]
mod client;
mod confirm;
mod record_info;
#[cfg(feature = "client")]
mod submitter;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use suno_types::{Stage, TaskId, TaskRecord};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use record_info::{CouldNotAsk, RecordInfo};
#[cfg(feature = "client")]
pub use submitter::{SubmitError, Submitter};

use crate::clock::{Clock, SystemClock};
use crate::delivery::Delivery;
use crate::inbox::{AcceptError, Inbox};
use crate::running::Running;
use crate::store::{Accepted, Due, DueRequest, EventState, StoreError, TaskLedger, later};

/// Asks the provider about expected tasks whose last callback has not come when it is due, and
/// about those of which callbacks say both complete and failed.
///
/// What it finds goes through the same [`Inbox::accept`] as a callback, so that a handler sees no
/// difference but [`Source::Poll`](crate::Source::Poll), and a callback that comes after all is a
/// duplicate. A lost callback costs minutes, not the song.
///
/// Where complete and failed contradict each other, the record decides: if it is for the one that
/// came second and was put aside, that one is handled as well. So a handler may be told of a
/// failure first and of completion later; to have every callback checked before it is handled, see
/// [`confirm`](Self::confirm).
///
/// One for each process is enough. Several share the ledger: a task that one of them asks about is
/// left alone by the others.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
///
/// use suno_callback::{
///     Clock, CouldNotAsk, Expected, Inbox, MemoryStore, Reconciler, RecordInfo, SystemClock,
///     TaskLedger, async_trait,
/// };
/// use suno_types::{TaskId, TaskRecord, TaskStatus};
///
/// // With the feature `client`: a `suno_client::Client`.
/// #[derive(Debug)]
/// struct Provider;
///
/// #[async_trait]
/// impl RecordInfo for Provider {
///     async fn record(&self, task_id: &TaskId) -> Result<Option<TaskRecord>, CouldNotAsk> {
///         let status = TaskStatus::GENERATE_AUDIO_FAILED;
///         Ok(Some(TaskRecord::new(task_id.clone(), status)))
///     }
/// }
///
/// let store = Arc::new(MemoryStore::new());
/// let inbox = Inbox::start(store.clone());
/// let reconciler = Reconciler::new(inbox, store.clone(), Provider);
///
/// // A task was submitted, and its callbacks are lost.
/// let now = SystemClock.now();
/// let task_id = TaskId::new("5c79000000000000000000000000be8e")?;
/// store.expect(Expected::new(task_id, now, std::time::Duration::ZERO)).await?;
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
    ledger: Arc<dyn TaskLedger>,
    records: Arc<dyn RecordInfo>,
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

/// What one look at the ledger came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Round {
    /// How many tasks were asked about.
    pub asked: usize,
    /// How many of them had ended, which no callback had told.
    pub recovered: usize,
    /// How many contradictions were settled for the stage that had been put aside.
    pub decided: usize,
    /// How many could not be asked about, or what came could not be stored.
    pub failed: usize,
    /// How many were given up: the provider knows nothing of them, or they never end.
    pub given_up: usize,
}

impl Round {
    fn add(&mut self, found: Found) {
        self.asked += 1;
        match found {
            Found::Running => {}
            Found::Ended { recovered, decided } => {
                self.recovered += usize::from(recovered);
                self.decided += usize::from(decided);
            }
            Found::Failed => self.failed += 1,
            Found::GivenUp => self.given_up += 1,
        }
    }
}

/// What asking about one task came to.
#[derive(Debug, Clone, Copy)]
enum Found {
    Running,
    Ended { recovered: bool, decided: bool },
    Failed,
    GivenUp,
}

/// Why a task could not be reconciled this time.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(transparent)]
    CouldNotAsk(#[from] CouldNotAsk),
    #[error(transparent)]
    NotAccepted(#[from] AcceptError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Obstacle {
    fn report(&self, task_id: &TaskId) {
        let err = self as &dyn std::error::Error;
        tracing::warn!(err, %task_id, "not reconciled; trying again");
    }

    /// How long the provider asked to wait.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CouldNotAsk(err) => err.retry_after(),
            _ => None,
        }
    }
}

impl Reconciler {
    /// How long after a submit its task is asked about, if its last callback has not come: most
    /// tasks end within 4 minutes (`PROTOCOL.md 4.14`).
    pub const DUE_AFTER: Duration = Duration::from_secs(180);
    /// How often the ledger is looked at unless set otherwise.
    pub const INTERVAL: Duration = Duration::from_secs(5);
    /// How long to wait at least before a task is asked about again.
    pub const PAUSE_MIN: Duration = Duration::from_secs(30);
    /// How long to wait at most.
    pub const PAUSE_MAX: Duration = Duration::from_secs(3_600);
    /// How old a task becomes before it is given up.
    pub const AGE_MAX: Duration = Duration::from_secs(86_400);
    /// How many tasks are taken from the ledger at once.
    pub const TASKS_MAX: usize = 64;
    /// How many tasks are asked about at the same time.
    pub const ASKING_MAX: usize = 16;
    /// How long a task that is asked about is left alone by others.
    pub const LEASE: Duration = Duration::from_secs(300);
    /// Pauses are up to this much longer, so that tasks do not stay in step.
    const JITTER: f64 = 0.1;

    /// Asks `records` about what is due in `ledger`, which should be the store behind `inbox`.
    #[must_use]
    pub fn new(inbox: Inbox, ledger: Arc<dyn TaskLedger>, records: impl RecordInfo) -> Self {
        Self {
            inbox,
            ledger,
            records: Arc::new(records),
            clock: Arc::new(SystemClock),
            interval: Self::INTERVAL,
        }
    }

    /// How often the ledger is looked at.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Where the time comes from.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts on the current tokio runtime. A stop drops what is being asked; another process takes
    /// it up when the lease ends.
    pub fn start(self) -> Running {
        Running::start(|stopped| self.run(stopped))
    }

    async fn run(self, mut stopped: watch::Receiver<()>) {
        loop {
            let look = async {
                if !self.may_have_more().await {
                    tokio::time::sleep(self.interval).await;
                }
            };
            tokio::select! {
                // The sender is only ever dropped, never used: any news is the end.
                _ = stopped.changed() => return,
                () = look => {}
            }
        }
    }

    /// Looks at the ledger once; true if there may be more that is due.
    async fn may_have_more(&self) -> bool {
        self.round()
            .await
            .inspect_err(|err| {
                let err = err as &dyn std::error::Error;
                tracing::error!(err, "the ledger could not be read; trying again");
            })
            .is_ok_and(|round| round.asked >= Self::TASKS_MAX)
    }

    /// Looks at the ledger once: asks about at most [`TASKS_MAX`](Self::TASKS_MAX) tasks that are
    /// due.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the ledger could not be read. What goes wrong with single tasks is logged,
    /// counted, and tried again later.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let request = DueRequest::new(self.clock.now(), Self::LEASE, Self::TASKS_MAX);
        let mut due = self.ledger.due(request).await?.into_iter();
        let (mut round, mut asking) = (Round::default(), JoinSet::new());
        loop {
            while asking.len() < Self::ASKING_MAX
                && let Some(due) = due.next()
            {
                let reconciler = self.clone();
                asking.spawn(async move { reconciler.reconcile(&due).await });
            }
            match asking.join_next().await {
                Some(Ok(found)) => round.add(found),
                Some(Err(err)) => {
                    tracing::error!(%err, "asking about a task ended unexpectedly");
                    round.add(Found::Failed);
                }
                None => return Ok(round),
            }
        }
    }

    /// Asks about one task, and says in the ledger when to ask again.
    async fn reconcile(&self, due: &Due) -> Found {
        let (found, wait) = match self.learn(&due.ticket.task_id).await {
            Ok(found) => (found, Duration::ZERO),
            Err(obstacle) => {
                obstacle.report(&due.ticket.task_id);
                (Found::Failed, obstacle.retry_after().unwrap_or_default())
            }
        };
        let age = age(due.expected_at, self.clock.now());
        let (found, noted) = match found {
            Found::Ended { .. } => (found, self.ledger.finish(&due.ticket).await),
            _ if age >= Self::AGE_MAX => {
                tracing::error!(task_id = %due.ticket.task_id, "given up: the task does not end");
                (Found::GivenUp, self.ledger.finish(&due.ticket).await)
            }
            _ => {
                let wait = pause(age, fastrand::f64()).max(wait);
                let until = later(self.clock.now(), wait);
                (found, self.ledger.postpone(&due.ticket, until).await)
            }
        };
        if let Err(err) = noted {
            let err = &err as &dyn std::error::Error;
            tracing::warn!(
                err,
                "the ledger could not be written; the task is asked about again"
            );
        }
        found
    }

    /// Asks, and stores what is found.
    async fn learn(&self, task_id: &TaskId) -> Result<Found, Obstacle> {
        match self.records.record(task_id).await? {
            Some(record) => self.take_in(&record).await,
            None => Ok(Found::Running),
        }
    }

    /// Stores what a record says, and decides for it where callbacks say something else.
    async fn take_in(&self, record: &TaskRecord) -> Result<Found, Obstacle> {
        match (self.store(record).await?, record.stage()) {
            (Some(accepted), Some(stage)) if stage.is_terminal() => Ok(Found::Ended {
                recovered: accepted == Accepted::New,
                decided: self.decide_for(&record.task_id, &stage).await?,
            }),
            _ => Ok(Found::Running),
        }
    }

    /// Stores what a record says, if it says anything yet.
    async fn store(&self, record: &TaskRecord) -> Result<Option<Accepted>, AcceptError> {
        match Delivery::from_record(record, self.clock.now()) {
            Some(delivery) => self.inbox.accept(delivery).await.map(Some),
            None => Ok(None),
        }
    }

    /// If a last stage was put aside because another one came before it, but the record is for it:
    /// makes it ready. True if that was so.
    async fn decide_for(&self, task_id: &TaskId, stage: &Stage) -> Result<bool, StoreError> {
        let events = self.ledger.find(task_id).await?;
        let mut put_aside = events
            .iter()
            .filter(|event| event.key.stage() == stage && event.state == EventState::Superseded);
        let Some(event) = put_aside.next() else {
            return Ok(false);
        };
        tracing::warn!(%task_id, %stage, "callbacks contradict each other; the record decided");
        self.ledger.redrive(event.id).await?;
        Ok(true)
    }
}

/// How long ago something was.
fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// How long to wait before a task of such an age is asked about again: a tenth of its age, within
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

    #[test]
    fn a_clock_that_went_backwards_makes_a_task_young() {
        let (early, late) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        assert_eq!(age(late, early), Duration::ZERO);
        assert!(age(early, late) > Reconciler::AGE_MAX);
    }
}
