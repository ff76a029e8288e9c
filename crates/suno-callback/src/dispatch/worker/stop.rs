//! The end of a worker: what it still waits for, and what it cancels.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Worker;
use crate::store::Settlement;

/// The time limit for the last settlements after the grace period of a stop is over.
const LAST_SETTLEMENT: Duration = Duration::from_secs(2);
/// The time limit for cancelled handlers to end.
const CANCELLING: Duration = Duration::from_secs(1);

impl Worker {
    /// Waits for the running handlers, settles their events, and cancels handlers that exceed the
    /// time limit.
    pub(super) async fn wind_down(mut self, deadline: Instant) {
        self.is_stopping = true;
        for claim in std::mem::take(&mut self.held_back) {
            self.settle(claim.ticket, Settlement::Release);
        }
        // The last request may have been granted claims although its answer was not awaited. If it
        // is sent again, the store repeats them, and they are released.
        let mut takes_back = self.is_unanswered;
        loop {
            self.absorb();
            let has_to_ask = takes_back || !self.unsettled.is_empty();
            if self.running.is_empty() && !has_to_ask {
                return;
            }
            if has_to_ask && self.paused_until.is_none() {
                takes_back = false;
                match timeout_at(deadline, self.exchange(0)).await {
                    Ok(()) => continue,
                    Err(_) => break,
                }
            }
            tokio::select! {
                biased;
                Some(finished) = self.tasks.join_next_with_id() => self.finish(finished),
                () = sleep_until(deadline) => break,
                () = sleep_until(self.paused_until.unwrap_or(deadline)) => self.paused_until = None,
            }
        }
        self.cancel().await;
        if self.unsettled.is_empty() {
            return;
        }
        let _ = timeout(LAST_SETTLEMENT, self.exchange(0)).await;
        if !self.unsettled.is_empty() {
            let events = self.unsettled.len();
            tracing::warn!(
                events,
                "stopped before the store recorded the results of some events: they are handled again"
            );
        }
    }

    /// Cancels the running handlers. Those that have ended in the meantime count with their
    /// results. A handler that blocks its thread cannot be cancelled: its claim is kept until the
    /// lease ends.
    async fn cancel(&mut self) {
        self.absorb();
        self.tasks.abort_all();
        let all_ended = async {
            while let Some(finished) = self.tasks.join_next_with_id().await {
                self.finish(finished);
            }
        };
        if timeout(CANCELLING, all_ended).await.is_err() {
            let handlers = self.running.len();
            tracing::warn!(
                handlers,
                "some handlers do not end: they block their threads"
            );
        }
    }
}
