//! The asynchronous tasks of one emulator: none outlives it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::rt::Executor;
use tokio::task::JoinSet;

/// A set of tasks that end together.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskSet(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    tasks: JoinSet<()>,
    closed: bool,
}

impl TaskSet {
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.lock();
        while let Some(ended) = running.tasks.try_join_next() {
            if ended.is_err_and(|err| err.is_panic()) {
                tracing::error!("a task of the emulator panicked");
            }
        }
        if !running.closed {
            running.tasks.spawn(task);
        }
    }

    /// Ends all tasks; new ones are not begun.
    pub(crate) fn close(&self) -> JoinSet<()> {
        let mut running = self.lock();
        running.closed = true;
        running.tasks.abort_all();
        std::mem::take(&mut running.tasks)
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Executor<F> for TaskSet
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
