//! Handles for background tasks that run until they are stopped.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::simulation;

/// A running background task, such as a dispatcher, a reconciler or a retention. Dropping it
/// stops the task without waiting.
#[derive(Debug)]
#[must_use = "dropping it stops the background task"]
pub struct BackgroundTask {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
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
