//! The conformance cases of `fixtures/`: read, run against this workspace or against a receiver
//! elsewhere, and reported. What the cases mean is told in `fixtures/README.md`.
//!
//! No case passes by not running: what cannot be read or run fails, and what a live run cannot do
//! is reported by name.

mod case;
mod client;
mod codes;
mod compare;
mod decode;
mod expectations;
mod kept;
pub mod live;
mod normal;
mod parts;
mod receiver;
mod report;
mod requests;
mod select;
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use case::Kind;
pub use case::{Case, Level, Loaded, load};
use expectations::Expectations;
pub use report::Format;
pub use select::Pattern;

/// What to run and how to report it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// The folder of the cases.
    pub fixtures: PathBuf,
    /// Only cases whose id fits.
    pub filter: Option<Pattern>,
    /// Name the cases instead of running them.
    pub list: bool,
    /// How to report.
    pub format: Format,
    /// A file with the cases that are expected to fail.
    pub expectations: Option<PathBuf>,
    /// A receiver elsewhere; without one, this workspace.
    pub target: Option<live::Target>,
}

impl Options {
    /// Runs all cases of a folder against this workspace, and reports to people.
    #[must_use]
    pub fn new(fixtures: impl Into<PathBuf>) -> Self {
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

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Everything came as expected.
    Passed,
    /// What was expected and did not come, a sentence each.
    Failed(Vec<String>),
    /// It failed, and was expected to: why.
    FailedAsExpected(String),
    /// A live run cannot do it: why.
    NotApplicable(String),
}

impl Verdict {
    fn of(found: Vec<String>) -> Self {
        if found.is_empty() {
            Self::Passed
        } else {
            Self::Failed(found)
        }
    }
}

/// A case that was run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The case, or what is wrong with its file.
    pub loaded: Loaded,
    /// What became of it.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

impl Loaded {
    /// Runs the case against this workspace.
    #[must_use]
    pub fn run(&self) -> Verdict {
        Verdict::of(match &self.case {
            Ok(case) => case.run(),
            Err(reason) => vec![reason.clone()],
        })
    }
}

impl Case {
    fn run(&self) -> Vec<String> {
        match &self.kind {
            Kind::Callback(case) => case.run(),
            Kind::Record(case) => case.run(),
            Kind::Envelope(case) => case.run(),
            Kind::Verify(case) => case.run(),
            Kind::Receiver(case) => case.run(),
            Kind::Client(case) => case.run(),
            Kind::Requests(case) => case.run(),
            Kind::Codes(case) => case.run(),
        }
    }
}

/// Runs or lists the cases and reports them to `out`. True if all came as expected.
///
/// # Errors
///
/// An error if nothing could be run: the cases, the expectations or the target cannot be read or
/// reached, no case fits the filter, or none is applicable to the target.
pub fn run(options: Options, out: &mut dyn Write) -> Result<bool> {
    let mut all = load(&options.fixtures)?;
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
        bail!("no case fits");
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
    report::write(&outcomes, &notes, options.format, out)?;
    if outcomes
        .iter()
        .all(|outcome| matches!(outcome.verdict, Verdict::NotApplicable(_)))
    {
        bail!("no case is applicable, so that nothing was run");
    }
    Ok(!outcomes
        .iter()
        .any(|outcome| matches!(outcome.verdict, Verdict::Failed(_))))
}

fn local(loaded: Loaded) -> Outcome {
    let start = Instant::now();
    let verdict = loaded.run();
    Outcome {
        loaded,
        verdict,
        elapsed: start.elapsed(),
    }
}
