//! The futures that one emulator runs in the background. They end with the emulator.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::rt::Executor;
use tokio::task::JoinSet;

/// A set of background tasks that are aborted together.
#[derive(Clone, Debug, Default)]
pub(crate) struct BackgroundTasks(Arc<Mutex<BackgroundState>>);

#[derive(Debug, Default)]
struct BackgroundState {
    tasks: JoinSet<()>,
    is_closed: bool,
}

impl BackgroundTasks {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.lock();
        while let Some(ended) = state.tasks.try_join_next() {
            if ended.is_err_and(|err| err.is_panic()) {
                tracing::error!("a task of the emulator panicked");
            }
        }
        if !state.is_closed {
            state.tasks.spawn(task);
        }
    }

    /// Aborts all tasks. Later calls of `spawn` do nothing.
    pub(crate) fn close(&self) -> JoinSet<()> {
        let mut state = self.lock();
        state.is_closed = true;
        state.tasks.abort_all();
        std::mem::take(&mut state.tasks)
    }

    fn lock(&self) -> MutexGuard<'_, BackgroundState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for BackgroundTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(async {
            future.await;
        });
    }
}
