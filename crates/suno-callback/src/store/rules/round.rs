//! Selects the claims of one request: how many, in which order, and which of them alone (C6, C7,
//! C8).

use std::time::Duration;

use super::TaskEvents;
use super::task::Look;
use crate::key::EventId;
use crate::store::{Claim, ClaimRequest, Claims, SettleResult};

/// The claims of one request.
///
/// The store iterates over its events, ordered by the time at which they become ready and by their
/// numbers: it asks whether the round [`goes_on`](Self::goes_on), and then lets it
/// [`look_at`](Self::look_at) the event.
#[derive(Debug)]
pub struct ClaimRound<'a> {
    request: &'a ClaimRequest,
    now: Duration,
    claims: Claims,
    is_over: bool,
}

impl<'a> ClaimRound<'a> {
    /// Creates a round without claims, after the settlements of the request were applied.
    #[must_use]
    pub fn new(request: &'a ClaimRequest, settled: Vec<SettleResult>, now: Duration) -> Self {
        let claims = Claims {
            settled,
            ..Claims::default()
        };
        Self {
            request,
            now,
            claims,
            is_over: false,
        }
    }

    /// Whether an event that becomes ready at this time must be looked at. If not, neither must any
    /// later one.
    pub fn goes_on(&mut self, ready_at: Duration) -> bool {
        if self.is_over {
            return false;
        }
        if ready_at > self.now {
            self.claims.next_due = Some(ready_at - self.now);
            self.is_over = true;
        } else if self.claims.claims.len() >= self.request.events_max {
            self.leave_the_rest();
        }
        !self.is_over
    }

    /// Looks at an event of a task, and claims it if that is possible now.
    pub fn look_at(&mut self, task: &mut TaskEvents, id: EventId) {
        let is_alone = self.request.running == 0 && self.claims.claims.is_empty();
        match task.look_at(id, self.request, is_alone, self.now) {
            Look::Granted {
                claim,
                is_suspected,
            } => {
                self.claims.claims.push(*claim);
                if is_suspected {
                    self.leave_the_rest();
                }
            }
            Look::Suspected => self.claims.suspected = true,
            Look::NotItsTurn => {}
        }
    }

    /// Ends the round before all events were looked at.
    pub fn leave_the_rest(&mut self) {
        self.claims.more = true;
        self.is_over = true;
    }

    /// Returns the answer to a repeated request: the claims that it was granted and that still
    /// hold.
    #[must_use]
    pub fn repeat(mut self, held: Vec<Claim>) -> Claims {
        self.claims.claims = held;
        self.claims.more = true;
        self.claims
    }

    /// Returns the answer to the request.
    #[must_use]
    pub fn into_claims(self) -> Claims {
        self.claims
    }
}
