//! Reads the cases, runs those that match and reports the results.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::error::ConformanceError;
use crate::expectations::Expectations;
use crate::fixtures::{Fixtures, Loaded};
use crate::live;
use crate::outcome::{CaseOutcome, Verdict};
use crate::report::{self, Format};
use crate::select::Pattern;

/// The cases to run, the target, and the form of the report.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// The cases.
    pub fixtures: Fixtures,
    /// Only cases whose id matches this pattern.
    pub filter: Option<Pattern>,
    /// Whether to list the ids of the cases instead of running them.
    pub list: bool,
    /// The format of the report.
    pub format: Format,
    /// A file that names the cases that are expected to fail.
    pub expectations: Option<PathBuf>,
    /// The receiver to test over HTTP. Without one, the cases run in this process against the crates
    /// that this library is built with.
    pub target: Option<live::Target>,
}

impl Options {
    /// Creates options that run every case in this process and report to people.
    #[must_use]
    pub fn new(fixtures: impl Into<Fixtures>) -> Self {
        Self {
            fixtures: fixtures.into(),
            filter: None,
            list: false,
            format: Format::Human,
            expectations: None,
            target: None,
        }
    }
}

/// Runs or lists the cases and writes the report to `out`. Returns false if a case failed.
///
/// It blocks, and starts its own async runtimes: call it outside of one.
///
/// # Errors
///
/// Returns an error if no case could be run: the cases, the expectations or the target cannot be
/// read or reached, no case matches the filter, or none is applicable to the target.
///
/// ```
/// use suno_conformance::{Fixtures, Options, run};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut options = Options::new(Fixtures::Embedded);
/// options.filter = Some("verify/*".parse()?);
/// let mut report = Vec::new();
/// assert!(run(options, &mut report)?);
/// # Ok(())
/// # }
/// ```
pub fn run(options: Options, out: &mut dyn Write) -> Result<bool, ConformanceError> {
    Ok(run_all(options, out)?)
}

fn run_all(options: Options, out: &mut dyn Write) -> Result<bool> {
    let mut all = options.fixtures.load_all()?;
    let expectations = match &options.expectations {
        Some(path) => Expectations::read(path, all.iter().map(|loaded| &*loaded.id))?,
        None => Expectations::default(),
    };
    all.retain(|loaded| {
        options
            .filter
            .as_ref()
            .is_none_or(|filter| filter.fits(&loaded.id))
            && (options.target.is_none() || live::is_concerned(loaded))
    });
    if all.is_empty() {
        bail!("no case matches");
    }
    if options.list {
        report::list(&all, options.format, out)?;
        return Ok(true);
    }
    let mut outcomes = match &options.target {
        Some(target) => live::run(all, target)?,
        None => all.into_iter().map(local).collect(),
    };
    for outcome in &mut outcomes {
        expectations.apply(outcome);
    }
    let notes = options.target.as_ref().map_or_else(Vec::new, live::notes);
    report::write(&outcomes, &notes, options.format, out)
        .context("the report cannot be written")?;
    if outcomes
        .iter()
        .all(|outcome| matches!(outcome.verdict, Verdict::NotApplicable(_)))
    {
        bail!("no case is applicable, so no case was run");
    }
    Ok(!outcomes
        .iter()
        .any(|outcome| matches!(outcome.verdict, Verdict::Failed(_))))
}

fn local(loaded: Loaded) -> CaseOutcome {
    let start = Instant::now();
    let verdict = loaded.run();
    CaseOutcome {
        loaded,
        verdict,
        elapsed: start.elapsed(),
    }
}
