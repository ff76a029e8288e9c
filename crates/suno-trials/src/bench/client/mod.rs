//! Compares the client with a bare one: submit and poll over kept connections, and many waits.

mod asking;
mod provider;

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

pub use self::asking::Asking;
pub(crate) use self::asking::ask;
pub(crate) use self::provider::provide;

use self::asking::Asker;
use super::bound;
use super::machine::{Program, SubjectProcess, describe};
use super::statistics::{Figures, cell};

/// Submit and poll over kept connections, compared with the bare client of hyper-util; and
/// measure many waits
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    /// Number of tasks that submit and poll at the same time
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::AT_ONCE_MAX),
        default_value_t = 16
    )]
    tasks: usize,
    /// Duration of each run
    #[arg(long, value_parser = bound::seconds, default_value_t = 3.0)]
    seconds: f64,
    /// Number of runs of each client
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::ROUNDS_MAX),
        default_value_t = 3
    )]
    rounds: usize,
    /// Number of waits at the same time
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::AT_ONCE_MAX),
        default_value_t = 10_000
    )]
    waits: usize,
    /// Time between two polls of a wait
    #[arg(long, value_name = "SECONDS", value_parser = bound::seconds, default_value_t = 10.0)]
    interval: f64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The results of a client in a run.
#[derive(Debug, Clone, Deserialize)]
struct Pairs {
    per_second: f64,
    cpu_micros_each: f64,
}

/// The results of the waits.
#[derive(Debug, Clone, Deserialize)]
struct Waits {
    resident_kb: f64,
    longest_gap_seconds: f64,
}

pub(super) fn run(program: &Program, options: &Options, out: &mut dyn Write) -> Result<()> {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        bare.push(pairs(program, options, Asker::HyperUtil)?);
        ours.push(pairs(program, options, Asker::SunoClient)?);
    }
    let both = bare.iter().zip(&ours);
    let ratio: Figures = both
        .map(|(bare, ours)| ours.per_second / bare.per_second)
        .collect();
    let waits = waits(program, options)?;
    let median = |pairs: &[Pairs], figure: fn(&Pairs) -> f64| {
        pairs.iter().map(figure).collect::<Figures>().median()
    };
    if options.json {
        let told = serde_json::json!({
            "hyper_util_per_second": median(&bare, |pairs| pairs.per_second),
            "suno_client_per_second": median(&ours, |pairs| pairs.per_second),
            "of_hyper_util": ratio.median(),
            "waits": options.waits,
            "resident_kb": waits.resident_kb,
            "interval_seconds": options.interval,
            "longest_gap_seconds": waits.longest_gap_seconds,
        });
        writeln!(out, "{told}")?;
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    writeln!(
        out,
        "{}; {} rounds of {} s, {} tasks at the same time; medians.\n\n\
         | client | submit and poll/s | of hyper-util | client µs each |\n\
         | --- | ---: | ---: | ---: |\n\
         | hyper-util | {} | 1.00 | {} |\n\
         | suno-client (goal >= 0.9) | {} | {} | {} |\n\n\
         {} waits in one process: {} MB resident (goal <= 60 MB for 10,000). Interval {} s, with up \
         to a tenth of jitter; the longest time between two polls of one task was {} s.",
        describe(dir.path())?,
        options.rounds,
        options.seconds,
        options.tasks,
        cell(median(&bare, |pairs| pairs.per_second), 0),
        cell(median(&bare, |pairs| pairs.cpu_micros_each), 1),
        cell(median(&ours, |pairs| pairs.per_second), 0),
        cell(ratio.median(), 2),
        cell(median(&ours, |pairs| pairs.cpu_micros_each), 1),
        options.waits,
        cell(Some(waits.resident_kb / 1024.0), 1),
        options.interval,
        cell(Some(waits.longest_gap_seconds), 2),
    )?;
    Ok(())
}

fn provider(program: &Program) -> Result<SubjectProcess> {
    let mut command = program.pinned_server(program.path());
    command.arg("bench-provider");
    SubjectProcess::start(command)
}

fn pairs(program: &Program, options: &Options, asker: Asker) -> Result<Pairs> {
    let provider = provider(program)?;
    let asking = Asking {
        asker,
        address: provider.address(),
        tasks: options.tasks,
        duration: Duration::try_from_secs_f64(options.seconds)?,
        interval: Duration::ZERO,
    };
    program.tell("bench-ask", asking.arguments())
}

fn waits(program: &Program, options: &Options) -> Result<Waits> {
    let provider = provider(program)?;
    let interval = Duration::try_from_secs_f64(options.interval)?;
    let asking = Asking {
        asker: Asker::Waits,
        address: provider.address(),
        tasks: options.waits,
        duration: interval * 3,
        interval,
    };
    program.tell("bench-ask", asking.arguments())
}
