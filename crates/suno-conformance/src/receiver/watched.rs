//! A store that can be made to fail, and that says when everything is handled.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suno_callback::{
    Accepted, ClaimRequest, Claims, Delivery, Extended, IdempotencyStore, StoreError,
    StoreErrorKind, Ticket, async_trait,
};
use suno_types::Callback;
use tokio::sync::Notify;

use crate::altered::{Alteration, AlteredStore};

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

/// A store that is watched.
pub(super) type WatchedStore = AlteredStore<Watched>;

/// What is watched of a store.
#[derive(Debug)]
pub(super) struct Watched {
    store: Box<dyn IdempotencyStore>,
    seen: Seen,
    /// How many claims are not settled.
    claimed: AtomicUsize,
    idle: Notify,
}

impl Watched {
    pub(super) fn new(store: Box<dyn IdempotencyStore>, seen: Seen) -> Self {
        Self {
            store,
            seen,
            claimed: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    /// Notified as soon as there is nothing to claim and every claim is settled.
    pub(super) fn idle(&self) -> &Notify {
        &self.idle
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.seen.0.down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        Ok(())
    }

    /// Takes in what a request settled and claimed, and returns how many claims are left.
    fn count(&self, request: &ClaimRequest, claims: &Claims) -> usize {
        let settled = request.settlements.len();
        let before = self.claimed.fetch_sub(settled, Ordering::SeqCst) - settled;
        let claimed = claims.claims.len();
        self.claimed.fetch_add(claimed, Ordering::SeqCst);
        before + claimed
    }
}

#[async_trait]
impl Alteration for Watched {
    fn store(&self) -> &dyn IdempotencyStore {
        &*self.store
    }

    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        self.check()?;
        self.store.accept(deliveries).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        self.check()?;
        let is_overrun = self.seen.is_overrun();
        let mut allowed = request.clone();
        if is_overrun {
            allowed.events_max = 0;
        }
        let claims = self.store.claim(&allowed).await?;
        let left = self.count(&allowed, &claims);
        let is_empty = request.events_max > 0 && left == 0 && !claims.more;
        if is_empty || is_overrun {
            self.idle.notify_waiters();
        }
        Ok(claims)
    }

    async fn extend(
        &self,
        tickets: &[Ticket],
        lease: Duration,
    ) -> Result<Vec<Extended>, StoreError> {
        self.check()?;
        self.store.extend(tickets, lease).await
    }
}
