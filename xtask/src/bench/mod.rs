//! `cargo xtask bench`: how fast receiving is, beside what it could be and what it is instead of.
//!
//! Every subject runs in a process of its own and is loaded from another one, each pinned to a core
//! where `taskset` is there. Subjects take turns over several rounds, so that what disturbs the
//! machine disturbs all of them: the ratios count, not the figures.

mod load;
mod machine;
mod report;
mod subject;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};

pub use self::load::{Load, send};
pub use self::subject::{Subject, serve};

use self::machine::{Program, Running};
use self::report::{Measured, Report};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The subjects, in the order of the report.
    pub subjects: Vec<Subject>,
    /// How many connections send at the same time.
    pub connections: usize,
    /// How long each run lasts.
    pub duration: Duration,
    /// How often each subject is run.
    pub rounds: usize,
    /// How many of a hundred deliveries were sent before.
    pub duplicates_percent: u8,
    /// Print JSON.
    pub json: bool,
}

/// Builds, measures and reports.
///
/// # Errors
///
/// If the release build fails, or a subject does not start or answer.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<()> {
    let program = Program::build()?;
    let mut report = Report::new(options);
    for round in 0..options.rounds {
        for subject in &options.subjects {
            let measured = measure(&program, *subject, options)
                .with_context(|| format!("{subject} could not be measured"))?;
            if !options.json {
                writeln!(out, "round {}  {subject:<8} {measured}", round + 1)?;
                out.flush()?;
            }
            report.add(*subject, measured);
        }
    }
    report.tell(out)
}

fn measure(program: &Program, subject: Subject, options: &Options) -> Result<Measured> {
    let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
    let running = Running::start(program, subject, dir.path())?;
    let idle = running.resident_kb();
    let told = program.load(&Load {
        address: running.address(),
        connections: options.connections,
        duration: options.duration,
        duplicates_percent: options.duplicates_percent,
    })?;
    let mut measured = Measured::from_load(&told)?;
    measured.idle_kb = idle;
    measured.resident_kb = running.resident_kb();
    measured.written_bytes = running.written_bytes();
    Ok(measured)
}
