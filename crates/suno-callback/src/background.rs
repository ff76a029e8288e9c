//! Handles for background tasks that run until they are stopped.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::simulation;

/// A running background task, such as a dispatcher, a reconciler or a retention. Dropping it
/// stops the task without waiting.
#[derive(Debug)]
#[must_use = "dropping it stops the background task"]
pub struct BackgroundTask {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
    pulse: Option<Arc<Pulse>>,
}

/// Tells whether a [`BackgroundTask`] still does its work. It does not keep the task running.
#[derive(Debug, Clone)]
pub struct TaskMonitor {
    task: AbortHandle,
    pulse: Option<Arc<Pulse>>,
}

/// The time at which a loop last began a turn.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    /// Milliseconds after `started`.
    beaten: AtomicU64,
    /// The maximum time between two turns.
    turn_max: Duration,
}

impl BackgroundTask {
    /// Starts a task on the current tokio runtime. Its receiver changes once: at the stop, when
    /// the sender is dropped.
    pub(crate) fn start<T>(task: impl FnOnce(watch::Receiver<()>) -> T) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(());
        Self {
            stop,
            task: simulation::spawn(task(stopped)),
            pulse: None,
        }
    }

    /// Like [`start`](Self::start), for a loop that beats the pulse at each turn, and begins one at least
    /// every `turn_max`.
    pub(crate) fn start_beating<T>(
        turn_max: Duration,
        task: impl FnOnce(watch::Receiver<()>, Arc<Pulse>) -> T,
    ) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let pulse = Arc::new(Pulse::new(turn_max));
        let started = Self::start(|stopped| task(stopped, pulse.clone()));
        Self {
            pulse: Some(pulse),
            ..started
        }
    }

    /// Whether the task still does its work; see [`TaskMonitor::is_running`].
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.monitor().is_running()
    }

    /// Returns a monitor of the task, for a health check.
    #[must_use]
    pub fn monitor(&self) -> TaskMonitor {
        TaskMonitor {
            task: self.task.abort_handle(),
            pulse: self.pulse.clone(),
        }
    }

    /// Stops the task, and waits for the work that it had begun.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(err) = self.task.await {
            tracing::error!(%err, "a background task ended unexpectedly");
        }
    }
}

impl TaskMonitor {
    /// Returns false if the task has ended, was stopped, or panicked, and also if its loop has not
    /// begun a turn for `Dispatcher::TURN_MAX`: then it is blocked.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let is_beating = |pulse: &Arc<Pulse>| pulse.age() <= pulse.turn_max;
        !self.task.is_finished() && self.pulse.as_ref().is_none_or(is_beating)
    }
}

impl Pulse {
    fn new(turn_max: Duration) -> Self {
        Self {
            started: Instant::now(),
            beaten: AtomicU64::new(0),
            turn_max,
        }
    }

    /// Notes that a turn begins now.
    pub(crate) fn beat(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beaten.store(millis, Ordering::Relaxed);
    }

    /// Returns the time since the last beat.
    fn age(&self) -> Duration {
        let beaten = Duration::from_millis(self.beaten.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(beaten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN_MAX: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_ended_or_does_not_turn_is_not_running() {
        let ended = BackgroundTask::start(|_| async {});
        assert!(ended.is_running());
        tokio::task::yield_now().await;
        assert!(!ended.is_running());
        let (turn, mut turns) = tokio::sync::mpsc::unbounded_channel();
        let blocked = BackgroundTask::start_beating(TURN_MAX, |_, pulse| async move {
            while turns.recv().await.is_some() {
                pulse.beat();
            }
        });
        let monitor = blocked.monitor();
        tokio::time::advance(TURN_MAX).await;
        assert!(monitor.is_running());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!monitor.is_running());
        turn.send(()).unwrap();
        tokio::task::yield_now().await;
        assert!(monitor.is_running());
    }
}
