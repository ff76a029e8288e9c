//! What runs in the background until it is stopped.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::simulation;

/// A dispatcher or a retention at work. Dropping it stops it without waiting.
#[derive(Debug)]
#[must_use = "dropping it stops what was started"]
pub struct Running {
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Starts a task on the current tokio runtime. The receiver that it is given changes once: at
    /// the stop, when its sender is dropped.
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

    /// Stops it, and waits for what it had begun.
    pub async fn stop(self) {
        drop(self.stop);
        if let Err(err) = self.task.await {
            tracing::error!(%err, "a background task ended unexpectedly");
        }
    }
}
