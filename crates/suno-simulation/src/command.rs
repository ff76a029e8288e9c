//! Many runs, on two threads, and what they came to.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, thread};

use crate::coverage::{Coverage, SOMETIMES};
use crate::history::Violation;
use crate::mutant::Mutant;
use crate::node::lock;
use crate::plan::{Plan, StoreKind};
use crate::run::run;
use crate::shrink::shrink;
use crate::world::Outcome;

/// How many threads run, each one run at a time.
const THREADS: usize = 2;
/// Every run of so many is done twice, and must come to the same.
const TWICE: u64 = 100;
/// In how many of a thousand runs each thing must happen, if there are enough of them.
const OFTEN: u64 = 5;
const ENOUGH: u64 = 5_000;

/// What to run.
#[derive(Debug, Clone, Default)]
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
        let memory = Summary::of(options, StoreKind::Memory, options.runs);
        memory.print(options, out)?;
        return Ok(memory.failed.is_some());
    }
    for (path, plan) in kept_plans()? {
        writeln!(out, "kept plan {}", path.display())?;
        if !one(&plan, options, out)? {
            return Ok(false);
        }
    }
    let memory = Summary::of(options, StoreKind::Memory, options.runs);
    memory.print(options, out)?;
    if memory.failed.is_some() {
        return Ok(false);
    }
    let sqlite = Summary::of(options, StoreKind::Sqlite, options.sqlite_runs);
    sqlite.print(options, out)?;
    Ok(sqlite.failed.is_none() && memory.has_tried_enough(out)?)
}

/// The plans that broke a promise once, with their files.
///
/// # Errors
///
/// If one cannot be read.
pub fn kept_plans() -> io::Result<Vec<(PathBuf, Plan)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let plans = paths
        .into_iter()
        .map(|path| Ok((path.clone(), read(&path)?)));
    plans.collect()
}

fn read(path: &Path) -> io::Result<Plan> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// Runs one plan.
fn one(plan: &Plan, options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let outcome = run(plan, options.mutant);
    if options.trace {
        write!(out, "{}", outcome.tail(usize::MAX))?;
    }
    match &outcome.violation {
        Some(violation) => writeln!(out, "{violation}\n{}", outcome.tail(40))?,
        None => writeln!(out, "  kept every promise: {} entries", outcome.entries())?,
    }
    Ok(outcome.violation.is_none())
}

/// What many runs came to.
#[derive(Debug, Default)]
struct Summary {
    name: String,
    runs: u64,
    polls: u64,
    entries: usize,
    coverage: Coverage,
    failed: Option<(Plan, Outcome)>,
}

impl Summary {
    /// Runs the plans of one seed after the other, until one breaks a promise.
    fn of(options: &Options, store: StoreKind, runs: u64) -> Self {
        let summary = Mutex::new(Self {
            name: format!("{store:?}"),
            ..Self::default()
        });
        let next = AtomicU64::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= runs {
                    return;
                }
                let plan = Plan::draw(options.seed + number, store);
                let outcome = checked(&plan, options.mutant, number);
                if !lock(&summary).takes(plan, outcome) {
                    next.store(runs, Ordering::Relaxed);
                }
            }
        };
        thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
        summary.into_inner().unwrap_or_default()
    }

    /// Takes in a run. False if it broke a promise.
    fn takes(&mut self, plan: Plan, mut outcome: Outcome) -> bool {
        self.runs += 1;
        self.polls += outcome.polls;
        self.entries += outcome.entries();
        self.coverage.add(std::mem::take(&mut outcome.coverage));
        let keeps = outcome.violation.is_none();
        let before = self.failed.as_ref().map(|(before, _)| before.seed);
        if !keeps && before.is_none_or(|before| plan.seed < before) {
            self.failed = Some((plan, outcome));
        }
        keeps
    }

    fn print(&self, options: &Options, out: &mut dyn Write) -> io::Result<()> {
        let Self {
            name,
            runs,
            entries,
            polls,
            ..
        } = self;
        let first = options.seed;
        writeln!(
            out,
            "{name}: {runs} runs from seed {first}, {entries} entries, {polls} polls"
        )?;
        if let Some((plan, outcome)) = &self.failed {
            return explain(options, plan, outcome, out);
        }
        for (name, (count, runs)) in &self.coverage.0 {
            writeln!(out, "  {count:>9} x {name}, in {runs} runs")?;
        }
        Ok(())
    }

    /// Whether everything has happened often enough.
    fn has_tried_enough(&self, out: &mut dyn Write) -> io::Result<bool> {
        let is_rare = |name: &&str| self.coverage.runs(name) * 1_000 < self.runs * OFTEN;
        if self.runs < ENOUGH {
            return Ok(true);
        }
        for name in SOMETIMES.iter().filter(|name| is_rare(name)) {
            writeln!(
                out,
                "too rare: {name}, in {} runs",
                self.coverage.runs(name)
            )?;
        }
        Ok(!SOMETIMES.iter().any(|name| is_rare(&name)))
    }
}

/// Runs a plan, now and then twice.
fn checked(plan: &Plan, mutant: Option<Mutant>, number: u64) -> Outcome {
    let mut outcome = run(plan, mutant);
    if number.is_multiple_of(TWICE) && run(plan, mutant).hash() != outcome.hash() {
        let differs = Violation::sound("two runs of one plan differ");
        outcome.violation.get_or_insert(differs);
    }
    outcome
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
    let seed = plan.seed;
    writeln!(
        out,
        "seed {seed} breaks a promise. {violation}\n{}",
        outcome.tail(40)
    )?;
    let small = shrink(plan, violation.row, options.mutant);
    let path = env::temp_dir().join(format!("simulation-{seed}.json"));
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
    fn a_mutant_is_found_and_reported() {
        let options = Options {
            runs: 100,
            mutant: Some(Mutant::GrantsByNumber),
            ..Options::default()
        };
        let mut out = Vec::new();
        assert!(simulate(&options, &mut out).unwrap());
        assert!(String::from_utf8(out).unwrap().contains("E4: task"));
    }

    #[test]
    fn what_happens_too_rarely_is_reported() {
        let summary = Summary {
            runs: ENOUGH,
            ..Summary::default()
        };
        let mut out = Vec::new();
        assert!(!summary.has_tried_enough(&mut out).unwrap());
        assert!(
            String::from_utf8(out)
                .unwrap()
                .contains("too rare: a death")
        );
    }
}
