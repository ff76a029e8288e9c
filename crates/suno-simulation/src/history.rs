//! What happened in a run, entry by entry.

use std::fmt::{self, Write};

use suno_callback::{
    Accepted, Claim, DeadCause, Decision, EventId, Redrive, Redriven, Settled, Settlement,
    StateName, Ticket,
};

use crate::plan::{Body, FaultKind, Key, Millis};

/// A process: its node, and how often the node had been started before.
pub(crate) type Process = (usize, u32);

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Millis,
    /// The process that did it. `None`: the world.
    pub(crate) by: Option<Process>,
    pub(crate) what: What,
}

/// The state of an event as the store shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) state: StateName,
    /// When the state ends by itself, or has ended; otherwise 0.
    pub(crate) until: Millis,
    pub(crate) attempts: u32,
    pub(crate) lapses: u32,
    pub(crate) is_unconfirmed: bool,
}

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "some fields are for the readers of a trace only")]
pub(crate) enum What {
    /// The provider has made a task.
    Submitted(usize),
    /// A callback is sent for the so-manieth time.
    Sent(Key, Body, usize),
    /// The hash of its body, and the status of the answer, or 0.
    Answered(u64, u16),

    // Operations of the store, when they are carried out.
    Accepted(AcceptedDelivery),
    /// True if the claim was granted before, to the same request.
    Granted(Claim, bool),
    /// The end of a request that was granted something.
    Claimed,
    Settled(Ticket, Settlement, Settled),
    /// Whether the claim holds for so long from now on.
    Extended(Ticket, Millis, bool),
    Redriven(EventId, Redrive, Redriven),
    Decided(Key, Decision),
    /// How many keys and dead letters are forgotten.
    Purged(u64, u64),
    Intended(usize),
    Expected(usize),
    /// A task is due that was answered so often.
    Due(usize, u32),
    Postponed(usize, Millis),
    Finished(usize),
    /// The state of an event has changed.
    State(EventId, Key, Shown),
    /// The event is not stored any more.
    Gone(EventId),

    // Handlers.
    Begun(Ticket, Key),
    Stepped(Ticket),
    Ended(Ticket, &'static str),
    Cancelled(Ticket),
    /// A handler is told of a dead letter, and of a task that is given up.
    ToldDead(EventId, DeadCause),
    ToldGivenUp(usize),

    // The provider is asked about a task.
    Asked(usize),
    Answers(usize, Answer),

    // Faults.
    Begins(FaultKind),
    Ends(FaultKind),
    AllHealed,
    /// The name of the operation, and how it fails.
    OperationFails(&'static str, &'static str),
    Started,
    Died(&'static str),
    Stopping,
    /// Something was logged at ERROR.
    Error(String),
}

#[derive(Debug, Clone)]
pub(crate) struct AcceptedDelivery {
    /// `None` if it was not understood.
    pub(crate) key: Option<Key>,
    /// The hash of its body.
    pub(crate) body: u64,
    pub(crate) is_unconfirmed: bool,
    pub(crate) accepted: Accepted,
}

/// What the provider answers about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Unknown,
    Running,
    Ended,
    /// It fails, or never answers.
    Away,
}

/// The promises; see the table in the documentation of the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the documentation of the crate has them")]
pub enum Row {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    E1,
    E2,
    E3,
    E4,
    E5,
    E6,
    E7,
    /// No task panics or spins, and the run can be done and repeated.
    Sound,
}

/// A promise that was not kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Violation {
    /// Which promise.
    pub row: Row,
    /// What happened.
    pub text: String,
}

impl Violation {
    pub(crate) fn sound(text: impl Into<String>) -> Self {
        let (row, text) = (Row::Sound, text.into());
        Self { row, text }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.row, self.text)
    }
}

/// The entries, and a hash of them.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) entries: Vec<Entry>,
    hash: Fnv,
}

impl History {
    pub(crate) fn add(&mut self, entry: Entry) {
        // A hash accepts every text.
        let _ = write!(self.hash, "{entry}");
        self.entries.push(entry);
    }

    /// A number that is the same for equal histories.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.0
    }

    /// The last entries, one a line.
    pub(crate) fn tail(&self, entries: usize) -> String {
        let from = self.entries.len().saturating_sub(entries);
        let lines = self.entries[from..].iter();
        lines.map(|entry| format!("  {entry}\n")).collect()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>6}.{:03} ", self.at / 1_000, self.at % 1_000)?;
        match self.by {
            Some((node, life)) => write!(f, "node {node}.{life}  ")?,
            None => f.write_str("world     ")?,
        }
        write!(f, "{:?}", self.what)
    }
}

/// A hash that is the same in every run and version.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// The hash of a body.
pub(crate) fn hash_of(body: &[u8]) -> u64 {
    let mut hash = Fnv::default();
    let _ = hash.write_str(&String::from_utf8_lossy(body));
    hash.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_differ_by_what_happened_and_when() {
        let hash = |at, task| {
            let mut history = History::default();
            let what = What::Submitted(task);
            history.add(Entry { at, by: None, what });
            history.hash()
        };
        assert_eq!(hash(1, 2), hash(1, 2));
        assert_ne!(hash(1, 2), hash(2, 2));
        assert_ne!(hash(1, 2), hash(1, 3));
    }
}
