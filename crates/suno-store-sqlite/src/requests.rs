//! The last claim request of each worker, and the claims that it was granted.

use suno_callback::{Claim, ClaimRequest, Ticket, WorkerId};

/// The number of workers whose last request is remembered.
const WORKERS_MAX: usize = 64;

/// The last request of each worker and the claims that it was granted, so that a lost answer can be
/// repeated. It is kept in memory, because a worker does not outlive its process.
#[derive(Debug, Default)]
pub(crate) struct LastRequests(Vec<LastRequest>);

#[derive(Debug)]
pub(crate) struct LastRequest {
    worker: WorkerId,
    pub(crate) number: u64,
    pub(crate) granted: Vec<Ticket>,
}

impl LastRequests {
    pub(crate) fn of(&self, worker: WorkerId) -> Option<&LastRequest> {
        self.0.iter().find(|last| last.worker == worker)
    }

    pub(crate) fn remember(&mut self, request: &ClaimRequest, claims: &[Claim]) {
        self.0.retain(|last| last.worker != request.worker);
        if self.0.len() >= WORKERS_MAX {
            self.0.remove(0);
        }
        self.0.push(LastRequest {
            worker: request.worker,
            number: request.number,
            granted: claims.iter().map(|claim| claim.ticket).collect(),
        });
    }
}
