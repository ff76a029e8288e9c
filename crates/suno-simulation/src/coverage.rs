//! What has happened at least once: how much the runs have tried.

use std::collections::BTreeMap;

use suno_callback::{Accepted, DeadCause, Decision, Settled};

use crate::history::{End, Entry, What};

/// Counters of one run, or of many.
#[derive(Debug, Default, Clone)]
pub(crate) struct Coverage {
    /// How often each has happened.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// In how many runs.
    pub(crate) runs: BTreeMap<&'static str, u64>,
    /// How often an exemption was made.
    pub(crate) exemptions: BTreeMap<&'static str, u64>,
}

/// What should happen in at least some of many runs.
pub(crate) const SOMETIMES: [&str; 30] = [
    "a 200",
    "a duplicate",
    "a conflict",
    "a late stage",
    "a confirmation",
    "a quarantine",
    "a retry",
    "a lapse",
    "a suspect",
    "a repeated claim",
    "a lost settlement",
    "a settlement again",
    "a lost claim",
    "a handler is cancelled",
    "a death",
    "a stop",
    "a stall",
    "an operation fails",
    "an answer is lost",
    "an operation hangs",
    "an operation is late",
    "the provider is away",
    "a task is asked about",
    "a task is decided",
    "a task is given up",
    "a release",
    "a dead letter: exhausted",
    "a dead letter: given up",
    "a dead letter: lapsed",
    "a purge",
];

impl Coverage {
    pub(crate) fn exempt(&mut self, what: &'static str) {
        *self.exemptions.entry(what).or_default() += 1;
    }

    pub(crate) fn take(&mut self, entry: &Entry) {
        if let Some(name) = name(&entry.what) {
            *self.counts.entry(name).or_default() += 1;
        }
    }

    /// Adds what another run has covered.
    pub(crate) fn add(&mut self, run: &Self) {
        for (name, count) in &run.counts {
            *self.counts.entry(name).or_default() += count;
            *self.runs.entry(name).or_default() += run.runs.get(name).copied().unwrap_or(1);
        }
        for (name, count) in &run.exemptions {
            *self.exemptions.entry(name).or_default() += count;
        }
    }
}

fn name(what: &What) -> Option<&'static str> {
    Some(match what {
        What::Answered { status: 200, .. } => "a 200",
        What::Answered { status: 503, .. } => "a 503",
        What::Accepted { accepted, .. } => match accepted {
            Accepted::New => "an event",
            Accepted::Duplicate => "a duplicate",
            Accepted::Conflict => "a conflict",
            Accepted::Late => "a late stage",
            Accepted::Confirmed => "a confirmation",
            Accepted::Quarantined => "a quarantine",
            _ => "a drop",
        },
        What::Granted(grant) if grant.is_repeated => "a repeated claim",
        What::Granted(grant) if grant.lapses > 1 => "a suspect",
        What::Granted(grant) if grant.lapses > 0 => "a lapse",
        What::Granted(_) => "a claim",
        What::Settled {
            settled: Settled::Lost,
            ..
        } => "a lost settlement",
        What::Settled {
            settled: Settled::AlreadySettled,
            ..
        } => "a settlement again",
        What::Settled { end, .. } => match end {
            End::Done => "a handled event",
            End::Retry(_) => "a retry",
            End::Release => "a release",
            End::Dead(DeadCause::Exhausted) => "a dead letter: exhausted",
            End::Dead(DeadCause::GivenUp) => "a dead letter: given up",
            End::Dead(DeadCause::Lapsed) => "a dead letter: lapsed",
            End::Dead(_) => "a dead letter: unreadable",
        },
        What::Extended {
            is_extended: false, ..
        } => "a lost claim",
        What::Cancelled { .. } => "a handler is cancelled",
        What::Died(_) => "a death",
        What::Stopping => "a stop",
        What::Stalled => "a stall",
        What::OperationFails { how, .. } => how,
        What::Answers {
            answer: "running" | "unknown" | "ended",
            ..
        } => "a task is asked about",
        What::Answers { .. } => "the provider is away",
        What::Decided {
            decision: Decision::Ready,
            ..
        } => "a task is decided",
        What::ToldGivenUp { .. } => "a task is given up",
        What::Purged { keys, dead, .. } if keys + dead > 0 => "a purge",
        _ => return None,
    })
}
