//! A task as the provider keeps it: with its rate limit, its faults, and where it is filed.

use std::collections::VecDeque;

use crate::fault::exchange::{CountedFault, ExchangeFaults, MediaFault, PollFault};
use crate::provider::limits::RateLimit;
use crate::task::Task;

/// A task that is kept.
#[derive(Debug)]
pub(super) struct TaskEntry {
    pub(super) task: Task,
    /// Whether it is in the list of finished tasks.
    pub(super) is_listed_as_finished: bool,
    /// The timestamp that was signed last, which a forged callback copies.
    pub(super) signed_at_seconds: Option<u64>,
    pub(super) polls: RateLimit,
    /// What goes wrong with polls, one after the other.
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

    /// What goes wrong with a poll, which makes it go wrong once less.
    pub(super) fn take_poll_fault(&mut self) -> Option<PollFault> {
        loop {
            if let Some(fault) = self.poll_faults.front_mut()?.take() {
                return Some(fault);
            }
            self.poll_faults.pop_front();
        }
    }

    /// What goes wrong with a download, which may make it go wrong once less.
    pub(super) fn take_download_fault(&mut self) -> Option<MediaFault> {
        let lasting = self.media_fault.as_mut()?;
        if lasting.fault()? == MediaFault::EmptyStream {
            None
        } else {
            lasting.take()
        }
    }

    /// What goes wrong with a stream.
    pub(super) fn stream_fault(&self) -> Option<MediaFault> {
        let fault = self.media_fault.as_ref()?.fault()?;
        (fault == MediaFault::EmptyStream).then_some(fault)
    }
}
