//! The way into a store: concurrent deliveries share one commit.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::content::Content;
use crate::delivery::Delivery;
use crate::origin::Source;
use crate::store::{Accepted, IdempotencyStore, StoreError, StoreErrorKind};
use crate::throttle::Throttle;

/// How many deliveries go into one commit at most.
const BATCH_MAX: usize = 512;
/// How many deliveries wait for a commit at most.
const WAITING_MAX: usize = 4_096;
/// The bytes that a delivery counts for in addition to its body.
const DELIVERY_BYTES: usize = 1_024;

/// A store and what gathers deliveries in front of it.
///
/// What arrives while a commit is under way goes into the next one; nothing waits on purpose.
/// Clones share the store.
///
/// Neither a store that hangs nor one that panics stops the inbox: the deliveries of that commit
/// fail, and the next ones are tried again.
#[derive(Debug, Clone)]
pub struct Inbox {
    waiting: mpsc::Sender<Waiting>,
    /// One permit for each byte that may still wait.
    room: Arc<Semaphore>,
    store: Arc<dyn IdempotencyStore>,
    needs_confirmation: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    answer: Answer,
}

/// The caller that waits for an answer, and the room that its delivery takes until then.
#[derive(Debug)]
struct Answer {
    sender: oneshot::Sender<Result<Accepted, AcceptError>>,
    _room: OwnedSemaphorePermit,
}

/// A delivery was not stored: answer 503, so that the provider sends it again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Too many deliveries wait already, or they have too many bytes.
    #[error("too many deliveries wait to be stored")]
    Busy,
    /// The store took longer than a commit or an answer may take. It may have taken the delivery all
    /// the same.
    #[error("the store took too long to answer in time")]
    TooSlow,
    /// The store could not take it.
    #[error("the delivery could not be stored")]
    Store(#[source] Arc<StoreError>),
    /// The inbox was shut down.
    #[error("the inbox is closed")]
    Closed,
}

impl Inbox {
    /// The most bytes of deliveries that wait to be stored: 64 MiB, where each delivery counts for its
    /// body and 1 KiB.
    pub const WAITING_BYTES_MAX: usize = 64 << 20;
    /// The longest time that a store may take for a commit. It is shorter than the time that a sender
    /// waits for its answer, so that later deliveries do not wait for a store that hangs.
    pub const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);

    /// Starts gathering for a store, on the current tokio runtime; ends when the last clone is
    /// dropped.
    #[must_use]
    pub fn start(store: Arc<dyn IdempotencyStore>) -> Self {
        Self::start_observed(store, |_, _| {})
    }

    /// The same, where `observe` is told of every delivery that was committed and what it was, before
    /// its sender is answered: for figures, or to tell of deliveries that contradict each other. It
    /// must not wait. What it is told may be told again, if the process ends before the sender is
    /// answered.
    #[must_use]
    pub fn start_observed(
        store: Arc<dyn IdempotencyStore>,
        observe: impl Fn(&Delivery, Accepted) + Send + Sync + 'static,
    ) -> Self {
        let (waiting, gathered) = mpsc::channel(WAITING_MAX);
        crate::simulation::spawn(commit_all(gathered, store.clone(), observe));
        Self {
            waiting,
            room: Arc::new(Semaphore::new(Self::WAITING_BYTES_MAX)),
            store,
            needs_confirmation: Arc::default(),
        }
    }

    /// Marks every callback that is accepted from now on as [`Delivery::unconfirmed`], also those
    /// that clones accept.
    #[must_use]
    pub fn with_confirmation(self) -> Self {
        self.require_confirmation();
        self
    }

    /// See [`with_confirmation`](Self::with_confirmation).
    pub(crate) fn require_confirmation(&self) {
        self.needs_confirmation.store(true, Ordering::Relaxed);
    }

    /// Stores a delivery; returns after the commit.
    ///
    /// Dropping the future does not take the delivery back: it is stored or not, and the provider,
    /// unanswered, sends it again.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; the delivery may be sent again.
    pub async fn accept(&self, delivery: Delivery) -> Result<Accepted, AcceptError> {
        self.hand_over(delivery)?.await
    }

    /// Hands a delivery over, and returns the future of what [`accept`](Self::accept) returns. The
    /// delivery is not a part of that future.
    pub(crate) fn hand_over(
        &self,
        mut delivery: Delivery,
    ) -> Result<impl Future<Output = Result<Accepted, AcceptError>> + use<>, AcceptError> {
        let is_callback = delivery.source == Source::Callback && !delivery.verified_by.record;
        if is_callback && self.needs_confirmation.load(Ordering::Relaxed) {
            delivery.unconfirmed = true;
        }
        let (sender, answered) = oneshot::channel();
        let answer = Answer {
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

    /// Room for a delivery. One that is larger than all the room there is takes all of it.
    fn room_for(&self, delivery: &Delivery) -> Result<OwnedSemaphorePermit, AcceptError> {
        let bytes = delivery.raw.len().saturating_add(DELIVERY_BYTES);
        let bytes = u32::try_from(bytes.min(Self::WAITING_BYTES_MAX)).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(bytes);
        room.map_err(|_| AcceptError::Busy)
    }

    /// The store behind.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn IdempotencyStore> {
        &self.store
    }
}

async fn commit_all(
    mut gathered: mpsc::Receiver<Waiting>,
    store: Arc<dyn IdempotencyStore>,
    observe: impl Fn(&Delivery, Accepted) + Send,
) {
    let throttle = Throttle::default();
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while gathered.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (deliveries, answers): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|waiting: Waiting| (waiting.delivery, waiting.answer))
            .unzip();
        let results = commit(&*store, &deliveries, &throttle).await;
        for (delivery, result) in deliveries.iter().zip(&results) {
            if let Ok(accepted) = result {
                tell(delivery, *accepted, &throttle);
                observe(delivery, *accepted);
            }
        }
        // Freed before the answers are sent, which frees their room for others.
        drop(deliveries);
        for (answer, result) in answers.into_iter().zip(results) {
            // Nobody waits any more if the request was cancelled; the event is stored all the same.
            let _ = answer.sender.send(result);
        }
    }
}

/// Tells of what an operator should know: it may be the only trace of a forgery.
fn tell(delivery: &Delivery, accepted: Accepted, throttle: &Throttle) {
    let Content::Event { key, .. } = &delivery.content else {
        return;
    };
    let what = match accepted {
        Accepted::Conflict => "a delivery says something else than the event; it is kept beside it",
        Accepted::Late if key.stage().is_terminal() => {
            "complete and failed were both delivered; the first one counts"
        }
        Accepted::Dropped => "a delivery was dropped: too many say something else than the event",
        _ => return,
    };
    if throttle.admits(what) {
        let (source, verified_by) = (delivery.source, delivery.verified_by);
        tracing::warn!(%key, ?source, ?verified_by, "{what}");
    }
}

/// Commits a batch at once; if the store refuses it because of one of them, each by itself.
async fn commit(
    store: &dyn IdempotencyStore,
    deliveries: &[Delivery],
    throttle: &Throttle,
) -> Vec<Result<Accepted, AcceptError>> {
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

/// Calls the store, and returns one result for each delivery. A store that panics, or that has not
/// finished at the deadline, has failed.
async fn accept(
    store: &dyn IdempotencyStore,
    deliveries: &[Delivery],
    deadline: Instant,
) -> Result<Vec<Accepted>, AcceptError> {
    let broken = |reason| {
        let err = StoreError::new(StoreErrorKind::Unavailable).with_source(reason);
        Err(AcceptError::Store(Arc::new(err)))
    };
    // A store can panic when it is called, polled or dropped: all of that happens in `catch_panic`.
    let accepting = async { timeout_at(deadline, store.accept(deliveries)).await };
    match catch_panic(accepting).await {
        Some(Ok(Ok(accepted))) if accepted.len() == deliveries.len() => Ok(accepted),
        Some(Ok(Ok(_))) => broken("the store did not say of each delivery what it was"),
        Some(Ok(Err(err))) => Err(AcceptError::Store(Arc::new(err))),
        Some(Err(_)) => Err(AcceptError::TooSlow),
        None => broken("the store panicked"),
    }
}

/// Resolves to `None` if the future panics.
async fn catch_panic<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // It is not polled again after a panic, so that its broken state is never seen.
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        },
    )
    .await
}
