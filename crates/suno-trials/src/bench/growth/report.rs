//! Prints the measurements as Markdown tables, with the goals.

use std::fmt;
use std::io::Write;

use anyhow::Result;

use super::{BATCH, CLAIM_MAX, Content, Growing, Held, Measured, Round};
use crate::bench::machine::describe;
use crate::bench::statistics::{Figures, cell};

/// The maximum cost of an operation, as a multiple of its cost with the fewest events.
const RATIO_MAX: f64 = 1.5;
/// The time limit for opening a store.
const START_MILLIS_MAX: f64 = 300.0;
/// The time limit for a transaction.
const TRANSACTION_MILLIS_MAX: f64 = 50.0;
/// The time limit for 99 of 100 deliveries of another process while a dispatcher is busy.
const BESIDE_MILLIS_MAX: f64 = 50.0;

/// The time limit for taking and postponing an overdue task: a tenth of the 500 ms that a limit of 20
/// requests in 10 seconds leaves for each (`PROTOCOL.md 1.39`).
const ASKING_MILLIS_MAX: f64 = 50.0;

/// A figure of a turn.
type Figure = fn(&Round) -> f64;

/// The operations that have a goal.
const OPERATIONS: [(&str, Figure); 5] = [
    ("accept", |turn| turn.accept),
    ("claim", |turn| turn.claim),
    ("settle", |turn| turn.settle),
    ("find", |turn| turn.find),
    ("purge step", |turn| turn.purge_ms),
];

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = match self.held {
            Held::Handled => "handled",
            Held::Waiting => "waiting for a retry",
            Held::Ready => "ready, never claimed",
        };
        write!(f, "{} {held}", self.events)
    }
}

impl Measured {
    fn median(&self, content: Content, figure: Figure) -> Option<f64> {
        let turns = self.turns.iter().filter(|turn| turn.content == content);
        turns.map(figure).collect::<Figures>().median()
    }

    fn slowest(&self, content: Content) -> Option<f64> {
        let turns = self.turns.iter().filter(|turn| turn.content == content);
        turns.map(|turn| turn.slowest_ms).reduce(f64::max)
    }

    fn beside(&self, content: Content) -> Option<f64> {
        let mut besides = self.besides.iter();
        let beside = besides.find(|beside| beside.content == content);
        beside.map(|beside| beside.p99_ms)
    }

    fn asking(&self, content: Content) -> Option<f64> {
        let mut asking = self.asking.iter();
        let asked = asking.find(|asked| asked.content == content);
        asked.map(|asked| asked.millis)
    }

    fn start(&self, content: Content) -> Option<f64> {
        let starts = self.starts.iter().filter(|start| start.content == content);
        let millis = starts.map(|start| start.millis);
        millis.collect::<Figures>().median()
    }
}

pub(super) fn tell(growing: &Growing, measured: &Measured, out: &mut dyn Write) -> Result<()> {
    let dir = tempfile::tempdir()?;
    writeln!(
        out,
        "{}; {} rounds of {} events of {} bytes, accepted in batches of {BATCH}, claimed and settled \
         {CLAIM_MAX} at once; medians.\n\n\
         | events | accept µs | processor | claim µs | settle µs | processor | find µs | purge step ms | slowest ms | accept beside, p99 ms | overdue ms | start ms |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        describe(dir.path())?,
        growing.rounds,
        growing.turn_over,
        growing.body_bytes,
    )?;
    for content in growing.contents() {
        let median = |figure, digits| cell(measured.median(content, figure), digits);
        writeln!(
            out,
            "| {content} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            median(|turn| turn.accept, 1),
            median(|turn| turn.accept_cpu, 1),
            median(|turn| turn.claim, 1),
            median(|turn| turn.settle, 1),
            median(|turn| turn.handle_cpu, 1),
            median(|turn| turn.find, 0),
            median(|turn| turn.purge_ms, 1),
            cell(measured.slowest(content), 1),
            cell(measured.beside(content), 1),
            cell(measured.asking(content), 2),
            cell(measured.start(content), 0),
        )?;
    }
    tell_goals(growing, measured, out)
}

/// Compares every store with the one of the fewest handled events.
fn tell_goals(growing: &Growing, measured: &Measured, out: &mut dyn Write) -> Result<()> {
    writeln!(
        out,
        "\n| figure | goal | measured | held |\n| --- | --- | ---: | --- |"
    )?;
    let contents = growing.contents();
    let handled = contents
        .iter()
        .filter(|content| content.held == Held::Handled);
    let Some(fewest) = handled.min_by_key(|content| content.events) else {
        return Ok(());
    };
    for content in contents.iter().filter(|content| *content != fewest) {
        for (what, figure) in OPERATIONS {
            let (few, many) = (
                measured.median(*fewest, figure),
                measured.median(*content, figure),
            );
            let ratio = many.zip(few).map(|(many, few)| many / few);
            let what = format!("{what} with {content}, of {}", fewest.events);
            tell_goal(out, &what, RATIO_MAX, ratio)?;
        }
    }
    for content in contents {
        let start = measured.start(content);
        tell_goal(
            out,
            &format!("start in ms with {content}"),
            START_MILLIS_MAX,
            start,
        )?;
        let what = format!("slowest transaction in ms with {content}");
        tell_goal(
            out,
            &what,
            TRANSACTION_MILLIS_MAX,
            measured.slowest(content),
        )?;
        let what = format!("p99 in ms of accepting beside a dispatcher with {content}");
        tell_goal(out, &what, BESIDE_MILLIS_MAX, measured.beside(content))?;
        let what = format!(
            "an overdue task of {} in ms with {content}",
            growing.overdue
        );
        tell_goal(out, &what, ASKING_MILLIS_MAX, measured.asking(content))?;
    }
    Ok(())
}

fn tell_goal(out: &mut dyn Write, what: &str, most: f64, measured: Option<f64>) -> Result<()> {
    let held = match measured {
        Some(measured) if measured <= most => "yes",
        Some(_) => "no",
        None => "–",
    };
    let measured = cell(measured, 2);
    writeln!(out, "| {what} | <= {most} | {measured} | {held} |")?;
    Ok(())
}
