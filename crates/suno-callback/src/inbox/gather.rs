//! Gathers deliveries into batches. Several batches can be committed at the same time.

use std::collections::{HashSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use suno_types::TaskId;

use super::Waiting;

/// Deliveries that wait, and the tasks that are in a commit.
///
/// Deliveries of one task are never in two commits at the same time: the order in which the store
/// gets them would be left to chance, and the second commit would only wait for the first.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    waiting: VecDeque<Waiting>,
    busy: HashSet<TaskId>,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn extend(&mut self, waiting: impl IntoIterator<Item = Waiting>) {
        self.waiting.extend(waiting);
    }

    /// Takes the deliveries of tasks that are in no commit, at most this many, in their order.
    pub(super) fn next_batch(&mut self, batch_max: usize) -> Vec<Waiting> {
        if self.busy.is_empty() && self.waiting.len() <= batch_max {
            return self.waiting.drain(..).collect();
        }
        let (mut batch, mut held) = (Vec::new(), VecDeque::new());
        for waiting in self.waiting.drain(..) {
            let task = waiting.delivery.task_id();
            let is_busy = task.is_some_and(|task| self.busy.contains(task));
            if is_busy || batch.len() == batch_max {
                held.push_back(waiting);
            } else {
                batch.push(waiting);
            }
        }
        self.waiting = held;
        batch
    }

    /// Keeps these tasks out of further batches, until they are released.
    pub(super) fn hold(&mut self, tasks: &[TaskId]) {
        self.busy.extend(tasks.iter().cloned());
    }

    pub(super) fn release(&mut self, tasks: Vec<TaskId>) {
        for task in tasks {
            self.busy.remove(&task);
        }
    }
}

/// Futures that run at the same time, within the task that waits for them.
pub(super) struct Running<F>(Vec<Pin<Box<F>>>);

impl<F> Default for Running<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F: Future> Running<F> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, future: F) {
        self.0.push(Box::pin(future));
    }

    /// Waits until one of them has ended. Never returns if there is none.
    pub(super) async fn next(&mut self) -> F::Output {
        poll_fn(|cx| {
            for (place, future) in self.0.iter_mut().enumerate() {
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    drop(self.0.swap_remove(place));
                    return Poll::Ready(output);
                }
            }
            Poll::Pending
        })
        .await
    }
}
