//! Faults of requests: submits, polls and downloads.

use std::collections::{HashMap, VecDeque};

use crate::profile::Refusal;

/// The faults of the requests about a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExchangeFaults {
    /// The faults of equal submits, in order, each with the number of submits it applies to; `None`
    /// for all that follow.
    pub(crate) submits: Vec<(SubmitFault, Option<u32>)>,
    /// The delay of the answer to the submit, in real time.
    pub(crate) answer_delay_ms: u64,
    /// The faults of polls, in order, each with the number of polls it applies to.
    pub(crate) polls: Vec<(PollFault, u32)>,
    /// The fault of downloads, and the number of downloads it applies to.
    pub(crate) media: Option<(MediaFault, u32)>,
}

/// A fault of a submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubmitFault {
    /// The submit is refused by an envelope with HTTP 200.
    Refuse(Refusal),
    /// The submit is refused by an envelope with this HTTP status.
    Status(u16),
    /// The answer is an HTML page with HTTP 502, whether a task was created or not.
    Html { is_taken: bool },
    /// A task is created, and the connection is closed without an answer.
    Cut,
}

/// A fault of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollFault {
    Html,
    RateLimited,
    Cut,
    /// The answer is delayed in real time, and shows the state from before the delay.
    Slow {
        delay_ms: u64,
    },
}

/// A fault of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaFault {
    EmptyStream,
    EmptyAudio,
    Cut,
    Missing,
    NoRanges,
}

/// A fault that applies a limited number of times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedFault<F> {
    fault: F,
    left: u32,
}

impl<F: Copy> CountedFault<F> {
    pub(crate) fn new((fault, times): (F, u32)) -> Self {
        Self { fault, left: times }
    }

    pub(crate) fn fault(&self) -> Option<F> {
        (self.left > 0).then_some(self.fault)
    }

    /// Returns the fault and uses it up once. Returns `None` if it is used up.
    pub(crate) fn take(&mut self) -> Option<F> {
        self.left = self.left.checked_sub(1)?;
        Some(self.fault)
    }
}

impl ExchangeFaults {
    /// Returns the fault of a submit that follows `before` equal ones.
    pub(crate) fn of_submit(&self, before: u32) -> Option<&SubmitFault> {
        let mut before = before;
        for (fault, times) in &self.submits {
            match times {
                Some(times) if *times <= before => before -= times,
                _ => return Some(fault),
            }
        }
        None
    }
}

/// The maximum number of different submits that are counted.
const COUNTED_MAX: usize = 65_536;

/// The number of times that each submit was sent, so that a fault can end after some of them. A
/// submit is identified by a hash of its text.
#[derive(Debug, Default)]
pub(crate) struct SubmitCounts {
    counts: HashMap<u64, u32>,
    oldest_first: VecDeque<u64>,
}

impl SubmitCounts {
    /// Counts a submit and returns the number of equal ones before it.
    pub(crate) fn count(&mut self, submit: u64) -> u32 {
        if !self.counts.contains_key(&submit) {
            if self.oldest_first.len() >= COUNTED_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.counts.remove(&oldest);
            }
            self.oldest_first.push_back(submit);
        }
        let count = self.counts.entry(submit).or_default();
        let before = *count;
        *count = count.saturating_add(1);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNTED_MAX, ExchangeFaults, SubmitCounts, SubmitFault};

    #[test]
    fn submits_are_counted_and_the_longest_known_one_is_forgotten_first() {
        let mut submit_counts = SubmitCounts::default();
        assert_eq!([(); 3].map(|()| submit_counts.count(0)), [0, 1, 2]);
        for submit in 1..COUNTED_MAX as u64 {
            assert_eq!(submit_counts.count(submit), 0);
        }
        assert_eq!(submit_counts.count(0), 3, "it is still known");
        assert_eq!(submit_counts.count(u64::MAX), 0);
        assert_eq!(submit_counts.counts.len(), COUNTED_MAX);
        assert_eq!(submit_counts.count(0), 0, "it made room for another");
    }

    #[test]
    fn faults_of_submits_follow_each_other() {
        let html = SubmitFault::Html { is_taken: false };
        let faults = |last| ExchangeFaults {
            submits: vec![(html.clone(), Some(2)), (SubmitFault::Cut, last)],
            ..ExchangeFaults::default()
        };
        let seen = [0, 1, 2, 3].map(|before| faults(Some(1)).of_submit(before).cloned());
        let expected = [
            Some(html.clone()),
            Some(html.clone()),
            Some(SubmitFault::Cut),
            None,
        ];
        assert_eq!(seen, expected);
        assert_eq!(faults(None).of_submit(9), Some(&SubmitFault::Cut));
    }
}
