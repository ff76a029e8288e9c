//! Faults of the exchanges that a client begins: submits, polls and downloads.

use std::collections::{HashMap, VecDeque};

use crate::profile::Refusal;

/// What goes wrong when a client asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExchangeFaults {
    /// How submits that are the same are answered, one fault after the other, and each for how
    /// many of them; `None` for all that follow.
    pub(crate) submits: Vec<(SubmitFault, Option<u32>)>,
    /// How long the answer to the submit is held back, in real time.
    pub(crate) answer_delay_ms: u64,
    /// How polls are answered, one fault after the other, and how many by each.
    pub(crate) polls: Vec<(PollFault, u32)>,
    /// How downloads go wrong, and how many.
    pub(crate) media: Option<(MediaFault, u32)>,
}

/// How a submit is answered wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubmitFault {
    /// An envelope with HTTP 200; nothing is done.
    Refuse(Refusal),
    /// An envelope with this HTTP status; nothing is done.
    Status(u16),
    /// A page with HTTP 502, whether the task was taken or not.
    Html { is_taken: bool },
    /// The task is taken, and the connection closed.
    Cut,
}

/// How a poll is answered wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollFault {
    Html,
    RateLimited,
    Cut,
    /// The answer is held back for so long, in real time, and then tells what was so before.
    Slow {
        delay_ms: u64,
    },
}

/// How a download goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaFault {
    EmptyStream,
    EmptyAudio,
    Cut,
    Missing,
    NoRanges,
}

/// A fault that lasts for a number of times.
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

    /// The fault, if it lasts, which makes it last once less.
    pub(crate) fn take(&mut self) -> Option<F> {
        self.left = self.left.checked_sub(1)?;
        Some(self.fault)
    }
}

impl ExchangeFaults {
    /// What happens to a submit before which so many came that are the same.
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

/// How many different submits are remembered.
const COUNTED_MAX: usize = 65_536;

/// How often submits came that are the same, so that a fault can end after some times. A submit is
/// known by a number that is made from its text.
#[derive(Debug, Default)]
pub(crate) struct SubmitCounts {
    counts: HashMap<u64, u32>,
    oldest_first: VecDeque<u64>,
}

impl SubmitCounts {
    /// Counts a submit, and says how many came before it that are the same.
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
