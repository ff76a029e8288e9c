//! What has happened at least once: how much the runs have tried.

use std::collections::BTreeMap;

use suno_callback::{Settled, Settlement};

use crate::history::What;

/// What must happen in at least some of many runs.
pub(crate) const SOMETIMES: &str = "answer 200, accepted New, accepted Duplicate, \
    accepted Conflict, accepted Late, accepted Confirmed, accepted Quarantined, \
    claim after 0 lapses, claim after 1 lapses, claim after 2 lapses, claim repeated, Settled Done, Settled Retry, \
    Settled Release, Lost Done, AlreadySettled Done, lost claim, Cancelled, Died, Stopping, \
    Begins Stall, an operation fails, an answer is lost, an operation hangs, an operation is late, \
    provider away, provider running, provider ended, Decided Ready, ToldGivenUp, dead exhausted, \
    dead given_up, dead lapsed, Purged";

/// What happened, how often, and in how many runs.
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

    /// What happened in too few of so many runs: in fewer than five of a thousand.
    pub(crate) fn too_rare(&self, runs: u64) -> Vec<&'static str> {
        let in_runs = |name: &str| self.0.get(name).map_or(0, |(_, runs)| *runs);
        let names = SOMETIMES.split(", ");
        names.filter(|name| in_runs(name) * 200 < runs).collect()
    }
}

/// The name under which something is counted.
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
        What::Settled(_, Settlement::Dead { cause, .. }, Settled::Settled) => {
            format!("dead {cause}")
        }
        What::Settled(_, end, settled) => format!("{settled:?} {}", word(format!("{end:?}"))),
        What::Extended(_, _, false) => "lost claim".to_owned(),
        What::Decided(_, decision) => format!("Decided {decision:?}"),
        What::Redriven(_, _, redriven) => format!("Redriven {redriven:?}"),
        What::Answers(_, answer) => format!("provider {answer}"),
        What::OperationFails(_, how) => (*how).to_owned(),
        What::Begins(kind) => format!("Begins {}", word(format!("{kind:?}"))),
        what => word(format!("{what:?}")),
    }
}
