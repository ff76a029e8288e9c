//! Whether the process works, for a supervisor, and whether callbacks should be sent to it, for a
//! load balancer.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError};
use std::time::Duration;

use suno_callback::{CommitReport, IdempotencyStore, Observer, PipelineMonitor, SubmitId};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The state of a pipeline and its store.
///
/// Observe the pipeline with it, so that it knows of commits that fail, and pass it the pipeline's
/// monitor after the start:
///
/// ```
/// use std::sync::Arc;
///
/// use suno_callback::{MemoryStore, Observer, Pipeline, Verification, handler_fn};
/// use suno_gateway::admin::Health;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new());
/// let health = Arc::new(Health::new(store.clone()));
/// let observers: Vec<Arc<dyn Observer>> = vec![health.clone()];
/// let handler = handler_fn(async |_| Ok(()));
/// let pipeline = Pipeline::builder(store, handler, Verification::webhook_key("whk_demo_key"))
///     .with_observer(observers)
///     .start()?;
/// health.set_monitor(pipeline.monitor());
/// assert!(health.is_live() && health.is_ready().await);
/// // First at a stop, so that a load balancer sends no more callbacks.
/// health.set_stopping();
/// assert!(!health.is_ready().await);
/// # pipeline.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// A destination that is down does not make a process unready: callbacks are stored all the same.
#[derive(Debug)]
pub struct Health {
    store: Arc<dyn IdempotencyStore>,
    monitor: OnceLock<PipelineMonitor>,
    is_stopping: AtomicBool,
    /// The time at which the last commit failed, unless one succeeded after it.
    commit_failed: StdMutex<Option<Instant>>,
    /// When the store was last asked to write, and whether it could. Held while it is asked, so that
    /// many probes at a time cost as much as one.
    written: Mutex<Option<(Instant, bool)>>,
}

/// The parts of the state, each with whether it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthReport {
    /// The name of each part and whether it is good.
    pub parts: Vec<(&'static str, bool)>,
}

impl HealthReport {
    /// Whether every part is good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.parts.iter().all(|(_, is_good)| *is_good)
    }

    /// Returns a line for each part, for people: `[+] dispatcher` or `[-] dispatcher`.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for (name, is_good) in &self.parts {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "[{}] {name}", if *is_good { '+' } else { '-' });
        }
        out
    }
}

impl Health {
    /// The time for which a failed commit makes the process unready, if no other commit succeeds.
    /// After that a write decides alone: a process that gets no callbacks could not recover
    /// otherwise.
    pub const COMMIT_FAILURE_COUNTS_FOR: Duration = Duration::from_secs(30);
    /// The time for which the result of a write is used again.
    pub const WRITTEN_FOR: Duration = Duration::from_secs(2);
    /// The time limit for a write.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(3);

    /// Creates the state of a store that no pipeline uses yet.
    #[must_use]
    pub fn new(store: Arc<dyn IdempotencyStore>) -> Self {
        Self {
            store,
            monitor: OnceLock::new(),
            is_stopping: AtomicBool::new(false),
            commit_failed: StdMutex::default(),
            written: Mutex::default(),
        }
    }

    /// Sets the monitor of the pipeline, once. Without one the process is live, and it is not ready.
    pub fn set_monitor(&self, monitor: PipelineMonitor) {
        let _ = self.monitor.set(monitor);
    }

    /// Makes the process unready for good. It stays live while it stops.
    pub fn set_stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Whether all loops take their turns. It does not touch the store.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live_report().is_good()
    }

    /// Returns the parts that [`is_live`](Self::is_live) looks at.
    #[must_use]
    pub fn live_report(&self) -> HealthReport {
        // At a stop the loops end one after the other.
        let is_stopping = self.is_stopping.load(Ordering::Relaxed);
        let parts = match self.monitor.get() {
            Some(monitor) if !is_stopping => monitor.parts().collect(),
            _ => Vec::new(),
        };
        HealthReport { parts }
    }

    /// Whether callbacks can be received: the loops work, the store can be written, and no stop has
    /// begun.
    pub async fn is_ready(&self) -> bool {
        self.ready_report().await.is_good()
    }

    /// Returns the parts that [`is_ready`](Self::is_ready) looks at.
    pub async fn ready_report(&self) -> HealthReport {
        let mut parts = self.live_report().parts;
        let is_started = self.monitor.get().is_some();
        let is_running = !self.is_stopping.load(Ordering::Relaxed);
        parts.push(("started", is_started));
        parts.push(("not stopping", is_running));
        parts.push(("commits", self.commits_succeed()));
        // At a stop the answer is known, and the store may be gone.
        if is_running {
            parts.push(("store", self.can_write().await));
        }
        HealthReport { parts }
    }

    fn commits_succeed(&self) -> bool {
        let failed = self.commit_failed.lock();
        let failed = *failed.unwrap_or_else(PoisonError::into_inner);
        failed.is_none_or(|at| at.elapsed() >= Self::COMMIT_FAILURE_COUNTS_FOR)
    }

    async fn can_write(&self) -> bool {
        let mut written = self.written.lock().await;
        if let Some((at, could)) = *written
            && at.elapsed() < Self::WRITTEN_FOR
        {
            return could;
        }
        // Nobody submits under this id: ids are random.
        let nothing = SubmitId::from_bytes([0; 16]);
        let writing = timeout(Self::WRITE_TIMEOUT, self.store.withdraw(nothing));
        let could = matches!(writing.await, Ok(Ok(())));
        *written = Some((Instant::now(), could));
        could
    }
}

impl Observer for Health {
    fn on_commit(&self, commit: &CommitReport) {
        // A store that refuses one delivery still stores the others.
        let has_failed = commit.stored == 0 && commit.deliveries > 0;
        let failed = self.commit_failed.lock();
        *failed.unwrap_or_else(PoisonError::into_inner) = has_failed.then(Instant::now);
    }
}
