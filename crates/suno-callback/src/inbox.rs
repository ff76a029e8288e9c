//! The entry to a store: concurrent deliveries share one commit.

mod gather;

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use suno_types::TaskId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use self::gather::{Gathered, Running};
use crate::content::Content;
use crate::delivery::Delivery;
use crate::headers::RedactedHeaders;
use crate::observe::{CommitReport, NoObserver, Observer};
use crate::origin::Source;
use crate::store::{Acceptance, IdempotencyStore, StoreError, StoreErrorKind};
use crate::throttle::Throttle;

/// The maximum number of deliveries in one commit.
const BATCH_MAX: usize = 512;
/// The maximum number of commits at the same time, whatever the store says.
const COMMITS_MAX: usize = 8;
/// The maximum number of deliveries that wait for a commit.
const WAITING_MAX: usize = 4_096;
/// The bytes that a delivery counts in addition to its body and its headers.
const DELIVERY_BYTES: usize = 1_024;

/// A store, with a queue that groups deliveries into commits.
///
/// Deliveries that arrive during a commit go into the next one; no delivery is delayed on purpose. A
/// store can run several commits at the same time
/// ([`accepts_at_once`](IdempotencyStore::accepts_at_once)), but never of one task. Clones share the
/// store.
///
/// A store that hangs or panics does not stop the inbox: the deliveries of that commit fail, and
/// later ones are tried again.
#[derive(Clone)]
pub struct Inbox {
    waiting: mpsc::Sender<Waiting>,
    /// One permit for each byte that may still be queued.
    room: Arc<Semaphore>,
    store: Arc<dyn IdempotencyStore>,
    needs_confirmation: Arc<AtomicBool>,
    /// The number of callbacks that were accepted.
    callbacks: Arc<AtomicU64>,
    observer: Arc<dyn Observer>,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    answer: PendingAnswer,
}

/// The caller that waits for an answer, and the room that its delivery occupies until then.
#[derive(Debug)]
struct PendingAnswer {
    sender: oneshot::Sender<Result<Acceptance, AcceptError>>,
    _room: OwnedSemaphorePermit,
}

/// An error: a delivery was not stored. Respond with 503, so that the provider sends it again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Too many deliveries are already waiting, or they have too many bytes.
    #[error("too many deliveries wait to be stored")]
    Busy,
    /// The store took longer than a commit or a response may take. It may still have stored the
    /// delivery.
    #[error("the store took too long to answer in time")]
    TooSlow,
    /// The store could not store the delivery.
    #[error("the delivery could not be stored")]
    Store(#[source] Arc<StoreError>),
    /// The inbox was shut down.
    #[error("the inbox is closed")]
    Closed,
}

impl Inbox {
    /// The maximum number of bytes of deliveries that wait to be stored: 64 MiB. Each delivery
    /// counts for its body and 1 KiB.
    pub const WAITING_BYTES_MAX: usize = 64 << 20;
    /// The maximum time that a store may take for a commit. It is shorter than the time that a
    /// sender waits for a response, so that later deliveries do not wait for a store that hangs.
    pub const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);

    /// Starts the queue for a store on the current tokio runtime. It ends when the last clone is
    /// dropped.
    #[must_use]
    pub fn start(store: Arc<dyn IdempotencyStore>) -> Self {
        Self::start_observed(store, Arc::new(NoObserver))
    }

    /// Like [`start`](Self::start), with an observer of every commit and every committed delivery.
    /// Receivers and dispatchers of this inbox report to it as well.
    #[must_use]
    pub fn start_observed(store: Arc<dyn IdempotencyStore>, observer: Arc<dyn Observer>) -> Self {
        let (waiting, gathered) = mpsc::channel(WAITING_MAX);
        let callbacks = Arc::<AtomicU64>::default();
        let committer = Committer {
            store: store.clone(),
            throttle: Throttle::default(),
            callbacks: callbacks.clone(),
            observer: observer.clone(),
        };
        crate::simulation::spawn(commit_all(gathered, committer));
        Self {
            waiting,
            room: Arc::new(Semaphore::new(Self::WAITING_BYTES_MAX)),
            store,
            needs_confirmation: Arc::default(),
            callbacks,
            observer,
        }
    }

    /// Marks every callback that is accepted from now on as [`Delivery::unconfirmed`], including
    /// those accepted by clones.
    #[must_use]
    pub fn with_confirmation(self) -> Self {
        self.require_confirmation();
        self
    }

    /// See [`with_confirmation`](Self::with_confirmation).
    pub(crate) fn require_confirmation(&self) {
        self.needs_confirmation.store(true, Ordering::Relaxed);
    }

    /// Stores a delivery; returns after it is committed.
    ///
    /// Dropping the future does not cancel the delivery: it may or may not be stored, and the
    /// provider sends it again because it got no response.
    ///
    /// # Errors
    ///
    /// Returns [`AcceptError`] if the delivery was not stored, or not in time; it may be sent
    /// again.
    pub async fn accept(&self, delivery: Delivery) -> Result<Acceptance, AcceptError> {
        self.hand_over(delivery)?.await
    }

    /// Queues a delivery, and returns a future with the result of [`accept`](Self::accept). The
    /// delivery is not part of that future.
    pub(crate) fn hand_over(
        &self,
        mut delivery: Delivery,
    ) -> Result<impl Future<Output = Result<Acceptance, AcceptError>> + use<>, AcceptError> {
        if is_callback(&delivery) && self.needs_confirmation.load(Ordering::Relaxed) {
            delivery.unconfirmed = true;
        }
        let (sender, answered) = oneshot::channel();
        let answer = PendingAnswer {
            _room: self.room_for(&delivery)?,
            sender,
        };
        self.waiting
            .try_send(Waiting { delivery, answer })
            .map_err(|err| match err {
                mpsc::error::TrySendError::Full(_) => AcceptError::Busy,
                mpsc::error::TrySendError::Closed(_) => AcceptError::Closed,
            })?;
        Ok(async { answered.await.unwrap_or(Err(AcceptError::Closed)) })
    }

    /// Reserves room for a delivery. A delivery larger than the whole room occupies all of it.
    fn room_for(&self, delivery: &Delivery) -> Result<OwnedSemaphorePermit, AcceptError> {
        let headers = delivery.headers.as_ref().map_or(0, RedactedHeaders::bytes);
        let bytes = delivery.raw.len().saturating_add(DELIVERY_BYTES + headers);
        let bytes = u32::try_from(bytes.min(Self::WAITING_BYTES_MAX)).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(bytes);
        room.map_err(|_| AcceptError::Busy)
    }

    /// Returns the number of callbacks that were committed since the inbox was started.
    pub(crate) fn callbacks(&self) -> u64 {
        self.callbacks.load(Ordering::Relaxed)
    }

    pub(crate) fn observer(&self) -> &Arc<dyn Observer> {
        &self.observer
    }

    /// Returns whether the queue still works, without keeping it open.
    pub(crate) fn monitor(&self) -> InboxMonitor {
        InboxMonitor(self.waiting.downgrade())
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn IdempotencyStore> {
        &self.store
    }
}

/// Tells whether an [`Inbox`] still stores deliveries.
#[derive(Debug, Clone)]
pub(crate) struct InboxMonitor(mpsc::WeakSender<Waiting>);

impl InboxMonitor {
    pub(crate) fn is_running(&self) -> bool {
        let waiting = self.0.upgrade();
        waiting.is_some_and(|waiting| !waiting.is_closed())
    }
}

/// Leaves out the observer.
impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox")
            .field("store", &self.store)
            .field("needs_confirmation", &self.needs_confirmation)
            .field("callbacks", &self.callbacks)
            .finish_non_exhaustive()
    }
}

/// Whether the provider sent the delivery; otherwise it was made from a record.
fn is_callback(delivery: &Delivery) -> bool {
    delivery.source == Source::Callback && !delivery.verified_by.record
}

/// What a commit needs.
struct Committer {
    store: Arc<dyn IdempotencyStore>,
    throttle: Throttle,
    callbacks: Arc<AtomicU64>,
    observer: Arc<dyn Observer>,
}

async fn commit_all(mut waiting: mpsc::Receiver<Waiting>, committer: Committer) {
    let commits_max = committer.store.accepts_at_once().clamp(1, COMMITS_MAX);
    let committer = &committer;
    let mut gathered = Gathered::default();
    let mut running = Running::default();
    let mut received = Vec::with_capacity(BATCH_MAX);
    let mut is_open = true;
    while is_open || running.len() > 0 {
        let has_room = running.len() < commits_max && gathered.len() < BATCH_MAX;
        tokio::select! {
            biased;
            tasks = running.next(), if running.len() > 0 => gathered.release(tasks),
            count = waiting.recv_many(&mut received, BATCH_MAX), if is_open && has_room => {
                is_open = count > 0;
                gathered.extend(received.drain(..));
            }
        }
        while running.len() < commits_max {
            let batch = gathered.next_batch(BATCH_MAX);
            if batch.is_empty() {
                break;
            }
            // With one commit at a time, none can have a task of another one.
            let tasks: Vec<TaskId> = match commits_max {
                1 => Vec::new(),
                _ => tasks(&batch),
            };
            gathered.hold(&tasks);
            running.push(async move {
                commit_batch(committer, batch).await;
                tasks
            });
        }
    }
}

/// Returns the tasks of deliveries, as far as they could be read.
fn tasks(batch: &[Waiting]) -> Vec<TaskId> {
    let tasks = batch
        .iter()
        .filter_map(|waiting| waiting.delivery.task_id());
    tasks.cloned().collect()
}

/// Commits a batch, and answers its senders.
async fn commit_batch(committer: &Committer, batch: Vec<Waiting>) {
    let begun = Instant::now();
    let (deliveries, answers): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.delivery, waiting.answer))
        .unzip();
    let Committer {
        store,
        throttle,
        callbacks,
        observer,
    } = committer;
    let results = commit(&**store, &deliveries, throttle).await;
    observer.on_commit(&CommitReport {
        deliveries: deliveries.len(),
        stored: results.iter().filter(|result| result.is_ok()).count(),
        took: begun.elapsed(),
    });
    for (delivery, result) in deliveries.iter().zip(&results) {
        if let Ok(accepted) = result {
            tell(delivery, *accepted, throttle);
            if is_callback(delivery) {
                callbacks.fetch_add(1, Ordering::Relaxed);
            }
            observer.on_delivery(delivery, *accepted);
        }
    }
    // Freed before the answers are sent, which also frees the room of their deliveries.
    drop(deliveries);
    for (answer, result) in answers.into_iter().zip(results) {
        // If the request was cancelled, its receiver is gone; the event is stored all the same.
        let _ = answer.sender.send(result);
    }
}

/// Logs outcomes that an operator should know: they may be the only trace of a forgery.
fn tell(delivery: &Delivery, accepted: Acceptance, throttle: &Throttle) {
    let key = match &delivery.content {
        Content::Event { key, .. } => key,
        Content::Quarantined { task_id, reason } => {
            let what = match accepted {
                Acceptance::Dropped => {
                    "a callback that could not be decoded was dropped: the quarantine is full"
                }
                _ => "a callback could not be decoded; it is kept in quarantine",
            };
            if throttle.admits(what) {
                let task_id = task_id.as_ref().map(TaskId::as_str);
                tracing::warn!(%reason, task_id, "{what}");
            }
            return;
        }
    };
    let what = match accepted {
        Acceptance::Quarantined => {
            "a callback is kept in quarantine: its task has too many events of unknown stages"
        }
        Acceptance::Conflict => {
            "a delivery differs from the stored event; it is kept as a conflict"
        }
        Acceptance::Late if key.stage().is_terminal() => {
            "both complete and failed were delivered; the first one counts"
        }
        Acceptance::Dropped => "a delivery was dropped: too many deliveries differ from the event",
        _ => return,
    };
    if throttle.admits(what) {
        let (source, verified_by) = (delivery.source, delivery.verified_by);
        tracing::warn!(%key, ?source, ?verified_by, "{what}");
    }
}

/// Commits a batch at once. If the store rejects it because of one delivery, commits each
/// separately.
async fn commit(
    store: &dyn IdempotencyStore,
    deliveries: &[Delivery],
    throttle: &Throttle,
) -> Vec<Result<Acceptance, AcceptError>> {
    let deadline = Instant::now() + Inbox::COMMIT_TIMEOUT;
    let err = match accept(store, deliveries, deadline).await {
        Ok(accepted) => return accepted.into_iter().map(Ok).collect(),
        Err(err) => err,
    };
    let is_of_one =
        matches!(&err, AcceptError::Store(err) if err.kind() == StoreErrorKind::Refused);
    if !is_of_one || deliveries.len() == 1 {
        if throttle.admits("deliveries were not stored") {
            tracing::error!(
                err = &err as &dyn std::error::Error,
                "deliveries were not stored"
            );
        }
        return deliveries.iter().map(|_| Err(err.clone())).collect();
    }
    let mut results = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let alone = accept(store, std::slice::from_ref(delivery), deadline).await;
        results.push(alone.map(|accepted| accepted[0]));
    }
    results
}

/// Calls the store, and returns one result for each delivery. A store that panics, or that does not
/// finish by the deadline, has failed.
async fn accept(
    store: &dyn IdempotencyStore,
    deliveries: &[Delivery],
    deadline: Instant,
) -> Result<Vec<Acceptance>, AcceptError> {
    let broken = |reason| {
        let err = StoreError::new(StoreErrorKind::Unavailable).with_source(reason);
        Err(AcceptError::Store(Arc::new(err)))
    };
    // A store can panic when it is called, polled or dropped: all three happen inside
    // `catch_panic`.
    let accepting = async { timeout_at(deadline, store.accept(deliveries)).await };
    match catch_panic(accepting).await {
        Some(Ok(Ok(accepted))) if accepted.len() == deliveries.len() => Ok(accepted),
        Some(Ok(Ok(_))) => broken("the store did not return one answer for each delivery"),
        Some(Ok(Err(err))) => Err(AcceptError::Store(Arc::new(err))),
        Some(Err(_)) => Err(AcceptError::TooSlow),
        None => broken("the store panicked"),
    }
}

/// Resolves to `None` if the future panics.
async fn catch_panic<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // It is not polled again after a panic, so that its broken state is never used.
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}
