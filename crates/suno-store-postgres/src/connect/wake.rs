//! Wake-ups: from this process and from others.

use std::time::Duration;

use tokio::sync::Notify;

/// How long a waiting worker sleeps at most before it looks again.
const RECHECK: Duration = Duration::from_secs(1);

/// Wakes the workers of this process.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    local: Notify,
}

impl Wakes {
    pub(super) fn notify(&self) {
        self.local.notify_one();
        self.local.notify_waiters();
    }

    pub(super) async fn wait(&self, at_most: Duration) {
        // Another process may have made something ready: look again in any case.
        let recheck = RECHECK.mul_f64(0.9 + 0.1 * fastrand::f64());
        let _ = tokio::time::timeout(at_most.min(recheck), self.local.notified()).await;
    }
}
