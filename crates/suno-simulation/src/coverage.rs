//! What has happened at least once: how much the runs have tried.

use std::collections::BTreeMap;

use suno_callback::{Accepted, Decision, Settled, Settlement};

use crate::history::{Answer, What};
use crate::plan::FaultKind;

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
    "a dead letter: given_up",
    "a dead letter: lapsed",
    "a purge",
];

/// What happened, how often, and in how many runs.
#[derive(Debug, Default, Clone)]
pub(crate) struct Coverage(pub(crate) BTreeMap<String, (u64, u64)>);

impl Coverage {
    pub(crate) fn count(&mut self, name: &str) {
        match self.0.get_mut(name) {
            Some((count, _)) => *count += 1,
            None => drop(self.0.insert(name.to_owned(), (1, 1))),
        }
    }

    pub(crate) fn take(&mut self, what: &What) {
        match what {
            What::Settled(_, Settlement::Dead { cause, .. }, Settled::Settled) => {
                self.count(&format!("a dead letter: {cause}"));
            }
            _ => name(what).into_iter().for_each(|name| self.count(name)),
        }
    }

    /// Adds what another run has covered.
    pub(crate) fn add(&mut self, run: Self) {
        for (name, (count, runs)) in run.0 {
            let sum = self.0.entry(name).or_default();
            *sum = (sum.0 + count, sum.1 + runs);
        }
    }

    /// In how many runs something happened.
    pub(crate) fn runs(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |(_, runs)| *runs)
    }
}

fn name(what: &What) -> Option<&'static str> {
    Some(match what {
        What::Answered(_, 200) => "a 200",
        What::Answered(_, 503) => "a 503",
        What::Accepted(delivery) => match delivery.accepted {
            Accepted::New => "an event",
            Accepted::Duplicate => "a duplicate",
            Accepted::Conflict => "a conflict",
            Accepted::Late => "a late stage",
            Accepted::Confirmed => "a confirmation",
            Accepted::Quarantined => "a quarantine",
            _ => "a drop",
        },
        What::Granted(_, true) => "a repeated claim",
        What::Granted(claim, _) => match claim.lapses {
            0 => "a claim",
            1 => "a lapse",
            _ => "a suspect",
        },
        What::Settled(_, _, Settled::Lost) => "a lost settlement",
        What::Settled(_, _, Settled::AlreadySettled) => "a settlement again",
        What::Settled(_, Settlement::Done, _) => "a handled event",
        What::Settled(_, Settlement::Retry { .. }, _) => "a retry",
        What::Settled(_, Settlement::Release, _) => "a release",
        What::Extended(_, _, false) => "a lost claim",
        What::Cancelled(_) => "a handler is cancelled",
        What::Died(_) => "a death",
        What::Stopping => "a stop",
        What::Begins(FaultKind::Stall) => "a stall",
        What::OperationFails(_, how) => how,
        What::Answers(_, Answer::Away) => "the provider is away",
        What::Answers(..) => "a task is asked about",
        What::Decided(_, Decision::Ready) => "a task is decided",
        What::ToldGivenUp(_) => "a task is given up",
        What::Purged(keys, dead) if keys + dead > 0 => "a purge",
        _ => return None,
    })
}
