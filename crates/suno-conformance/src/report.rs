//! Writes the report: for people, as JSON lines, or as JUnit XML.

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::Result;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;

use crate::case::Level;
use crate::fixtures::Loaded;
use crate::outcome::{CaseOutcome, Verdict};

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum Format {
    /// Text for people.
    Human,
    /// One JSON object per line.
    Json,
    /// One JUnit XML document.
    Junit,
}

/// The numbers of cases with each outcome.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    passed: usize,
    failed: usize,
    failed_as_expected: usize,
    not_applicable: usize,
}

impl Counts {
    fn of<'a>(outcomes: impl IntoIterator<Item = &'a CaseOutcome>) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            *match outcome.verdict {
                Verdict::Passed => &mut counts.passed,
                Verdict::Failed(_) => &mut counts.failed,
                Verdict::FailedAsExpected(_) => &mut counts.failed_as_expected,
                Verdict::NotApplicable(_) => &mut counts.not_applicable,
            } += 1;
        }
        counts
    }

    fn sentence(self) -> String {
        format!(
            "{} passed, {} failed, {} failed as expected, {} not applicable",
            self.passed, self.failed, self.failed_as_expected, self.not_applicable
        )
    }
}

/// Returns the kind of a case: the folders in its id.
fn kind(id: &str) -> &str {
    id.rsplit_once('/').map_or("", |(kind, _)| kind)
}

fn by_kind(outcomes: &[CaseOutcome]) -> BTreeMap<&str, Vec<&CaseOutcome>> {
    let mut kinds: BTreeMap<&str, Vec<&CaseOutcome>> = BTreeMap::new();
    for outcome in outcomes {
        kinds
            .entry(kind(&outcome.loaded.id))
            .or_default()
            .push(outcome);
    }
    kinds
}

/// Lists the cases.
pub(crate) fn list(all: &[Loaded], format: Format, out: &mut dyn Write) -> io::Result<()> {
    for loaded in all {
        let (level, title) = head(loaded);
        match format {
            Format::Json => {
                let line = json!({"id": loaded.id, "level": level, "title": title});
                writeln!(out, "{line}")?;
            }
            _ => writeln!(out, "{}", loaded.id)?,
        }
    }
    Ok(())
}

fn head(loaded: &Loaded) -> (&'static str, &str) {
    match &loaded.case {
        Ok(case) => (case.level.as_str(), &case.title),
        Err(_) => (Level::Must.as_str(), "a file that is not a case"),
    }
}

/// Writes all outcomes, and what was not compared.
pub(crate) fn write(
    outcomes: &[CaseOutcome],
    notes: &[String],
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    match format {
        Format::Human => human(outcomes, notes, out)?,
        Format::Json => json_lines(outcomes, notes, out)?,
        Format::Junit => junit(outcomes, notes, out)?,
    }
    Ok(())
}

fn human(outcomes: &[CaseOutcome], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    for (kind, outcomes) in by_kind(outcomes) {
        let counts = Counts::of(outcomes.iter().copied());
        writeln!(out, "{kind}: {}", counts.sentence())?;
        for outcome in outcomes {
            human_one(outcome, out)?;
        }
    }
    notes
        .iter()
        .try_for_each(|note| writeln!(out, "note: {note}"))?;
    writeln!(out, "{}", Counts::of(outcomes).sentence())
}

fn human_one(outcome: &CaseOutcome, out: &mut dyn Write) -> io::Result<()> {
    let id = &outcome.loaded.id;
    match &outcome.verdict {
        Verdict::Passed => Ok(()),
        Verdict::Failed(found) => {
            let (level, title) = head(&outcome.loaded);
            let case = outcome.loaded.case.as_ref();
            let reference = case.map_or("", |case| &*case.reference);
            writeln!(
                out,
                "  FAILED {id} ({level}, PROTOCOL.md {reference}): {title}"
            )?;
            found
                .iter()
                .try_for_each(|found| writeln!(out, "    {found}"))
        }
        Verdict::FailedAsExpected(reason) => writeln!(out, "  failed as expected {id}: {reason}"),
        Verdict::NotApplicable(reason) => writeln!(out, "  not applicable {id}: {reason}"),
    }
}

fn json_lines(outcomes: &[CaseOutcome], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    for outcome in outcomes {
        let (level, title) = head(&outcome.loaded);
        let (verdict, details) = match &outcome.verdict {
            Verdict::Passed => ("passed", Vec::new()),
            Verdict::Failed(found) => ("failed", found.clone()),
            Verdict::FailedAsExpected(reason) => ("failed_as_expected", vec![reason.clone()]),
            Verdict::NotApplicable(reason) => ("not_applicable", vec![reason.clone()]),
        };
        let line = json!({
            "event": "case", "id": outcome.loaded.id, "level": level, "title": title,
            "verdict": verdict, "details": details, "seconds": outcome.elapsed.as_secs_f64(),
        });
        writeln!(out, "{line}")?;
    }
    let counts = Counts::of(outcomes);
    let line = json!({
        "event": "summary", "passed": counts.passed, "failed": counts.failed,
        "failed_as_expected": counts.failed_as_expected, "not_applicable": counts.not_applicable,
        "notes": notes,
    });
    writeln!(out, "{line}")
}

fn junit(outcomes: &[CaseOutcome], notes: &[String], out: &mut dyn Write) -> Result<()> {
    let mut report = quick_junit::Report::new("suno conformance");
    for (kind, outcomes) in by_kind(outcomes) {
        let mut suite = TestSuite::new(kind);
        for note in notes {
            suite.add_property(("note", note.as_str()));
        }
        suite.set_time(outcomes.iter().map(|outcome| outcome.elapsed).sum());
        suite.add_test_cases(
            outcomes
                .into_iter()
                .map(|outcome| junit_case(kind, outcome)),
        );
        report.add_test_suite(suite);
    }
    report.set_time(outcomes.iter().map(|outcome| outcome.elapsed).sum());
    Ok(report.serialize(out)?)
}

fn junit_case(kind: &str, outcome: &CaseOutcome) -> TestCase {
    let mut status = match &outcome.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::FailedAsExpected(_) | Verdict::NotApplicable(_) => TestCaseStatus::skipped(),
    };
    match &outcome.verdict {
        Verdict::Passed => {}
        Verdict::Failed(found) => {
            status.set_message(head(&outcome.loaded).1);
            status.set_description(found.join("\n"));
        }
        Verdict::FailedAsExpected(reason) => {
            status.set_message(format!("failed as expected: {reason}"));
        }
        Verdict::NotApplicable(reason) => {
            status.set_message(format!("not applicable: {reason}"));
        }
    }
    let mut case = TestCase::new(outcome.loaded.id.as_str(), status);
    case.set_classname(kind).set_time(outcome.elapsed);
    case
}
