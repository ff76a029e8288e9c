//! The history of a run, entry by entry, and the coverage of many runs.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use suno_callback::*;

use crate::plan::{Body, FaultKind, Key, Millis};

/// A process: its node, and the number of earlier starts of the node.
pub(crate) type Process = (usize, u32);

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) at: Millis,
    pub(crate) by: Option<Process>,
    pub(crate) what: What,
}

#[derive(Debug)]
#[expect(dead_code, reason = "some fields are only for readers of a trace")]
pub(crate) enum What {
    Submitted(usize),
    Sent(Key, Body, usize),
    /// The hash of its body, and the status of the response, or 0.
    Answered(u64, u16),

    // Operations of the store, at the time they are carried out.
    /// The key and the number of results, unless it could not be decoded, the hash of the body, and
    /// whether it is unconfirmed.
    Accepted(Option<(Key, u16)>, u64, bool, Acceptance),
    /// Whether the claim was already granted to the same request.
    Granted(Claim, bool),
    /// The end of a request that was granted claims.
    Claimed,
    Settled(Ticket, Settlement, SettleResult),
    /// Whether the claim is extended to this duration from now.
    Extended(Ticket, Millis, bool),
    Redriven(EventId, Redrive, RedriveResult),
    Decided(Key, Decision),
    Purged(u64, u64),
    Intended(usize),
    Expected(usize),
    Postponed(usize, Millis),
    State(EventId, Key, Shown),
    Gone(EventId),

    /// A handler, with the number of tracks that it is given.
    Begun(Ticket, Key, usize),
    Stepped(Ticket, Key),
    Ended(Ticket, Key, &'static str),
    Cancelled(Ticket, Key),
    /// A handler is notified of a dead letter, or of a task that is given up.
    ToldDead(EventId, DeadCause),
    ToldGivenUp(usize),

    Answers(usize, &'static str),

    Begins(FaultKind),
    Ends(FaultKind),
    OperationFails(&'static str, FaultKind),
    Started,
    Died(&'static str),
    Stopping,
    Logged(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) state: StateName,
    /// The time at which the state ends without an operation; otherwise 0.
    pub(crate) until: Millis,
    pub(crate) attempts: u32,
    pub(crate) lapses: u32,
    pub(crate) results: u16,
}

#[derive(Debug, Default)]
pub(crate) struct OperationOutcome {
    /// The row of the first broken promise, and what happened. The row is "Sound" if the run itself
    /// has failed.
    pub(crate) violation: Option<(&'static str, String)>,
    pub(crate) history: Vec<Entry>,
    pub(crate) coverage: Coverage,
}

impl OperationOutcome {
    /// Records a broken promise, unless another one was broken before.
    pub(crate) fn fail(&mut self, row: &'static str, text: impl Into<String>) {
        self.violation.get_or_insert_with(|| (row, text.into()));
    }

    pub(crate) fn row(&self) -> Option<&'static str> {
        self.violation.as_ref().map(|(row, _)| *row)
    }

    pub(crate) fn tail(&self, entries: usize) -> String {
        let from = self.history.len().saturating_sub(entries);
        let lines = self.history[from..].iter();
        lines.map(|entry| format!("  {entry}\n")).collect()
    }
}

impl fmt::Display for OperationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.violation {
            Some((row, text)) => write!(f, "{row}: {text}\n{}", self.tail(40)),
            None => write!(f, "kept every promise: {} entries", self.history.len()),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Duration::from_millis(self.at).as_secs_f64();
        let node = |(node, life)| format!("node {node}.{life}");
        let by = self.by.map_or("world".to_owned(), node);
        write!(f, "{at:>10.3} {by:<9} {:?}", self.what)
    }
}

/// Returns a hash that is the same in each run of a program.
pub(crate) fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Returns a number that depends only on a seed, a purpose and two counters: leaving out one item
/// of a plan does not change the others.
pub(crate) fn dice(seed: u64, purpose: &str, counters: [u64; 2]) -> u64 {
    let take = |hash: u64, byte: u8| mix(hash ^ u64::from(byte));
    let hash = purpose.bytes().fold(mix(seed), take);
    let count = |hash: u64, counter: u64| mix(hash ^ mix(counter.wrapping_add(1)));
    counters.into_iter().fold(hash, count)
}

fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The events that must occur in at least some of many runs.
pub(crate) const SOMETIMES: &str = "answer 200, accepted New, accepted Duplicate, \
    accepted Revised, \
    accepted Conflict, accepted Late, accepted Confirmed, accepted Quarantined, \
    claim after 0 lapses, claim after 1 lapses, claim after 2 lapses, claim repeated, \
    Done, Retry, Release, lost settlement, settled again, lost claim, \
    Cancelled, Died, Stopping, Begins Stall, Refuses, LosesAnswer, Hangs, CarriesOutLate, \
    provider away, provider running, provider ended, Decided Ready, ToldGivenUp, dead exhausted, \
    dead given_up, dead lapsed, Purged";

#[derive(Debug, Default)]
pub(crate) struct Coverage(pub(crate) BTreeMap<String, (u64, u64)>);

impl Coverage {
    pub(crate) fn count(&mut self, name: String) {
        self.0.entry(name).or_insert((0, 1)).0 += 1;
    }

    pub(crate) fn add(&mut self, run: Self) {
        for (name, (count, runs)) in run.0 {
            let sum = self.0.entry(name).or_default();
            *sum = (sum.0 + count, sum.1 + runs);
        }
    }

    /// Returns the events that occurred in too few of many runs: in fewer than five of a thousand.
    pub(crate) fn too_rare(&self, runs: u64) -> Vec<&'static str> {
        let in_runs = |name: &str| self.0.get(name).map_or(0, |(_, runs)| *runs);
        let names = SOMETIMES.split(", ");
        names.filter(|name| in_runs(name) * 200 < runs).collect()
    }
}

pub(crate) fn name(what: &What) -> String {
    let word = |debug: String| {
        let end = debug.find(['(', ' ']).unwrap_or(debug.len());
        debug[..end].to_owned()
    };
    match what {
        What::Answered(_, status) => format!("answer {status}"),
        What::Accepted(.., accepted) => format!("accepted {accepted:?}"),
        What::Granted(_, true) => "claim repeated".to_owned(),
        What::Granted(claim, _) => format!("claim after {} lapses", claim.lapses.min(2)),
        What::Settled(_, _, SettleResult::Lost) => "lost settlement".to_owned(),
        What::Settled(_, _, SettleResult::AlreadySettled) => "settled again".to_owned(),
        What::Settled(_, Settlement::Dead { cause, .. }, _) => format!("dead {cause}"),
        What::Settled(_, end, _) => word(format!("{end:?}")),
        What::Extended(_, _, false) => "lost claim".to_owned(),
        What::Decided(_, decision) => format!("Decided {decision:?}"),
        What::Redriven(_, _, redriven) => format!("Redriven {redriven:?}"),
        What::Answers(_, answer) => format!("provider {answer}"),
        What::OperationFails(_, kind) => word(format!("{kind:?}")),
        What::Begins(kind) => format!("Begins {}", word(format!("{kind:?}"))),
        what => word(format!("{what:?}")),
    }
}
