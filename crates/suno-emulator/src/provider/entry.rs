//! An entry of the provider's task list: a task with its rate limit and its faults.

use std::collections::VecDeque;

use crate::fault::exchange::{CountedFault, ExchangeFaults, MediaFault, PollFault};
use crate::provider::limits::RateLimit;
use crate::task::Task;

/// A task with the data that the provider keeps about it.
#[derive(Debug)]
pub(super) struct TaskEntry {
    pub(super) task: Task,
    /// Whether the task is in the list of finished tasks.
    pub(super) is_listed_as_finished: bool,
    /// The last signed timestamp, which a forged callback copies.
    pub(super) signed_at_seconds: Option<u64>,
    pub(super) polls: RateLimit,
    /// The faults of polls, in the order in which they apply.
    poll_faults: VecDeque<CountedFault<PollFault>>,
    media_fault: Option<CountedFault<MediaFault>>,
}

impl TaskEntry {
    pub(super) fn new(task: Task, faults: &ExchangeFaults) -> Self {
        Self {
            task,
            is_listed_as_finished: false,
            signed_at_seconds: None,
            polls: RateLimit::of_polls(),
            poll_faults: faults
                .polls
                .iter()
                .copied()
                .map(CountedFault::new)
                .collect(),
            media_fault: faults.media.map(CountedFault::new),
        }
    }

    /// Returns the fault of the next poll and uses it up once.
    pub(super) fn take_poll_fault(&mut self) -> Option<PollFault> {
        loop {
            if let Some(fault) = self.poll_faults.front_mut()?.take() {
                return Some(fault);
            }
            self.poll_faults.pop_front();
        }
    }

    /// Returns the fault of the next download and uses it up once.
    pub(super) fn take_download_fault(&mut self) -> Option<MediaFault> {
        let lasting = self.media_fault.as_mut()?;
        if lasting.fault()? == MediaFault::EmptyStream {
            None
        } else {
            lasting.take()
        }
    }

    /// Returns the fault of streams. It is never used up.
    pub(super) fn stream_fault(&self) -> Option<MediaFault> {
        let fault = self.media_fault.as_ref()?.fault()?;
        (fault == MediaFault::EmptyStream).then_some(fault)
    }
}
