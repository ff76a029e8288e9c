//! How a simulated world decides when the tasks of this crate take their steps. Without the feature
//! `simulation` it costs nothing: a task is what it was.

use std::future::Future;

use tokio::task::JoinHandle;

/// Spawns a task on the current tokio runtime, which belongs to the same simulated process as the one
/// that spawns it.
pub(crate) fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(gated(task))
}

/// The task as it is to be spawned.
#[cfg(not(feature = "simulation"))]
pub(crate) fn gated<F>(task: F) -> F {
    task
}

#[cfg(feature = "simulation")]
pub(crate) use world::gated;
#[cfg(feature = "simulation")]
pub use world::{Gate, enter};

#[cfg(feature = "simulation")]
mod world {
    use std::cell::RefCell;
    use std::fmt;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    thread_local! {
        static CURRENT: RefCell<Option<Arc<dyn Gate>>> = const { RefCell::new(None) };
    }

    /// A simulated process, which decides when its tasks may go on.
    pub trait Gate: fmt::Debug + Send + Sync {
        /// Ready if the task that asks may take a step now. Never, once the process is dead.
        fn poll_step(&self, cx: &mut Context<'_>) -> Poll<()>;
    }

    /// The task as one of a process: so are all tasks that it spawns.
    pub fn enter<F: Future>(gate: Arc<dyn Gate>, task: F) -> impl Future<Output = F::Output> {
        Gated {
            gate: Some(gate),
            task: Box::pin(task),
        }
    }

    pub(crate) fn gated<F: Future>(task: F) -> Gated<F> {
        Gated {
            gate: CURRENT.with_borrow(Clone::clone),
            task: Box::pin(task),
        }
    }

    pub(crate) struct Gated<F> {
        gate: Option<Arc<dyn Gate>>,
        task: Pin<Box<F>>,
    }

    impl<F: Future> Future for Gated<F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            if let Some(gate) = &self.gate {
                std::task::ready!(gate.poll_step(cx));
            }
            let outer = CURRENT.replace(self.gate.clone());
            let polled = self.task.as_mut().poll(cx);
            CURRENT.set(outer);
            polled
        }
    }
}
