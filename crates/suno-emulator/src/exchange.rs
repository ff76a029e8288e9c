//! Faults of the exchanges that a client begins: submits, polls and downloads.

use std::collections::{HashMap, VecDeque};

use crate::profile::Refusal;

/// What goes wrong when a client asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExchangeFaults {
    /// How the submit is answered, and for how many submits; `None` for all.
    pub(crate) submit: Option<(SubmitFault, Option<u32>)>,
    /// How long the answer to the submit is held back, in real time.
    pub(crate) answer_delay_ms: u64,
    /// How polls are answered, and how many.
    pub(crate) polls: Option<(PollFault, u32)>,
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
    Html { taken: bool },
    /// The task is taken, and the connection closed.
    Cut,
}

/// How a poll is answered wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollFault {
    Html,
    RateLimited,
    Cut,
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
pub(crate) struct Lasting<F> {
    fault: F,
    left: u32,
}

impl<F: Copy> Lasting<F> {
    pub(crate) fn new((fault, times): (F, u32)) -> Self {
        Self { fault, left: times }
    }

    pub(crate) fn fault(&self) -> Option<F> {
        (self.left > 0).then_some(self.fault)
    }

    /// The fault, if it lasts, which makes it last once less.
    pub(crate) fn strike(&mut self) -> Option<F> {
        self.left = self.left.checked_sub(1)?;
        Some(self.fault)
    }
}

/// How many different submits are remembered.
const REMEMBERED_MAX: usize = 1024;

/// How often a fault struck submits that are the same, so that it can end after some times.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    counts: HashMap<String, u32>,
    oldest_first: VecDeque<String>,
}

impl Strikes {
    /// Whether a fault that strikes so many times strikes once more.
    pub(crate) fn strike(&mut self, submit: &str, times: Option<u32>) -> bool {
        let Some(times) = times else { return true };
        if !self.counts.contains_key(submit) {
            if self.oldest_first.len() >= REMEMBERED_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.counts.remove(&oldest);
            }
            self.oldest_first.push_back(submit.to_owned());
        }
        let count = self.counts.entry(submit.to_owned()).or_default();
        let strikes = *count < times;
        *count = count.saturating_add(1);
        strikes
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED_MAX, Strikes};

    #[test]
    fn a_fault_strikes_so_many_times_and_the_longest_known_submit_is_forgotten_first() {
        let mut strikes = Strikes::default();
        let struck = [(); 3].map(|()| strikes.strike("one", Some(2)));
        assert_eq!(struck, [true, true, false]);
        for index in 0..REMEMBERED_MAX - 1 {
            assert!(strikes.strike(&index.to_string(), Some(1)));
        }
        assert!(!strikes.strike("one", Some(2)), "it is still known");
        assert!(strikes.strike("another", Some(1)));
        assert_eq!(strikes.counts.len(), REMEMBERED_MAX);
        assert!(strikes.strike("one", Some(2)), "it made room for another");
    }
}
