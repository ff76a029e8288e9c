//! Where the queue begins, as far as one process knows.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::columns::Micros;

/// How long claims begin at the place where the last ones have found something, before they look at the
/// start of the queue again. Deleted rows at the start of an index are slow to walk over while an old
/// transaction is open.
const FIRST_FOR: Duration = Duration::from_secs(1);
/// By how much an event may become ready before one that was seen already: more than a transaction lasts.
const FIRST_BEFORE: Micros = 15_000_000;

/// A place in the queue before which nothing is ready, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct FirstReady(Mutex<Option<(Micros, Instant)>>);

impl FirstReady {
    pub(crate) fn get(&self) -> Micros {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *first {
            Some((at, since)) if since.elapsed() < FIRST_FOR => at,
            _ => i64::MIN,
        }
    }

    /// Forgets the place, because an event may become ready that has been waiting for another one.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records that the queue was looked at from its start.
    pub(crate) fn set(&self, following: Option<Micros>, now: Micros) {
        let at = following.map_or(now, |at| at.min(now)) - FIRST_BEFORE;
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *first = Some((at, Instant::now()));
    }
}
