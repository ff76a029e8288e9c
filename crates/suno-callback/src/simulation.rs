//! Lets a simulated world decide when the tasks of this crate take their steps. Without the feature
//! `simulation` it has no cost: a task is spawned unchanged.

use std::future::Future;

use tokio::task::JoinHandle;

/// Spawns a task on the current tokio runtime. It belongs to the same simulated process as its
/// parent.
pub(crate) fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(gated(task))
}

/// Wraps a task for spawning.
#[cfg(not(feature = "simulation"))]
pub(crate) fn gated<F>(task: F) -> F {
    task
}

/// A bug that a simulation injects, to check that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    not(feature = "simulation"),
    expect(unreachable_pub, reason = "only a simulation names it")
)]
#[non_exhaustive]
pub enum Mutation {
    /// After a claim that granted something, no event is claimed for a third of a lease or until a
    /// handler ends.
    OneClaimPerTurn,
    /// Handlers continue after their lease has ended, and start beside another one for the same
    /// event.
    RunsWithoutLease,
    /// The wait that the provider asks for is obeyed, however long it is.
    UnboundedWait,
    /// An event becomes a dead letter after ten attempts, and stays one when it is confirmed.
    TenAttempts,
    /// The store in memory grants ready events in the order of their numbers.
    GrantsByNumber,
    /// Suspected events are not claimed alone.
    SuspectsTogether,
    /// A task is given up because of its age alone.
    GivenUpByAge,
    /// A revision is handled whatever was handled before.
    HandlesEveryRevision,
    /// A delivery that says more is a conflict.
    SeesNoRevisions,
}

/// Whether a simulation has injected the bug.
#[cfg(not(feature = "simulation"))]
pub(crate) const fn mutated(_: Mutation) -> bool {
    false
}

#[cfg(feature = "simulation")]
pub use world::{Gate, enter, mutate};
#[cfg(feature = "simulation")]
pub(crate) use world::{gated, mutated};

#[cfg(feature = "simulation")]
mod world {
    use std::cell::{Cell, RefCell};
    use std::fmt;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use super::Mutation;

    thread_local! {
        static MUTATIONS: Cell<u32> = const { Cell::new(0) };
        static CURRENT: RefCell<Option<Arc<dyn Gate>>> = const { RefCell::new(None) };
    }

    /// A simulated process, which decides when its tasks may continue.
    pub trait Gate: fmt::Debug + Send + Sync {
        /// Ready if the task that asks may take a step now. Never ready once the process is dead.
        fn poll_step(&self, cx: &mut Context<'_>) -> Poll<()>;
    }

    /// Makes the task belong to a process, together with all tasks that it spawns.
    pub fn enter<F: Future>(gate: Arc<dyn Gate>, task: F) -> impl Future<Output = F::Output> {
        Gated {
            gate: Some(gate),
            task: Box::pin(task),
        }
    }

    /// Injects exactly these bugs on this thread.
    pub fn mutate(mutations: &[Mutation]) {
        let bits = mutations.iter().map(|mutation| 1 << *mutation as u32);
        MUTATIONS.set(bits.sum());
    }

    pub(crate) fn mutated(mutation: Mutation) -> bool {
        MUTATIONS.get() & (1 << mutation as u32) != 0
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
