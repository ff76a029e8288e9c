//! The last request of each worker, for answers that got lost (C9).

use crate::store::{ClaimRequest, Claims, Ticket, WorkerId};

/// The number of workers whose last request is known.
const WORKERS_MAX: usize = 64;

/// The last request of each worker and what it was granted.
///
/// It may be kept in memory by the process whose workers claim: a worker does not outlive its process.
#[derive(Debug, Default)]
pub struct LastRequests {
    /// The latest last.
    requests: Vec<LastRequest>,
}

#[derive(Debug)]
struct LastRequest {
    worker: WorkerId,
    number: u64,
    granted: Vec<Ticket>,
}

impl LastRequests {
    /// Returns the tickets that were granted to a request that is repeated, and none to a request with
    /// a smaller number than the last.
    /// `None` if the request is a new one.
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

    /// Remembers what a request was granted.
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
