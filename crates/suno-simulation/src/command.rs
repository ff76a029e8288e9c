//! Executes many runs on two threads and reports the results. A plan that breaks a promise is
//! shrunk, so that the cause is easier to see.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, thread};

use serde::Deserialize;

use crate::history::{Coverage, OperationOutcome};
use crate::plan::{Plan, StoreKind, Work};
use crate::run::{MUTANTS, run};
use crate::world::node::lock;

const THREADS: usize = 2;
/// One in this many runs is repeated, and must have the same result.
const TWICE: u64 = 100;
const COVERAGE_FROM_RUNS: u64 = 5_000;
/// The maximum number of runs for shrinking.
const SHRINKING_RUNS_MAX: usize = 250;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    seed: u64,
    runs: u64,
    sqlite_runs: u64,
    postgres_runs: u64,
    /// The URL of a server, for runs with PostgreSQL.
    store: Option<String>,
    plan: Option<PathBuf>,
    trace: bool,
    mutant: Option<String>,
}

/// Executes the runs selected by the options, which are those of `cargo xtask simulate` in JSON,
/// and prints the results. Returns true if every promise was kept or, with a mutant, if the bug was
/// found.
///
/// # Errors
///
/// Returns an error if the options or a plan cannot be read, or if printing fails.
pub fn simulate(options: &str, out: &mut dyn Write) -> io::Result<bool> {
    let options: Options = serde_json::from_str(options)?;
    if let Some(path) = &options.plan {
        return one(&read(path)?, &options, out);
    }
    if options.trace {
        return one(&Plan::draw(options.seed, StoreKind::Memory), &options, out);
    }
    let mutant = options.mutant.as_deref();
    let is_mutated = mutant.is_some();
    if is_mutated && !MUTANTS.iter().any(|(word, _)| Some(*word) == mutant) {
        return Err(io::Error::other("unknown mutant"));
    }
    for path in kept_plans()? {
        // A plan that is named after a mutant was shrunk from a run that found it.
        if is_mutated && path.file_stem() != mutant.map(OsStr::new) {
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
    if !many(StoreKind::Sqlite, options.sqlite_runs, &options, out)? {
        return Ok(false);
    }
    if options.postgres_runs == 0 {
        return Ok(true);
    }
    many(StoreKind::Postgres, options.postgres_runs, &options, out)
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
    let outcome = run(plan, options.mutant.as_deref(), options.store.as_deref());
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
    failed: Option<(Plan, OperationOutcome)>,
}

fn many(store: StoreKind, runs: u64, options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let (next, summary) = (AtomicU64::new(0), Mutex::new(Summary::default()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                return;
            }
            let plan = Plan::draw(options.seed + number, store);
            let again = || run(&plan, options.mutant.as_deref(), options.store.as_deref());
            let mut outcome = again();
            let tail = |outcome: &OperationOutcome| outcome.tail(usize::MAX);
            // A server answers when it likes.
            let is_repeatable = store != StoreKind::Postgres;
            if is_repeatable && number.is_multiple_of(TWICE) && tail(&again()) != tail(&outcome) {
                outcome.fail("Sound", "two runs of one plan differ");
            }
            if outcome.violation.is_some() {
                next.store(runs, Ordering::Relaxed);
            }
            let mut summary = lock(&summary);
            summary.runs += 1;
            summary.entries += outcome.history.len();
            summary.coverage.add(std::mem::take(&mut outcome.coverage));
            let is_first = |(failed, _): &(Plan, OperationOutcome)| plan.seed < failed.seed;
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
        let small = shrink(&plan, outcome.row(), options);
        let path = env::temp_dir().join(format!("simulation-{}.json", plan.seed));
        fs::write(&path, serde_json::to_string_pretty(&small)?)?;
        let (tasks, faults, path) = (small.tasks.len(), small.faults.len(), path.display());
        writeln!(
            out,
            "shrunk to {tasks} tasks and {faults} faults; to run it again:"
        )?;
        writeln!(out, "  cargo xtask simulate --trace --plan {path}")?;
        return Ok(false);
    }
    for (name, (count, runs)) in &summary.coverage.0 {
        writeln!(out, "  {count:>9} x {name}, in {runs} runs")?;
    }
    let mut too_rare = summary.coverage.too_rare(runs);
    too_rare.retain(|_| runs >= COVERAGE_FROM_RUNS);
    for name in &too_rare {
        writeln!(out, "too rare: {name}")?;
    }
    Ok(too_rare.is_empty())
}

/// Removes the parts of a plan that are not needed to break the same promise.
fn shrink(plan: &Plan, row: Option<&str>, options: &Options) -> Plan {
    let (mutant, server) = (options.mutant.as_deref(), options.store.as_deref());
    let mut runs = 0..SHRINKING_RUNS_MAX;
    let mut fails = |plan: &Plan| runs.next().is_some() && run(plan, mutant, server).row() == row;
    let mut plan = plan.clone();
    without(&mut plan, &mut fails, |plan| &mut plan.faults);
    without(&mut plan, &mut fails, |plan| &mut plan.tasks);
    without(&mut plan, &mut fails, |plan| &mut plan.acts);
    for task in 0..plan.tasks.len() {
        let fails = &mut fails;
        without(&mut plan, fails, |plan| &mut plan.tasks[task].callbacks);
    }
    let simpler: [fn(&mut Plan); 6] = [
        |plan| plan.knobs.noise_percent = 0,
        |plan| plan.knobs.op_delay_ms = 0,
        |plan| plan.knobs.one_more_day = false,
        |plan| plan.knobs.confirm = false,
        |plan| plan.nodes.iter_mut().for_each(|node| node.wall_ms = 0),
        |plan| (plan.tasks.iter_mut()).for_each(|task| task.work = Work::Takes(10)),
    ];
    for simplify in simpler {
        let mut changed = plan.clone();
        simplify(&mut changed);
        if changed != plan && fails(&changed) {
            plan = changed;
        }
    }
    plan
}

/// Removes halves of a list, then quarters, and so on.
fn without<T>(
    plan: &mut Plan,
    fails: &mut impl FnMut(&Plan) -> bool,
    list: impl Fn(&mut Plan) -> &mut Vec<T>,
) {
    let mut step = list(plan).len().div_ceil(2);
    while step > 0 {
        let mut from = 0;
        while from < list(plan).len() {
            let mut smaller = plan.clone();
            let items = list(&mut smaller);
            items.drain(from..(from + step).min(items.len()));
            let tasks = smaller.tasks.len();
            smaller.acts.retain(|act| act.task < tasks);
            if fails(&smaller) {
                *plan = smaller;
            } else {
                from += step;
            }
        }
        step /= 2;
    }
}
