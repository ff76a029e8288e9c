//! Purges old events in the background. The contract of [`IdempotencyStore::purge`] defines what is
//! old, and that unsettled events are never touched.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::background::BackgroundTask;
use crate::store::{IdempotencyStore, PurgeReport, PurgeRequest};

/// Purges a store at the start and then at regular intervals.
///
/// Bodies take up most of the space. Keys distinguish a repeated delivery from a new event. So
/// bodies are purged first, and keys only when no more deliveries of them can arrive.
///
/// Purging runs in steps of [`PurgeRequest::EVENTS_MAX`] events with a pause between them, so that
/// deliveries can be stored in between. If the store fails, it is tried again after the interval.
/// Several processes may purge one store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use suno_callback::{Inbox, MemoryStore, Retention};
///
/// let store = Arc::new(MemoryStore::new());
/// let inbox = Inbox::start(store.clone());
/// let retention = Retention::new(store)
///     .with_bodies_for(Duration::from_secs(3 * 86_400))
///     .start();
/// // … receive and dispatch …
/// # drop(inbox);
/// retention.stop().await;
/// # }
/// ```
#[derive(Clone)]
pub struct Retention {
    store: Arc<dyn IdempotencyStore>,
    request: PurgeRequest,
    interval: Duration,
}

impl fmt::Debug for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retention")
            .field("request", &self.request)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

impl Retention {
    /// The default interval between two rounds.
    pub const INTERVAL: Duration = Duration::from_secs(3_600);
    /// The maximum number of steps of a round; the rest waits for the next round.
    pub const STEPS_MAX: u32 = 10_000;
    /// The pause after each step, in which others can use the store.
    const STEP_PAUSE: Duration = Duration::from_millis(10);

    /// Creates a retention that purges from `store` what is older than the defaults of
    /// [`PurgeRequest`].
    #[must_use]
    pub fn new(store: Arc<dyn IdempotencyStore>) -> Self {
        Self {
            store,
            request: PurgeRequest::default(),
            interval: Self::INTERVAL,
        }
    }

    /// Sets how long a key is kept after the first delivery. A later delivery is a new event.
    #[must_use]
    pub fn with_keys_for(mut self, age: Duration) -> Self {
        self.request.keys_after = age;
        self
    }

    /// Sets how long a body is kept after it was received, but never longer than its key.
    #[must_use]
    pub fn with_bodies_for(mut self, age: Duration) -> Self {
        self.request.bodies_after = age;
        self
    }

    /// Sets the interval between two rounds.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets how long a dead letter is kept after it was stored.
    #[must_use]
    pub fn with_dead_letters_for(mut self, age: Duration) -> Self {
        self.request.dead_after = age;
        self
    }

    /// Sets how long a delivery is kept in quarantine.
    #[must_use]
    pub fn with_quarantine_for(mut self, age: Duration) -> Self {
        self.request.quarantined_after = age;
        self
    }

    /// Starts purging on the current tokio runtime. A stop does not wait for the current step: the
    /// store completes it or not.
    pub fn start(self) -> BackgroundTask {
        BackgroundTask::start(|stopped| self.run(stopped))
    }

    async fn run(self, mut stopped: watch::Receiver<()>) {
        let rounds = async {
            loop {
                self.round().await;
                tokio::time::sleep(self.interval.max(Self::STEP_PAUSE)).await;
            }
        };
        tokio::select! {
            biased;
            // The sender is never used, only dropped: any change means the end.
            _ = stopped.changed() => {}
            () = rounds => {}
        }
    }

    /// Purges step by step until nothing old is left.
    async fn round(&self) {
        let mut all = PurgeReport::default();
        for _ in 0..Self::STEPS_MAX {
            match self.store.purge(&self.request).await {
                Ok(purged) => {
                    all.bodies += purged.bodies;
                    all.keys += purged.keys;
                    all.dead += purged.dead;
                    all.quarantined += purged.quarantined;
                    all.more = purged.more;
                }
                Err(err) => {
                    let err = &err as &dyn std::error::Error;
                    tracing::error!(err, "old events could not be purged; trying again later");
                    break;
                }
            }
            if !all.more {
                break;
            }
            tokio::time::sleep(Self::STEP_PAUSE).await;
        }
        if all.bodies + all.keys > 0 {
            tracing::info!(bodies = all.bodies, keys = all.keys, "old events purged");
        }
        if all.dead + all.quarantined > 0 {
            let (dead_letters, quarantined) = (all.dead, all.quarantined);
            tracing::warn!(
                dead_letters,
                quarantined,
                "quarantined deliveries that were never handled are purged"
            );
        }
    }
}
