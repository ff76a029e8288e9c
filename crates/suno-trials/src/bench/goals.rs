//! The goals of the receive path that a run can check, each with its measurement.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::measured::{Measured, Measurements};
use super::options::BenchCase;
use super::statistics::cell;
use super::subject::Subject;

/// The load for which the goals are stated.
const CONNECTIONS: usize = 64;

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn is_kept(self, measured: f64) -> bool {
        match self {
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

struct Goal {
    what: &'static str,
    bound: Bound,
    measured: f64,
}

/// The goals for which this run has the subjects and the connections.
fn goals(report: &Measurements<'_>) -> Vec<Goal> {
    let sqlite = case(report, Subject::Sqlite, CONNECTIONS);
    let ratio = |subject, other| report.ratio(case(report, subject, CONNECTIONS)?, other);
    let (sync_and_hyper, one) = one_at_a_time(report);
    let figure = |figure: fn(&Measured) -> Option<f64>| report.median(sqlite?, figure);
    let millis = |micros: Option<f64>| micros.map(|micros| micros / 1e3);
    let all = [
        (
            "sqlite, of hyper",
            Bound::AtLeast(0.4),
            ratio(Subject::Sqlite, Subject::Hyper),
        ),
        (
            "sqlite, of append",
            Bound::AtLeast(0.85),
            ratio(Subject::Sqlite, Subject::Append),
        ),
        (
            "sqlite, × express",
            Bound::AtLeast(8.0),
            ratio(Subject::Sqlite, Subject::Express),
        ),
        (
            "sqlite, × express-durable",
            Bound::AtLeast(20.0),
            ratio(Subject::Sqlite, Subject::ExpressDurable),
        ),
        (
            "memory, of hyper",
            Bound::AtLeast(0.7),
            ratio(Subject::Memory, Subject::Hyper),
        ),
        (
            "handled, of sqlite",
            Bound::AtLeast(0.5),
            ratio(Subject::Handled, Subject::Sqlite),
        ),
        (
            "forwarded, of handled",
            Bound::AtLeast(0.5),
            handled_ratio(report),
        ),
        (
            "sqlite, p99 in ms",
            Bound::AtMost(10.0),
            millis(figure(|measured| Some(measured.told.p99_micros))),
        ),
        (
            "sqlite, paced p99 in ms",
            Bound::AtMost(10.0),
            millis(figure(|measured| Some(measured.paced?.p99_micros))),
        ),
        (
            "sqlite, bytes written for each callback",
            Bound::AtMost(4_096.0),
            figure(|measured| measured.written_each),
        ),
        (
            "sqlite, idle MB",
            Bound::AtMost(15.0),
            figure(|measured| Some(measured.idle_kb? / 1024.0)),
        ),
        (
            "sqlite at one connection, p50 of append's",
            Bound::AtMost(1.5),
            sync_and_hyper.zip(one).map(|(limit, one)| one / limit),
        ),
    ];
    all.into_iter()
        .filter_map(|(what, bound, measured)| {
            Some(Goal {
                what,
                bound,
                measured: measured?,
            })
        })
        .collect()
}

/// Compares how many events are forwarded in a second with how many are handled by doing nothing.
fn handled_ratio(report: &Measurements<'_>) -> Option<f64> {
    let rate = |subject| {
        let case = case(report, subject, CONNECTIONS)?;
        report.median(case, |measured| measured.handled_per_second)
    };
    Some(rate(Subject::Forwarded)? / rate(Subject::Handled)?)
}

fn case(report: &Measurements<'_>, subject: Subject, connections: usize) -> Option<BenchCase> {
    report
        .measured_cases()
        .find(|case| case.subject == subject && case.connections == connections)
}

/// Compares the cost of one event at a time: in the file with a sync for each, and in the
/// SQLite store.
fn one_at_a_time(report: &Measurements<'_>) -> (Option<f64>, Option<f64>) {
    let p50 = |subject| {
        report.median(case(report, subject, 1)?, |measured| {
            Some(measured.told.p50_micros)
        })
    };
    (p50(Subject::Append), p50(Subject::Sqlite))
}

pub(super) fn tell(report: &Measurements<'_>, out: &mut dyn Write) -> Result<()> {
    let goals = goals(report);
    if goals.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n| figure | goal | measured | held |\n| --- | --- | ---: | --- |"
    )?;
    for goal in goals {
        let held = if goal.bound.is_kept(goal.measured) {
            "yes"
        } else {
            "no"
        };
        let measured = cell(Some(goal.measured), 2);
        writeln!(
            out,
            "| {} | {} | {measured} | {held} |",
            goal.what, goal.bound
        )?;
    }
    Ok(())
}

pub(super) fn json(report: &Measurements<'_>) -> Vec<Value> {
    let goals = goals(report).into_iter();
    goals
        .map(|goal| {
            json!({
                "figure": goal.what,
                "goal": goal.bound.to_string(),
                "measured": goal.measured,
                "held": goal.bound.is_kept(goal.measured),
            })
        })
        .collect()
}
