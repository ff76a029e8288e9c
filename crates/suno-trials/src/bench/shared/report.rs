//! Prints the figures as Markdown, with the goals.

use std::io::Write;

use anyhow::Result;

use super::subject::Figures;
use super::{Options, Round};
use crate::bench::machine::{Program, describe};
use crate::bench::statistics::{Figures as Statistics, cell};

/// A figure of a round.
type Figure = fn(&Round) -> f64;
/// The figures of a subject in a round.
type Subject = fn(&Round) -> Figures;

/// The subjects, in the order of the table.
const SUBJECTS: [(&str, Subject); 9] = [
    ("insert: one commit for each request", |round| round.insert),
    ("copy: the same rows in batches", |round| round.copy),
    ("copy: every row that accept writes", |round| round.copy_all),
    ("accept", |round| round.accept),
    ("accept, claim, handle, settle", |round| round.handled),
    ("the same at half of that rate", |round| round.paced),
    ("accept in two processes together", |round| {
        let [one, other] = round.two;
        Figures {
            per_second: one.per_second + other.per_second,
            p50_millis: f64::midpoint(one.p50_millis, other.p50_millis),
            p99_millis: one.p99_millis.max(other.p99_millis),
            open: 0,
        }
    }),
    ("until another instance handles, notified", |round| {
        round.listen
    }),
    ("until another instance handles, not notified", |round| {
        round.poll
    }),
];

/// The goals: what is compared, the least or the greatest value, and whether it is the least.
const GOALS: [(&str, Figure, f64, bool); 9] = [
    (
        "accept, of insert",
        |it| it.accept.per_second / it.insert.per_second,
        3.0,
        true,
    ),
    ("accept, p99 in ms", |it| it.accept.p99_millis, 10.0, false),
    (
        "accept, of copy",
        |it| it.accept.per_second / it.copy.per_second,
        0.6,
        true,
    ),
    (
        "accept, of copy of every row",
        |it| it.accept.per_second / it.copy_all.per_second,
        0.6,
        true,
    ),
    (
        "handled, of accept",
        |it| it.handled.per_second / it.accept.per_second,
        0.5,
        true,
    ),
    (
        "open events at half of that rate",
        |it| it.paced.open as f64,
        256.0,
        false,
    ),
    (
        "two processes, of one",
        |it| (it.two[0].per_second + it.two[1].per_second) / it.accept.per_second,
        0.95,
        true,
    ),
    (
        "until handled, notified, p99 in ms",
        |it| it.listen.p99_millis,
        20.0,
        false,
    ),
    (
        "until handled, not notified, p99 in ms",
        |it| it.poll.p99_millis,
        1_000.0,
        false,
    ),
];

pub(super) fn tell(
    program: &Program,
    options: &Options,
    rounds: &[Round],
    out: &mut dyn Write,
) -> Result<()> {
    writeln!(out, "{}\n", describe(program.target())?)?;
    writeln!(
        out,
        "{} callers, bodies of {} bytes, {} rounds of {} s; medians.\n",
        options.connections, options.body_bytes, options.rounds, options.seconds
    )?;
    writeln!(
        out,
        "| subject | events/s | spread | p50 ms | p99 ms | open events |"
    )?;
    writeln!(out, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
    for (name, figures) in SUBJECTS {
        let of = |figure: fn(Figures) -> f64| -> Statistics {
            rounds.iter().map(|round| figure(figures(round))).collect()
        };
        let rate = of(|it| it.per_second);
        writeln!(
            out,
            "| {name} | {} | {} % | {} | {} | {} |",
            cell(rate.median(), 0),
            cell(rate.spread().map(|spread| spread * 100.0), 0),
            cell(of(|it| it.p50_millis).median(), 2),
            cell(of(|it| it.p99_millis).median(), 2),
            cell(of(|it| it.open as f64).median(), 0),
        )?;
    }
    writeln!(out, "\n| figure | goal | measured | held |")?;
    writeln!(out, "| --- | --- | ---: | --- |")?;
    for (name, figure, bound, is_least) in GOALS {
        let measured: Statistics = rounds.iter().map(figure).collect();
        let measured = measured.median();
        let is_held = measured.is_some_and(|measured| match is_least {
            true => measured >= bound,
            false => measured <= bound,
        });
        writeln!(
            out,
            "| {name} | {} {bound} | {} | {} |",
            if is_least { ">=" } else { "<=" },
            cell(measured, 2),
            if is_held { "yes" } else { "no" },
        )?;
    }
    Ok(())
}
