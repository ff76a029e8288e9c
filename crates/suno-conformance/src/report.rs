//! How outcomes are written: for people, as JSON lines, or as JUnit.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::json;

use super::{Level, Loaded, Outcome, Verdict};

/// How to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// One JUnit XML document.
    Junit,
}

/// How many cases came to what.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    passed: usize,
    failed: usize,
    failed_as_expected: usize,
    not_applicable: usize,
}

impl Counts {
    fn of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
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

/// The kind of a case: the folders in its id.
fn kind(id: &str) -> &str {
    id.rsplit_once('/').map_or("", |(kind, _)| kind)
}

fn by_kind(outcomes: &[Outcome]) -> BTreeMap<&str, Vec<&Outcome>> {
    let mut kinds: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        kinds
            .entry(kind(&outcome.loaded.id))
            .or_default()
            .push(outcome);
    }
    kinds
}

/// Names the cases.
pub(super) fn list(all: &[Loaded], format: Format, out: &mut dyn Write) -> io::Result<()> {
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
        Err(_) => (Level::Must.as_str(), "a file that is no case"),
    }
}

/// Writes all outcomes, and what was not compared at all.
pub(super) fn write(
    outcomes: &[Outcome],
    notes: &[String],
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Human => human(outcomes, notes, out),
        Format::Json => json_lines(outcomes, notes, out),
        Format::Junit => junit(outcomes, notes, out),
    }
}

fn human(outcomes: &[Outcome], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
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

fn human_one(outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
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

fn json_lines(outcomes: &[Outcome], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
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

fn junit(outcomes: &[Outcome], notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        "<testsuites{}>",
        attributes(Counts::of(outcomes), outcomes)
    )?;
    for (kind, outcomes) in by_kind(outcomes) {
        let counts = Counts::of(outcomes.iter().copied());
        let attributes = attributes(counts, outcomes.iter().copied());
        writeln!(out, r#"  <testsuite name="{}"{attributes}>"#, Escaped(kind))?;
        properties(notes, out)?;
        for outcome in outcomes {
            junit_one(kind, outcome, out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn properties(notes: &[String], out: &mut dyn Write) -> io::Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(out, "    <properties>")?;
    for note in notes {
        writeln!(
            out,
            r#"      <property name="note" value="{}"/>"#,
            Escaped(note)
        )?;
    }
    writeln!(out, "    </properties>")
}

fn attributes<'a>(counts: Counts, outcomes: impl IntoIterator<Item = &'a Outcome>) -> String {
    let seconds: f64 = outcomes
        .into_iter()
        .map(|outcome| outcome.elapsed.as_secs_f64())
        .sum();
    let skipped = counts.failed_as_expected + counts.not_applicable;
    let tests = counts.passed + counts.failed + skipped;
    let failures = counts.failed;
    format!(
        r#" tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}" time="{seconds:.3}""#
    )
}

fn junit_one(kind: &str, outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let (kind, id) = (Escaped(kind), Escaped(&outcome.loaded.id));
    let seconds = outcome.elapsed.as_secs_f64();
    write!(
        out,
        r#"    <testcase classname="{kind}" name="{id}" time="{seconds:.3}""#
    )?;
    match &outcome.verdict {
        Verdict::Passed => writeln!(out, "/>"),
        Verdict::Failed(found) => {
            let title = Escaped(head(&outcome.loaded).1);
            writeln!(out, r#"><failure message="{title}">"#)?;
            found
                .iter()
                .try_for_each(|found| writeln!(out, "{}", Escaped(found)))?;
            writeln!(out, "</failure></testcase>")
        }
        Verdict::FailedAsExpected(reason) => {
            let reason = Escaped(reason);
            writeln!(
                out,
                r#"><skipped message="failed as expected: {reason}"/></testcase>"#
            )
        }
        Verdict::NotApplicable(reason) => {
            let reason = Escaped(reason);
            writeln!(
                out,
                r#"><skipped message="not applicable: {reason}"/></testcase>"#
            )
        }
    }
}

/// Text inside XML. What XML cannot hold at all is replaced.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(c)),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => f.write_str("\u{fffd}"),
            c => write!(f, "{c}"),
        })
    }
}
