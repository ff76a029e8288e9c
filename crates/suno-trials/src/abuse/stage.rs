//! Runs one scenario, from the start of a process to its end.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::receiver::Defect;
use super::scenario::Scenario;
use super::subject::Subject;
use super::verdict::{Figures, HANDLED_MAX, STOP_MAX};
use super::{disk, signed, strangers};

/// The maximum time until the lines of the steady sender are printed, after everything
/// was answered.
const PRINTED_MAX: Duration = Duration::from_secs(5);
/// The status of the response to a request without a signature.
const UNAUTHORIZED: u16 = 401;
/// The time to wait for a defective receiver: whether it stops is not judged.
const BROKEN_STOP_MAX: Duration = Duration::from_secs(2);

/// Runs a scenario against its own process.
pub(super) fn run(
    scenario: Scenario,
    defect: Option<Defect>,
    duration: Duration,
) -> Result<Figures> {
    let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
    let mut subject = Subject::start(&dir.path().join("suno.db"), defect)?;
    let address = subject.address();
    let begun = Instant::now();
    let until = begun + duration;
    let syncs = disk::begin(dir.path(), until);
    let others = strangers::begin(scenario, address, begun, until)?;
    let answers = signed::begin(address, begun, until).end()?;
    // Connections of strangers stay open until the process has ended.
    let mut others = others.end()?;
    let slowest_sync = syncs.slowest()?;
    ensure!(
        scenario == Scenario::Quiet || others.requests > 0,
        "the strangers of '{scenario}' could send nothing; are there enough file handles?"
    );

    let is_head_refused = match scenario {
        Scenario::Unsigned => Some(strangers::head_alone(address) == Some(UNAUTHORIZED)),
        _ => None,
    };
    let probes = signed::probe(address)?;
    subject.read_until_handled(&tasks(&probes), Instant::now() + HANDLED_MAX);
    subject.read_until_handled(&tasks(&answers), Instant::now() + PRINTED_MAX);
    let handled_after = |(task, answered): &(String, Instant)| {
        let handled = subject.handled_at(task)?;
        Some(handled.saturating_duration_since(*answered))
    };
    let latencies: Vec<_> = probes.accepted.iter().filter_map(handled_after).collect();
    let printed = answers
        .accepted
        .iter()
        .filter(|(task, _)| subject.handled_at(task).is_some())
        .count() as u64;
    let peak_bytes = subject.peak_bytes();
    let stop_max = defect.map_or(STOP_MAX, |_| BROKEN_STOP_MAX);
    let stop = subject.stop(stop_max)?;
    others.release();
    Ok(Figures {
        scenario,
        due: answers.due + probes.due,
        accepted: (answers.accepted.len() + probes.accepted.len()) as u64,
        printed: printed + latencies.len() as u64,
        p50: answers.quantile(0.5),
        p99: answers.quantile(0.99),
        probes_handled: latencies.into_iter().max(),
        slowest_sync,
        peak_bytes,
        stop,
        is_stop_judged: defect.is_none(),
        requests: others.requests,
        stranger_bytes: others.bytes,
        stranger_statuses: others.statuses,
        is_head_refused,
    })
}

fn tasks(answers: &signed::Answers) -> Vec<String> {
    let tasks = answers.accepted.iter().map(|(task, _)| task.clone());
    tasks.collect()
}
