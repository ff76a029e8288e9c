//! The way into a store: concurrent deliveries share one commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::delivery::{Delivery, Source};
use crate::store::{Accepted, IdempotencyStore, StoreError, StoreErrorKind};

/// How many deliveries go into one commit at most.
const BATCH_MAX: usize = 512;
/// How many deliveries wait for a commit at most.
const WAITING_MAX: usize = 4_096;

/// A store and what gathers deliveries in front of it.
///
/// What arrives while a commit is under way goes into the next one; nothing waits on purpose.
/// Clones share the store.
#[derive(Debug, Clone)]
pub struct Inbox {
    waiting: mpsc::Sender<Waiting>,
    store: Arc<dyn IdempotencyStore>,
    confirming: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Waiting {
    delivery: Delivery,
    answer: oneshot::Sender<Result<Accepted, Arc<StoreError>>>,
}

/// A delivery was not stored: answer 503, so that the provider sends it again.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Too many deliveries wait already.
    #[error("too many deliveries wait to be stored")]
    Busy,
    /// The store took longer than the answer may take. It may have taken the delivery all the same.
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
    /// Starts gathering for a store, on the current tokio runtime; ends when the last clone is
    /// dropped.
    #[must_use]
    pub fn start(store: Arc<dyn IdempotencyStore>) -> Self {
        let (waiting, gathered) = mpsc::channel(WAITING_MAX);
        crate::simulation::spawn(commit_all(gathered, store.clone()));
        Self {
            waiting,
            store,
            confirming: Arc::default(),
        }
    }

    /// The same for deliveries that the provider's record must confirm.
    #[must_use]
    pub fn with_confirmation(self) -> Self {
        self.require_confirmation();
        self
    }

    /// From now on, the provider's record must confirm what callbacks say.
    pub(crate) fn require_confirmation(&self) {
        self.confirming.store(true, Ordering::Relaxed);
    }

    /// Stores a delivery; returns after the commit.
    ///
    /// Dropping the future does not take the delivery back: it is stored or not, and the provider,
    /// unanswered, sends it again.
    ///
    /// # Errors
    ///
    /// [`AcceptError`]; the delivery may be sent again.
    pub async fn accept(&self, mut delivery: Delivery) -> Result<Accepted, AcceptError> {
        delivery.unconfirmed |= self.confirming.load(Ordering::Relaxed)
            && delivery.source == Source::Callback
            && !delivery.verified_by.record;
        let (answer, answered) = oneshot::channel();
        self.waiting
            .try_send(Waiting { delivery, answer })
            .map_err(|err| match err {
                mpsc::error::TrySendError::Full(_) => AcceptError::Busy,
                mpsc::error::TrySendError::Closed(_) => AcceptError::Closed,
            })?;
        match answered.await {
            Ok(result) => result.map_err(AcceptError::Store),
            Err(_) => Err(AcceptError::Closed),
        }
    }

    /// The store behind.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn IdempotencyStore> {
        &self.store
    }
}

async fn commit_all(mut gathered: mpsc::Receiver<Waiting>, store: Arc<dyn IdempotencyStore>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while gathered.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (deliveries, answers): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|waiting: Waiting| (waiting.delivery, waiting.answer))
            .unzip();
        let results = commit(&*store, &deliveries).await;
        for (answer, result) in answers.into_iter().zip(results) {
            // Nobody waits any more if the request was cancelled; the event is stored all the same.
            let _ = answer.send(result);
        }
    }
}

/// Commits a batch at once; if the store refuses it because of one of them, each by itself.
async fn commit(
    store: &dyn IdempotencyStore,
    deliveries: &[Delivery],
) -> Vec<Result<Accepted, Arc<StoreError>>> {
    let err = match store.accept(deliveries).await {
        Ok(accepted) => return accepted.into_iter().map(Ok).collect(),
        Err(err) => err,
    };
    if err.kind() != StoreErrorKind::Refused || deliveries.len() == 1 {
        tracing::error!(
            err = &err as &dyn std::error::Error,
            "deliveries were not stored"
        );
        let err = Arc::new(err);
        return deliveries.iter().map(|_| Err(err.clone())).collect();
    }
    let mut results = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let alone = store.accept(std::slice::from_ref(delivery)).await;
        results.push(alone.map_err(Arc::new).and_then(|accepted| {
            accepted
                .first()
                .copied()
                .ok_or_else(|| Arc::new(StoreError::new(StoreErrorKind::Refused)))
        }));
    }
    results
}
