//! The receive path: subjects that take turns under the same load.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::load::{Load, Told};
use super::machine::{Program, SubjectProcess, describe};
use super::measured::{Measured, Measurements};
use super::options::{BenchCase, Options};
use super::subject::{Subject, store_file};
use crate::stored::unsettled;

/// Measures and reports. Returns true unless an available subject failed.
pub(super) fn run(program: &Program, options: &Options, out: &mut dyn Write) -> Result<bool> {
    let dir = tempfile::tempdir()?;
    let mut report = Measurements::new(options, describe(dir.path())?);
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

fn measure(program: &Program, case: BenchCase, options: &Options) -> Result<Measured> {
    let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
    let running = SubjectProcess::start(case.subject.command(program, dir.path()))?;
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
    let open_events = open_events(case.subject, dir.path())?;
    let stored = told.answered as f64 * (100.0 - f64::from(options.duplicates)) / 100.0;
    let mut measured = Measured {
        cpu_micros_each: cpu().map(|seconds| each(seconds * 1e6)),
        cpu_busy: cpu().map(|seconds| seconds / options.seconds),
        written_each: written().map(each),
        idle_kb,
        resident_kb: running.resident_kb(),
        open_events,
        handled_per_second: open_events.map(|open| (stored - open) / options.seconds),
        told,
        ..Measured::default()
    };
    if options.paced > 0.0 {
        load.per_second = told.per_second * options.paced;
        measured.paced = Some(program.tell("bench-load", load.arguments())?);
        measured.paced_open_events = self::open_events(case.subject, dir.path())?;
    }
    Ok(measured)
}

/// Returns the number of events that a dispatcher has not handled yet.
fn open_events(subject: Subject, dir: &Path) -> Result<Option<f64>> {
    if !matches!(subject, Subject::Handled | Subject::Forwarded) {
        return Ok(None);
    }
    Ok(Some(unsettled(&store_file(dir))? as f64))
}
