//! The last request of each worker (C9).
//!
//! Which claims a request was granted is in the database. Kept here is only which request of a worker was
//! the last, because a worker does not outlive its process. The requests of one worker are handled one
//! after the other, so that a repeated one finds what the first has done.

use std::sync::{Arc, Mutex, PoisonError};

use suno_callback::{ClaimRequest, WorkerId};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The number of workers whose last request is remembered.
const WORKERS_MAX: usize = 256;

/// The last requests, from the one that was used longest ago to the latest.
#[derive(Debug, Default)]
pub(crate) struct LastRequests(Mutex<Vec<(WorkerId, Arc<AsyncMutex<LastRequest>>)>>);

/// The last request of one worker.
#[derive(Debug, Default)]
pub(crate) struct LastRequest {
    number: Option<u64>,
    is_answered: bool,
}

/// What a worker asked for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The request is new.
    New,
    /// The request was sent before, and its answer is not known.
    Unanswered,
    /// The request was answered before.
    Answered,
    /// A later request was sent before.
    Later,
}

impl LastRequests {
    /// Returns the last request of a worker, once its earlier ones have come to their end.
    pub(crate) async fn of(&self, worker: WorkerId) -> OwnedMutexGuard<LastRequest> {
        let last = self.take(worker);
        last.lock_owned().await
    }

    fn take(&self, worker: WorkerId) -> Arc<AsyncMutex<LastRequest>> {
        let mut requests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = requests.iter().position(|(of, _)| *of == worker);
        let last = place.map(|place| requests.remove(place).1);
        if last.is_none() && requests.len() >= WORKERS_MAX {
            // One that is being handled must stay.
            let idle = requests
                .iter()
                .position(|(_, last)| Arc::strong_count(last) == 1);
            requests.remove(idle.unwrap_or_default());
        }
        let last = last.unwrap_or_default();
        requests.push((worker, Arc::clone(&last)));
        last
    }
}

impl LastRequest {
    /// Compares a request with the last one, which it becomes unless it is older.
    pub(crate) fn ask(&mut self, request: &ClaimRequest) -> Asked {
        match self.number {
            Some(last) if last > request.number => Asked::Later,
            Some(last) if last == request.number && self.is_answered => Asked::Answered,
            Some(last) if last == request.number => Asked::Unanswered,
            _ => {
                (self.number, self.is_answered) = (Some(request.number), false);
                Asked::New
            }
        }
    }

    /// Records that the last request was answered.
    pub(crate) fn answered(&mut self, request: &ClaimRequest) {
        self.is_answered |= self.number == Some(request.number);
    }
}
