//! The operations of a sequence.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::super::scene::dead;
use crate::store::{Redrive, Settlement};

pub(super) const TASKS: [&str; 3] = ["a", "b", "c"];
pub(super) const WORDS: [&str; 5] = ["text", "first", "complete", "failed", "mixed"];

#[derive(Debug, Clone)]
pub(super) enum Operation {
    Accept {
        task: usize,
        word: usize,
        said: Said,
        unconfirmed: bool,
        /// The ticket that it names.
        claim: Option<Index>,
    },
    /// A worker settles some of its tickets, and claims.
    Claim {
        worker: u64,
        events_max: usize,
        is_running: bool,
        settlements: Vec<(Index, How)>,
    },
    /// A worker sends its last request again.
    Repeat {
        worker: u64,
    },
    Extend {
        ticket: Index,
        seconds: u64,
    },
    Redrive {
        event: Index,
        redrive: Redrive,
    },
    Decide {
        task: usize,
        word: usize,
    },
    Expect {
        task: usize,
        seconds: u64,
    },
    /// Takes the due tasks, and does the same with each of them.
    Poll {
        polled: Polled,
    },
    Pass {
        seconds: u64,
    },
}

/// What follows a request about a due task.
#[derive(Debug, Clone, Copy)]
pub(super) enum Polled {
    /// Nothing, as after the end of the process.
    Nothing,
    Postponed {
        seconds: u64,
        is_answered: bool,
    },
    Finished,
}

/// What a delivery says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) duration: u32,
    pub(super) results: u16,
}

/// The way in which a claim is settled.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Done,
    Retry { seconds: u64 },
    Dead,
    Release,
}

impl How {
    pub(super) fn settlement(self) -> Settlement {
        match self {
            Self::Done => Settlement::Done,
            Self::Retry { seconds } => Settlement::Retry {
                after: Duration::from_secs(seconds),
                reason: "no luck".to_owned(),
            },
            Self::Dead => dead(),
            Self::Release => Settlement::Release,
        }
    }
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        3 => Just(How::Done),
        3 => (0..90_u64).prop_map(|seconds| How::Retry { seconds }),
        1 => Just(How::Dead),
        1 => Just(How::Release),
    ]
}

fn claim() -> impl Strategy<Value = Operation> {
    let settlements = vec((any::<Index>(), how()), 0..3);
    (1..3_u64, 0..4_usize, any::<bool>(), settlements).prop_map(
        |(worker, events_max, is_running, settlements)| Operation::Claim {
            worker,
            events_max,
            is_running,
            settlements,
        },
    )
}

fn accept() -> impl Strategy<Value = Operation> {
    let unconfirmed = prop::bool::weighted(0.4);
    // Fewer different contents than an event keeps conflicts.
    let said = (0..2_u32, 1..8_u16).prop_map(|(duration, results)| Said { duration, results });
    let claim = prop::option::weighted(0.2, any::<Index>());
    (0..TASKS.len(), 0..WORDS.len(), said, unconfirmed, claim).prop_map(
        |(task, word, said, unconfirmed, claim)| Operation::Accept {
            task,
            word,
            said,
            unconfirmed,
            claim,
        },
    )
}

fn polled() -> impl Strategy<Value = Polled> {
    let postponed = (0..90_u64, any::<bool>());
    prop_oneof![
        1 => Just(Polled::Nothing),
        3 => postponed.prop_map(|(seconds, is_answered)| Polled::Postponed { seconds, is_answered }),
        1 => Just(Polled::Finished),
    ]
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    let redrive = prop_oneof![Just(Redrive::Current), Just(Redrive::EvenIfSuperseded)];
    prop_oneof![
        8 => accept(),
        8 => claim(),
        2 => (1..3_u64).prop_map(|worker| Operation::Repeat { worker }),
        1 => (any::<Index>(), 1..90_u64)
            .prop_map(|(ticket, seconds)| Operation::Extend { ticket, seconds }),
        1 => (any::<Index>(), redrive)
            .prop_map(|(event, redrive)| Operation::Redrive { event, redrive }),
        1 => (0..TASKS.len(), 2..4_usize).prop_map(|(task, word)| Operation::Decide { task, word }),
        2 => (0..TASKS.len(), 0..90_u64)
            .prop_map(|(task, seconds)| Operation::Expect { task, seconds }),
        2 => polled().prop_map(|polled| Operation::Poll { polled }),
        3 => (1..90_u64).prop_map(|seconds| Operation::Pass { seconds }),
    ]
}
