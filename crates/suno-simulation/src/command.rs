//! Many runs, on two threads, and what they came to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, thread};

use serde::Deserialize;

use crate::coverage::Coverage;
use crate::history::{Outcome, Violation};
use crate::mutant::Mutant;
use crate::node::lock;
use crate::plan::{Plan, StoreKind};
use crate::run::run;
use crate::shrink::shrink;

/// How many threads run, each one run at a time.
const THREADS: usize = 2;
/// Every run of so many is done twice, and must come to the same.
const TWICE: u64 = 100;
/// From how many runs on nothing may be too rare.
const ENOUGH: u64 = 5_000;

/// What to run.
#[derive(Debug, Clone, Default, Deserialize)]
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

/// Runs what the options say, and prints what it came to. True if every promise was kept or, with a
/// mutant, if the mistake was found.
///
/// # Errors
///
/// If a plan cannot be read, or nothing can be printed.
pub fn simulate(options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    if let Some(path) = &options.plan {
        return one(&read(path)?, options, out);
    }
    if options.trace {
        return one(&Plan::draw(options.seed, StoreKind::Memory), options, out);
    }
    if options.mutant.is_some() {
        return Ok(!many(StoreKind::Memory, options.runs, options, out)?);
    }
    for (path, plan) in kept_plans()? {
        writeln!(out, "kept plan {}", path.display())?;
        if !one(&plan, options, out)? {
            return Ok(false);
        }
    }
    Ok(many(StoreKind::Memory, options.runs, options, out)?
        && many(StoreKind::Sqlite, options.sqlite_runs, options, out)?)
}

/// The plans that broke a promise once, with their files.
///
/// # Errors
///
/// If one cannot be read.
pub fn kept_plans() -> io::Result<Vec<(PathBuf, Plan)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let read = |path: io::Result<PathBuf>| path.and_then(|path| Ok((path.clone(), read(&path)?)));
    let mut plans = paths.map(read).collect::<io::Result<Vec<_>>>()?;
    plans.sort_by_key(|(path, _)| path.clone());
    Ok(plans)
}

fn read(path: &Path) -> io::Result<Plan> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// Runs one plan. True if it keeps every promise.
fn one(plan: &Plan, options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let outcome = run(plan, options.mutant);
    if options.trace {
        write!(out, "{}", outcome.tail(usize::MAX))?;
    }
    writeln!(out, "{outcome}")?;
    Ok(outcome.violation.is_none())
}

/// What many runs came to.
#[derive(Debug, Default)]
struct Summary {
    runs: u64,
    entries: usize,
    coverage: Coverage,
    /// The first plan that breaks a promise.
    failed: Option<(Plan, Outcome)>,
}

/// Runs the plans of one seed after the other, until one breaks a promise. True if none does.
fn many(store: StoreKind, runs: u64, options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let (next, summary) = (AtomicU64::new(0), Mutex::new(Summary::default()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return;
            }
            let plan = Plan::draw(options.seed + number, store);
            let mut outcome = run(&plan, options.mutant);
            if number.is_multiple_of(TWICE) && run(&plan, options.mutant).hash() != outcome.hash() {
                let differs = Violation::new("Sound", "two runs of one plan differ");
                outcome.violation.get_or_insert(differs);
            }
            if outcome.violation.is_some() {
                next.store(runs, Ordering::Relaxed);
            }
            lock(&summary).take(plan, outcome);
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let Summary {
        runs,
        entries,
        coverage,
        failed,
    } = summary.into_inner().unwrap_or_default();
    writeln!(
        out,
        "{store:?}: {runs} runs from seed {}, {entries} entries",
        options.seed
    )?;
    if let Some((plan, outcome)) = failed {
        writeln!(out, "seed {}: {outcome}", plan.seed)?;
        return explain(&plan, &outcome, options, out).map(|()| false);
    }
    for (name, (count, runs)) in &coverage.0 {
        writeln!(out, "  {count:>9} x {name}, in {runs} runs")?;
    }
    let too_rare = if runs < ENOUGH {
        Vec::new()
    } else {
        coverage.too_rare(runs)
    };
    for name in &too_rare {
        writeln!(out, "too rare: {name}")?;
    }
    Ok(too_rare.is_empty())
}

impl Summary {
    fn take(&mut self, plan: Plan, mut outcome: Outcome) {
        self.runs += 1;
        self.entries += outcome.history.len();
        self.coverage.add(std::mem::take(&mut outcome.coverage));
        let is_first = |(failed, _): &(Plan, Outcome)| plan.seed < failed.seed;
        if outcome.violation.is_some() && self.failed.as_ref().is_none_or(is_first) {
            self.failed = Some((plan, outcome));
        }
    }
}

/// Makes a plan smaller that breaks a promise, and says how to see it again.
fn explain(
    plan: &Plan,
    outcome: &Outcome,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    let violation = outcome.violation.as_ref();
    let small = shrink(
        plan,
        violation.map(|violation| violation.row),
        options.mutant,
    );
    let path = env::temp_dir().join(format!("simulation-{}.json", plan.seed));
    fs::write(&path, serde_json::to_string_pretty(&small)?)?;
    let (tasks, faults) = (small.tasks.len(), small.faults.len());
    writeln!(
        out,
        "shrunk to {tasks} tasks and {faults} faults; see it again with"
    )?;
    writeln!(
        out,
        "  cargo xtask simulate --trace --plan {}",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_found_shrunk_and_reported() {
        let options = Options {
            runs: 100,
            mutant: Some(Mutant::GrantsByNumber),
            ..Options::default()
        };
        let mut out = Vec::new();
        assert!(simulate(&options, &mut out).unwrap());
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains("E4: task") && out.contains("tasks and 0 faults"),
            "{out}"
        );
        assert!(Coverage::default().too_rare(ENOUGH).contains(&"Died"));
    }
}
