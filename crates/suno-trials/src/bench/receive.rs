//! The receive path: subjects that take turns under the same load.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use suno_callback::IdempotencyStore;
use suno_store_sqlite::SqliteStore;

use super::bound;
use super::load::{BODY_BYTES, Load, Told};
use super::machine::{Program, Running, describe};
use super::report::{Case, Measured, Report};
use super::subject::{Subject, store_file};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// The subjects; all of them unless given
    #[arg(long, value_enum, value_delimiter = ',')]
    subjects: Vec<Subject>,
    /// How many connections send at the same time; several are measured one after the other
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        value_parser = bound::count::<usize>(bound::AT_ONCE_MAX),
        default_value = "64"
    )]
    connections: Vec<usize>,
    /// How big bodies are, in bytes; several are measured one after the other
    #[arg(
        long,
        value_name = "BYTES",
        value_delimiter = ',',
        value_parser = bound::body_bytes(),
        default_values_t = [BODY_BYTES]
    )]
    body_bytes: Vec<usize>,
    /// How long each run lasts
    #[arg(long, value_parser = bound::seconds, default_value_t = 5.0)]
    pub(super) seconds: f64,
    /// How often each subject is run
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::ROUNDS_MAX),
        default_value_t = 3
    )]
    pub(super) rounds: usize,
    /// How many of a hundred deliveries were sent before
    #[arg(
        long,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(..=100),
        default_value_t = 0
    )]
    pub(super) duplicates: u8,
    /// After each run, send that part of what it answered by a plan, for latency without
    /// coordinated omission; 0 leaves it out
    #[arg(long, value_name = "PART", value_parser = bound::part, default_value_t = 0.5)]
    pub(super) paced: f64,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

impl Options {
    pub(super) fn subjects(&self) -> Vec<Subject> {
        match self.subjects.is_empty() {
            true => Subject::all(),
            false => self.subjects.clone(),
        }
    }

    /// Everything that is measured in one round.
    pub(super) fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for &connections in &self.connections {
            for &body_bytes in &self.body_bytes {
                cases.extend(self.subjects().into_iter().map(|subject| Case {
                    subject,
                    connections,
                    body_bytes,
                }));
            }
        }
        cases
    }
}

/// Measures and reports; true unless a subject that is there failed.
pub(super) fn run(program: &Program, options: &Options, out: &mut dyn Write) -> Result<bool> {
    let dir = tempfile::tempdir()?;
    let mut report = Report::new(options, describe(dir.path())?);
    for subject in options.subjects() {
        if let Err(err) = subject.prepare(program) {
            report.leave_out(subject, format!("{err:#}"));
        }
    }
    let mut good = true;
    for round in 0..options.rounds {
        for case in options.cases() {
            if report.is_left_out(case.subject) {
                continue;
            }
            match measure(program, case, options) {
                Ok(measured) => {
                    let mut log = io::stderr().lock();
                    writeln!(log, "round {}  {case} {measured}", round + 1)?;
                    report.add(round, case, measured);
                }
                Err(err) => {
                    good = false;
                    report.leave_out(case.subject, format!("{err:#}"));
                }
            }
        }
    }
    if report.is_empty() {
        bail!("nothing could be measured: {}", report.reasons());
    }
    report.tell(out)?;
    Ok(good)
}

fn measure(program: &Program, case: Case, options: &Options) -> Result<Measured> {
    let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
    let running = Running::start(program, case.subject, dir.path())?;
    let duration = Duration::try_from_secs_f64(options.seconds)?;
    let mut load = Load::closed(running.address(), case.connections, duration);
    load.duplicates_percent = options.duplicates;
    load.body_bytes = case.body_bytes;

    let idle_kb = running.resident_kb();
    let (cpu_before, written_before) = (running.cpu(), running.written_bytes());
    let told: Told = program.tell("bench-load", load.arguments())?;
    let each = |total: f64| total / told.answered as f64;
    let cpu = || Some((running.cpu()? - cpu_before?).as_secs_f64());
    let written = || Some((running.written_bytes()? - written_before?) as f64);
    let mut measured = Measured {
        cpu_micros_each: cpu().map(|seconds| each(seconds * 1e6)),
        cpu_busy: cpu().map(|seconds| seconds / options.seconds),
        written_each: written().map(each),
        idle_kb,
        resident_kb: running.resident_kb(),
        open_events: open_events(case.subject, dir.path())?,
        told,
        ..Measured::default()
    };
    if options.paced > 0.0 {
        load.per_second = told.per_second * options.paced;
        measured.paced = Some(program.tell("bench-load", load.arguments())?);
        measured.paced_open_events = open_events(case.subject, dir.path())?;
    }
    Ok(measured)
}

/// How many events a dispatcher has still before it.
fn open_events(subject: Subject, dir: &Path) -> Result<Option<f64>> {
    if subject != Subject::Handled {
        return Ok(None);
    }
    let store = SqliteStore::open(store_file(dir))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let counts = runtime.block_on(store.counts())?;
    Ok(Some(
        (counts.ready + counts.claimed + counts.waiting) as f64,
    ))
}
