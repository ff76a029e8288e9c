//! Many runs, on two threads, and what they came to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, thread};

use serde::Deserialize;

use crate::coverage::Coverage;
use crate::history::Outcome;
use crate::mutant::Mutant;
use crate::node::lock;
use crate::plan::{Plan, StoreKind};
use crate::run::run;
use crate::shrink::shrink;

const THREADS: usize = 2;
/// Every run of so many is done twice, and must come to the same.
const TWICE: u64 = 100;
/// From how many runs on nothing may be too rare.
const ENOUGH: u64 = 5_000;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    seed: u64,
    runs: u64,
    sqlite_runs: u64,
    plan: Option<PathBuf>,
    trace: bool,
    mutant: Option<Mutant>,
}

/// Runs what the options say, which are those of `cargo xtask simulate` in JSON, and prints what it
/// came to. True if every promise was kept or, with a mutant, if the mistake was found.
///
/// # Errors
///
/// If the options or a plan cannot be read, or nothing can be printed.
pub fn simulate(options: &str, out: &mut dyn Write) -> io::Result<bool> {
    let options: Options = serde_json::from_str(options)?;
    if let Some(path) = &options.plan {
        return one(&read(path)?, &options, out);
    }
    if options.trace {
        return one(&Plan::draw(options.seed, StoreKind::Memory), &options, out);
    }
    let is_mutated = options.mutant.is_some();
    for path in kept_plans()? {
        // A plan that has the name of a mutant was shrunk from a run that found it.
        if is_mutated && Mutant::of_file(&path) != options.mutant {
            continue;
        }
        writeln!(out, "kept plan {}", path.display())?;
        if one(&read(&path)?, &options, out)? == is_mutated {
            return Ok(false);
        }
    }
    let keeps = many(StoreKind::Memory, options.runs, &options, out)?;
    if is_mutated || !keeps {
        return Ok(is_mutated != keeps);
    }
    many(StoreKind::Sqlite, options.sqlite_runs, &options, out)
}

fn kept_plans() -> io::Result<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<_> = paths.collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> io::Result<Plan> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

fn one(plan: &Plan, options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let outcome = run(plan, options.mutant);
    if options.trace {
        write!(out, "{}", outcome.tail(usize::MAX))?;
    }
    writeln!(out, "{outcome}")?;
    Ok(outcome.violation.is_none())
}

#[derive(Default)]
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
                outcome.fail("Sound", "two runs of one plan differ");
            }
            if outcome.violation.is_some() {
                next.store(runs, Ordering::Relaxed);
            }
            let mut summary = lock(&summary);
            summary.runs += 1;
            summary.entries += outcome.history.len();
            summary.coverage.add(std::mem::take(&mut outcome.coverage));
            let is_first = |(failed, _): &(Plan, Outcome)| plan.seed < failed.seed;
            if outcome.violation.is_some() && summary.failed.as_ref().is_none_or(is_first) {
                summary.failed = Some((plan, outcome));
            }
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let summary = summary.into_inner().unwrap_or_default();
    let (runs, entries, seed) = (summary.runs, summary.entries, options.seed);
    writeln!(out, "{store:?}: {runs} runs from {seed}, {entries} entries")?;
    if let Some((plan, outcome)) = summary.failed {
        writeln!(out, "seed {}: {outcome}", plan.seed)?;
        let small = shrink(&plan, outcome.row(), options.mutant);
        let path = env::temp_dir().join(format!("simulation-{}.json", plan.seed));
        fs::write(&path, serde_json::to_string_pretty(&small)?)?;
        let (tasks, faults, path) = (small.tasks.len(), small.faults.len(), path.display());
        writeln!(
            out,
            "shrunk to {tasks} tasks and {faults} faults; see it again with"
        )?;
        writeln!(out, "  cargo xtask simulate --trace --plan {path}")?;
        return Ok(false);
    }
    for (name, (count, runs)) in &summary.coverage.0 {
        writeln!(out, "  {count:>9} x {name}, in {runs} runs")?;
    }
    let mut too_rare = summary.coverage.too_rare(runs);
    too_rare.retain(|_| runs >= ENOUGH);
    for name in &too_rare {
        writeln!(out, "too rare: {name}")?;
    }
    Ok(too_rare.is_empty())
}
