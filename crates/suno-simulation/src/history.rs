//! What happened in a run, entry by entry.

use std::fmt;
use std::hash::{Hash, Hasher};

use suno_callback::{Accepted, DeadCause, Decision, Redriven, Settled, StateName};

use crate::plan::{Body, Millis, StageName};

/// Something that happened.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Entry {
    pub(crate) at: Millis,
    /// The node, and how often it had been started. `None`: the world.
    pub(crate) by: Option<(usize, u32)>,
    pub(crate) what: What,
}

/// The number of an event in its store.
pub(crate) type EventNumber = i64;

/// One claim of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    pub(crate) event: EventNumber,
    pub(crate) epoch: u32,
    pub(crate) worker: u64,
}

impl Ticket {
    pub(crate) fn of(ticket: &suno_callback::Ticket) -> Self {
        Self {
            event: ticket.event.0,
            epoch: ticket.epoch,
            worker: ticket.worker.0,
        }
    }
}

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Done,
    Retry(Millis),
    Dead(DeadCause),
    Release,
}

/// The state of an event as the store shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shown {
    pub(crate) state: StateName,
    /// When the state ends by itself, or has ended; otherwise 0.
    pub(crate) until: Millis,
    pub(crate) attempts: u32,
    pub(crate) lapses: u32,
    pub(crate) unconfirmed: bool,
}

/// A claim that was granted.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Grant {
    pub(crate) ticket: Ticket,
    pub(crate) task: usize,
    pub(crate) stage: StageName,
    pub(crate) attempt: u32,
    pub(crate) lapses: u32,
    pub(crate) holds_for: Millis,
    pub(crate) age: Millis,
    /// It was granted before, to the same request.
    pub(crate) is_repeated: bool,
}

/// What happened.
#[derive(Debug, Clone, Hash)]
pub(crate) enum What {
    Submitted {
        task: usize,
    },
    Sent {
        delivery: u64,
        task: usize,
        stage: StageName,
        body: Body,
    },
    Answered {
        delivery: u64,
        body: u64,
        status: u16,
    },

    // Operations of the store, when they are carried out.
    Accepted {
        task: Option<usize>,
        stage: Option<StageName>,
        body: u64,
        unconfirmed: bool,
        accepted: Accepted,
    },
    Granted(Grant),
    Claimed {
        wanted: usize,
        granted: usize,
        more: bool,
        suspected: bool,
    },
    Settled {
        ticket: Ticket,
        end: End,
        settled: Settled,
    },
    Extended {
        ticket: Ticket,
        lease: Millis,
        is_extended: bool,
    },
    Redriven {
        event: EventNumber,
        even_if_superseded: bool,
        redriven: Redriven,
    },
    Decided {
        task: usize,
        stage: StageName,
        decision: Decision,
    },
    Purged {
        keys_after: Millis,
        keys: u64,
        dead: u64,
    },
    Intended {
        task: usize,
    },
    Expected {
        task: usize,
    },
    Due {
        task: usize,
        epoch: u32,
        answers: u32,
    },
    Postponed {
        task: usize,
        after: Millis,
        is_answered: bool,
        held: bool,
    },
    Finished {
        task: usize,
        held: bool,
    },
    /// The state of an event has changed.
    State {
        event: EventNumber,
        task: usize,
        stage: StageName,
        shown: Shown,
    },
    /// The event is not stored any more.
    Gone {
        event: EventNumber,
    },

    // Handlers.
    Begun {
        ticket: Ticket,
        task: usize,
        stage: StageName,
    },
    Stepped {
        ticket: Ticket,
        task: usize,
    },
    Ended {
        ticket: Ticket,
        task: usize,
        result: &'static str,
    },
    Cancelled {
        ticket: Ticket,
        task: usize,
    },
    ToldDead {
        event: EventNumber,
        cause: DeadCause,
    },
    ToldGivenUp {
        task: usize,
        age: Millis,
        answers: u32,
    },

    // The provider is asked.
    Asked {
        task: usize,
    },
    Answers {
        task: usize,
        answer: &'static str,
    },

    // Faults.
    Fault(usize),
    Healed(usize),
    CutOff,
    AllHealed,
    OperationFails {
        operation: &'static str,
        how: &'static str,
    },
    Started,
    Died(&'static str),
    Stopping,
    Stalled,
    Resumed,
    /// Something was logged at ERROR.
    Error(String),
}

/// What is promised; see the table in the documentation of the crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "it belongs to this crate and its command"
)]
#[expect(
    missing_docs,
    reason = "the table in the documentation of the crate says it"
)]
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
    /// A task panicked or span for ever.
    Sound,
}

/// A promise was not kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Violation {
    /// Which one.
    pub row: Row,
    /// What happened.
    pub text: String,
}

impl Violation {
    pub(crate) fn new(row: Row, text: impl Into<String>) -> Self {
        Self {
            row,
            text: text.into(),
        }
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
        entry.hash(&mut self.hash);
        self.entries.push(entry);
    }

    /// Equal histories have equal hashes.
    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// The last entries, one a line.
    pub(crate) fn tail(&self, entries: usize) -> String {
        let from = self.entries.len().saturating_sub(entries);
        self.entries[from..]
            .iter()
            .map(|entry| format!("  {entry}\n"))
            .collect()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at / 1_000;
        write!(f, "{:>6}.{:03} ", seconds, self.at % 1_000)?;
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

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The hash of a body.
pub(crate) fn hash_of(body: &[u8]) -> u64 {
    let mut hash = Fnv::default();
    hash.write(body);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_differ_by_what_happened_and_when() {
        let hash = |at, task| {
            let mut history = History::default();
            let what = What::Submitted { task };
            history.add(Entry { at, by: None, what });
            history.hash()
        };
        assert_eq!(hash(1, 2), hash(1, 2));
        assert_ne!(hash(1, 2), hash(2, 2));
        assert_ne!(hash(1, 2), hash(1, 3));
    }
}
