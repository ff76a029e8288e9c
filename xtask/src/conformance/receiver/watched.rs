//! A store that can be made to fail, and that tells what it did.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use suno_callback::{
    Accepted, Claim, ClaimRequest, Delivery, Held, IdempotencyStore, Inspect, Settlement,
    StoreError, StoreErrorKind, Ticket, async_trait,
};
use suno_types::Callback;
use tokio::sync::Notify;

/// How many events reach the handler at most. A receiver that hands over more does not end by
/// itself, and has failed the case.
const HANDLED_MAX: usize = 64;

/// What happened in a case, over all lives of its receiver. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<Record>);

#[derive(Debug, Default)]
struct Record {
    down: AtomicBool,
    handled: Mutex<Vec<Callback>>,
}

impl Seen {
    /// From now on, the store refuses everything, or no longer does.
    pub(super) fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::SeqCst);
    }

    /// Notes an event that reached the handler.
    pub(super) fn note_handled(&self, callback: Callback) {
        lock(&self.0.handled).push(callback);
    }

    fn is_overrun(&self) -> bool {
        lock(&self.0.handled).len() >= HANDLED_MAX
    }

    /// The events that reached the handler, in order.
    pub(super) fn handled(&self) -> Vec<Callback> {
        lock(&self.0.handled).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store under watch.
#[derive(Debug)]
pub(super) struct WatchedStore {
    store: Box<dyn Inspect>,
    seen: Seen,
    claimed: AtomicUsize,
    idle: Notify,
}

impl WatchedStore {
    pub(super) fn new(store: Box<dyn Inspect>, seen: Seen) -> Self {
        Self {
            store,
            seen,
            claimed: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    /// Wakes who waits as soon as there is nothing to claim and every claim is settled.
    pub(super) fn idle(&self) -> &Notify {
        &self.idle
    }

    /// How many bodies are kept raw.
    pub(super) async fn quarantined(&self) -> Result<u64, StoreError> {
        Ok(self.store.counts().await?.quarantined)
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.seen.0.down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        Ok(())
    }
}

#[async_trait]
impl IdempotencyStore for WatchedStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        self.check()?;
        self.store.accept(deliveries).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        self.check()?;
        if self.seen.is_overrun() {
            self.idle.notify_waiters();
            return Ok(Vec::new());
        }
        let claims = self.store.claim(request).await?;
        let before = self.claimed.fetch_add(claims.len(), Ordering::SeqCst);
        if claims.is_empty() && before == 0 {
            self.idle.notify_waiters();
        }
        Ok(claims)
    }

    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError> {
        self.check()?;
        self.store.extend(tickets, until).await
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        self.check()?;
        let held = self.store.settle(settled).await?;
        self.claimed.fetch_sub(settled.len(), Ordering::SeqCst);
        Ok(held)
    }
}
