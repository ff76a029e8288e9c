//! Many runs, on two threads, and what they came to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::{env, fs, thread};

use crate::coverage::{Coverage, SOMETIMES};
use crate::mutant::Mutant;
use crate::plan::{Plan, StoreKind};
use crate::world::Outcome;
use crate::{draw, run, shrink, trace};

/// How many threads run, each one run at a time.
const THREADS: usize = 2;
/// Every run of so many is done twice, and must come to the same.
const TWICE: u64 = 100;
/// In how many of a thousand runs each thing must happen, if there are enough of them.
const OFTEN: u64 = 5;
const ENOUGH: u64 = 5_000;

/// What to run.
#[derive(Debug, Clone, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it belongs to this crate and its command"
)]
pub struct Options {
    /// The seed of the first run.
    pub seed: u64,
    /// How many runs over the store in memory.
    pub runs: u64,
    /// How many runs over files of SQLite.
    pub sqlite_runs: u64,
    /// A plan to run instead.
    pub plan: Option<PathBuf>,
    /// Print everything that happens in the plan, or in the run of the seed.
    pub trace: bool,
    /// A mistake to put in, which must be found.
    pub mutant: Option<Mutant>,
}

/// What many runs came to.
#[derive(Debug, Default)]
struct Summary {
    runs: u64,
    polls: u64,
    entries: u64,
    coverage: Coverage,
    failed: Option<(Plan, Outcome)>,
}

/// Runs what the options say, and prints what it came to. True if every promise was kept or, with a
/// mutant, if the mistake was found.
///
/// # Errors
///
/// If a plan cannot be read, or nothing can be printed.
pub fn simulate(options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    if let Some(path) = &options.plan {
        let plan = read(path)?;
        return one(&plan, options, out);
    }
    if options.trace {
        return one(&draw::plan(options.seed, StoreKind::Memory), options, out);
    }
    for (path, plan) in kept_plans()? {
        writeln!(out, "kept plan {}", path.display())?;
        if options.mutant.is_none() && !one(&plan, options, out)? {
            return Ok(false);
        }
    }
    let memory = batch(options, StoreKind::Memory, options.runs);
    report(options, "memory", &memory, out)?;
    if memory.failed.is_some() || options.mutant.is_some() {
        return Ok(memory.failed.is_some() == options.mutant.is_some());
    }
    let sqlite = batch(options, StoreKind::Sqlite, options.sqlite_runs);
    report(options, "SQLite", &sqlite, out)?;
    Ok(sqlite.failed.is_none() && covers(&memory, out)?)
}

/// The plans that broke a promise once, with their files.
///
/// # Errors
///
/// If one cannot be read.
pub fn kept_plans() -> io::Result<Vec<(PathBuf, Plan)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut paths: Vec<_> = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    paths
        .into_iter()
        .map(|path| read(&path).map(|plan| (path, plan)))
        .collect()
}

fn read(path: &Path) -> io::Result<Plan> {
    Plan::from_json(&fs::read_to_string(path)?).map_err(io::Error::other)
}

/// Runs one plan.
fn one(plan: &Plan, options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let (outcome, history) = trace(plan, options.mutant);
    if options.trace {
        out.write_all(history.as_bytes())?;
    }
    match &outcome.violation {
        Some(violation) => writeln!(out, "{violation}\n{}", outcome.tail)?,
        None => writeln!(out, "  kept every promise: {} entries", outcome.entries)?,
    }
    Ok(outcome.violation.is_none())
}

/// Runs plans of one seed after the other, until one breaks a promise.
fn batch(options: &Options, store: StoreKind, runs: u64) -> Summary {
    let (next, summary) = (AtomicU64::new(0), Mutex::new(Summary::default()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return;
            }
            let plan = draw::plan(options.seed + number, store);
            let outcome = checked(&plan, options.mutant, number);
            if !summary
                .lock()
                .is_ok_and(|mut summary| summary.take(plan, outcome))
            {
                next.store(runs, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    summary.into_inner().unwrap_or_default()
}

/// Runs a plan, now and then twice.
fn checked(plan: &Plan, mutant: Option<Mutant>, number: u64) -> Outcome {
    let mut outcome = run(plan, mutant);
    if number.is_multiple_of(TWICE) && run(plan, mutant).hash != outcome.hash {
        outcome
            .violation
            .get_or_insert_with(|| crate::world::stuck("two runs of one plan differ"));
    }
    outcome
}

impl Summary {
    /// Takes in a run. False if it broke a promise.
    fn take(&mut self, plan: Plan, mut outcome: Outcome) -> bool {
        self.runs += 1;
        self.polls += outcome.polls;
        self.entries += outcome.entries as u64;
        self.coverage.add(&std::mem::take(&mut outcome.coverage));
        let keeps = outcome.violation.is_none();
        let is_first = self
            .failed
            .as_ref()
            .is_none_or(|(failed, _)| plan.seed < failed.seed);
        if !keeps && is_first {
            self.failed = Some((plan, outcome));
        }
        keeps
    }
}

fn report(
    options: &Options,
    store: &str,
    summary: &Summary,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Summary {
        runs,
        polls,
        entries,
        coverage,
        ..
    } = summary;
    writeln!(
        out,
        "{store}: {runs} runs from seed {}, {entries} entries, {polls} polls",
        options.seed
    )?;
    if let Some((plan, outcome)) = &summary.failed {
        return explain(options, plan, outcome, out);
    }
    for (name, count) in &coverage.counts {
        let in_runs = coverage.runs.get(name).copied().unwrap_or_default();
        writeln!(out, "  {count:>9} x {name}, in {in_runs} runs")?;
    }
    for (name, count) in &coverage.exemptions {
        writeln!(out, "  {count:>9} exemptions of {name}")?;
    }
    Ok(())
}

/// Says which promise was broken, and how to see it again.
fn explain(
    options: &Options,
    plan: &Plan,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(violation) = &outcome.violation else {
        return Ok(());
    };
    writeln!(
        out,
        "seed {} breaks a promise. {violation}\n{}",
        plan.seed, outcome.tail
    )?;
    let started = Instant::now();
    let small = shrink(plan, violation.row, options.mutant);
    let path = env::temp_dir().join(format!("simulation-{}.json", plan.seed));
    fs::write(&path, small.to_json())?;
    let (tasks, faults) = (small.tasks.len(), small.faults.len());
    let seconds = started.elapsed().as_secs();
    writeln!(
        out,
        "shrunk in {seconds} s to {tasks} tasks and {faults} faults; see it again with"
    )?;
    writeln!(
        out,
        "  cargo xtask simulate --trace --plan {}",
        path.display()
    )
}

/// Whether everything has happened often enough.
fn covers(summary: &Summary, out: &mut dyn Write) -> io::Result<bool> {
    if summary.runs < ENOUGH {
        return Ok(true);
    }
    let mut covers = true;
    for name in SOMETIMES {
        let runs = summary.coverage.runs.get(name).copied().unwrap_or_default();
        if runs * 1_000 < summary.runs * OFTEN {
            writeln!(out, "too rare: {name}, in {runs} runs")?;
            covers = false;
        }
    }
    Ok(covers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_found_and_told_of() {
        let mutant = Some(Mutant::GrantsByNumber);
        let options = Options {
            runs: 100,
            mutant,
            ..Options::default()
        };
        let mut out = Vec::new();
        assert!(simulate(&options, &mut out).unwrap());
        assert!(String::from_utf8(out).unwrap().contains("E4: task"));
    }

    #[test]
    fn what_happens_too_rarely_is_told() {
        let summary = Summary {
            runs: ENOUGH,
            ..Summary::default()
        };
        let mut out = Vec::new();
        assert!(!covers(&summary, &mut out).unwrap());
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("too rare: a death")
        );
    }
}
