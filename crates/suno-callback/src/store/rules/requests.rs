//! The last request of each worker, needed when an answer was lost (C9).

use crate::store::{ClaimRequest, Claims, Ticket, WorkerId};

/// The number of workers whose last request is remembered.
const WORKERS_MAX: usize = 64;

/// The last request of each worker and the claims that it was granted.
///
/// The process whose workers claim may keep this in memory, because a worker does not outlive its
/// process.
#[derive(Debug, Default)]
pub struct LastRequests {
    /// Ordered from the oldest to the latest.
    requests: Vec<LastRequest>,
}

#[derive(Debug)]
struct LastRequest {
    worker: WorkerId,
    number: u64,
    granted: Vec<Ticket>,
}

impl LastRequests {
    /// Returns the tickets that were granted to a repeated request, and none for a number smaller
    /// than the last. Returns `None` if the request is new.
    #[must_use]
    pub fn granted(&self, request: &ClaimRequest) -> Option<Vec<Ticket>> {
        let is_of_worker = |last: &&LastRequest| last.worker == request.worker;
        let last = self.requests.iter().find(is_of_worker)?;
        match last.number.cmp(&request.number) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(last.granted.clone()),
            std::cmp::Ordering::Greater => Some(Vec::new()),
        }
    }

    /// Records the claims that a request was granted.
    pub fn remember(&mut self, request: &ClaimRequest, claims: &Claims) {
        self.requests.retain(|last| last.worker != request.worker);
        if self.requests.len() >= WORKERS_MAX {
            self.requests.remove(0);
        }
        self.requests.push(LastRequest {
            worker: request.worker,
            number: request.number,
            granted: claims.claims.iter().map(|claim| claim.ticket).collect(),
        });
    }
}
