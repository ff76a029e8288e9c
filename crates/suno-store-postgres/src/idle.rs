//! Remembers that what is ready could not be claimed, so that a worker does not ask again and again.
//!
//! An event may be ready while the transaction of a handler holds it, or while it can be claimed only by a
//! worker that runs nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use suno_callback::{ClaimRequest, Claims};
use tokio::time::Instant;

/// How long a worker waits before it asks again, unless something changes.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// The time until which nothing can be claimed, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Idle(Mutex<Option<Instant>>);

impl Idle {
    /// Records whether a request found something.
    pub(crate) fn set(&self, request: &ClaimRequest, claims: &Claims) {
        if request.events_max == 0 {
            return;
        }
        let has_found = !claims.claims.is_empty() || claims.more;
        let pause = claims.next_due.unwrap_or(IDLE_MAX).min(IDLE_MAX);
        *self.lock() = (!has_found).then(|| Instant::now() + pause);
    }

    /// Records that something has changed.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    /// Returns for how long nothing can be claimed.
    pub(crate) fn left(&self) -> Option<Duration> {
        let left = self
            .lock()
            .map(|until| until.saturating_duration_since(Instant::now()));
        left.filter(|left| !left.is_zero())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
