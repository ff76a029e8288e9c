//! `cargo xtask`: checks of this workspace. Nothing here is needed to use the crates.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use xtask::{abuse, bench, crash, endtoend, footprint, instructions, layers, simulate};

/// Checks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that the crates depend on each other only along the arrows, and that suno-types
    /// pulls in no async runtime
    Layers,
    Conformance(Box<Conformance>),
    Crash(Crash),
    EndToEnd(EndToEnd),
    Bench(Box<bench::Bench>),
    Instructions(instructions::Instructions),
    /// A server to measure, for 'bench'
    #[command(hide = true)]
    BenchSubject {
        subject: bench::Subject,
        dir: PathBuf,
    },
    /// The load, for 'bench'
    #[command(hide = true)]
    BenchLoad(bench::Load),
    /// A store that grows, for 'bench growth'
    #[command(hide = true)]
    BenchGrow(bench::Growing),
    /// A provider to ask, for 'bench client'
    #[command(hide = true)]
    BenchProvider,
    /// A client that asks, for 'bench client'
    #[command(hide = true)]
    BenchAsk(bench::Asking),
    /// The work whose instructions are counted, for 'instructions'
    #[command(hide = true)]
    InstructionsWork(instructions::Work),
    /// A receiver that is not 'suno listen', for 'crash'
    #[command(hide = true)]
    CrashReceiver {
        variant: crash::Variant,
        store: PathBuf,
    },
    Footprint(Footprint),
    Abuse(abuse::Abuse),
    /// A receiver that is broken, for 'abuse'
    #[command(hide = true)]
    AbuseReceiver {
        defect: abuse::Defect,
        store: PathBuf,
    },
    Simulate(simulate::Simulate),
}

/// Kill `suno listen` again and again under load, and look for what it lost
///
/// Exit codes: 0 nothing was lost; 1 something was lost; 2 it could not be run.
#[derive(Debug, clap::Args)]
struct Crash {
    /// How often to kill it
    #[arg(long, value_name = "COUNT", default_value_t = 25)]
    rounds: u32,
    /// How many connections send at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    connections: usize,
    /// Decides when to kill; the same seed sends the same and kills at the same moments
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Test a receiver that is broken, which must be caught (exit code 1): it answers before the
    /// commit or, with --in-transaction, settles in a second transaction
    #[arg(long)]
    broken: bool,
    /// Test a receiver whose handler ends the process now and then
    #[arg(long, conflicts_with_all = ["broken", "in_transaction"])]
    handler_kills: bool,
    /// Test a receiver whose handler writes a row and settles the event in one transaction: each
    /// event must have exactly one row
    #[arg(long)]
    in_transaction: bool,
}

/// Measure the memory of `suno listen`, and whether it answers during a flood of connections
///
/// Exit codes: 0 all bounds are kept; 1 one is not; 2 it could not be run.
#[derive(Debug, clap::Args)]
struct Footprint {
    /// How many connections are open and idle
    #[arg(long, value_name = "COUNT", default_value_t = footprint::Options::default().connections)]
    connections: usize,
    /// How many events are stored and not handled
    #[arg(long, value_name = "COUNT", default_value_t = footprint::Options::default().events)]
    events: usize,
    /// How many connections are opened at once
    #[arg(long, value_name = "COUNT", default_value_t = footprint::Options::default().flood)]
    flood: usize,
    /// Measure a build without optimisations
    #[arg(long)]
    debug: bool,
}

impl Footprint {
    fn run(&self) -> Result<ExitCode> {
        let mut options = footprint::Options::default();
        options.connections = self.connections;
        options.events = self.events;
        options.flood = self.flood;
        options.debug = self.debug;
        let good = footprint::run(options, &mut io::stdout().lock())?;
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Crash {
    fn run(&self) -> Result<ExitCode> {
        let options = crash::Options {
            rounds: self.rounds,
            connections: self.connections,
            seed: self.seed,
            variant: match (self.in_transaction, self.broken) {
                (true, false) => Some(crash::Variant::InTransaction),
                (true, true) => Some(crash::Variant::TwoTransactions),
                (false, true) => Some(crash::Variant::AnswersEarly),
                (false, false) => self.handler_kills.then_some(crash::Variant::HandlerKills),
            },
        };
        let good = crash::run(&options, &mut io::stdout().lock())?;
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Submit, receive, handle and ask against the emulator under faults drawn at random, and look for
/// songs that were lost, paid for twice, or a stranger's
///
/// Time is stepped: minutes pass in milliseconds. Exit codes: 0 all is well; 1 something is wrong; 2
/// it could not be run.
#[derive(Debug, clap::Args)]
struct EndToEnd {
    /// How many tasks are submitted
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    tasks: usize,
    /// Decides the faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// How many worlds share the tasks, each with a provider and a receiver of its own
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    worlds: usize,
    /// Leave something out, which must be caught: exit code 1
    #[arg(long, value_name = "WHAT")]
    broken: Option<endtoend::Broken>,
}

impl EndToEnd {
    fn run(&self) -> Result<ExitCode> {
        let options = endtoend::Options {
            tasks: self.tasks,
            seed: self.seed,
            worlds: self.worlds,
            broken: self.broken,
        };
        let good = endtoend::run(&options, &mut io::stdout().lock())?;
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// 0 for good, 1 for bad.
fn verdict(result: Result<bool>) -> Result<ExitCode> {
    result.map(|good| match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Runs a future to its end, on one thread.
fn block_on(future: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(future)?;
    Ok(ExitCode::SUCCESS)
}

/// Run the conformance cases of fixtures/ against this workspace, or against a receiver over HTTP
///
/// Exit codes: 0 every case passed; 1 a case failed; 2 nothing could be run.
#[derive(Debug, clap::Args)]
struct Conformance {
    #[command(flatten)]
    arguments: suno_conformance::Arguments,
}

impl Conformance {
    fn run(&self) -> Result<ExitCode> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let variable = |_: &str, name: &str| {
            env::var(name).with_context(|| format!("cannot read the environment variable {name}"))
        };
        let options = self.arguments.options(fixtures.into(), variable)?;
        let mut out = io::stdout().lock();
        let good = suno_conformance::run(options, &mut out)?;
        out.flush()?;
        verdict(Ok(good))
    }
}

/// The exit code of what could not be done at all.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let (result, otherwise) = match Arguments::parse().command {
        Command::Layers => (layers::run().map(|()| ExitCode::SUCCESS), ExitCode::FAILURE),
        Command::Conformance(conformance) => (conformance.run(), ExitCode::from(COULD_NOT_RUN)),
        Command::Crash(crash) => (crash.run(), ExitCode::from(COULD_NOT_RUN)),
        Command::EndToEnd(endtoend) => (endtoend.run(), ExitCode::from(COULD_NOT_RUN)),
        Command::CrashReceiver { variant, store } => {
            (block_on(crash::receive(variant, &store)), ExitCode::FAILURE)
        }
        Command::Footprint(footprint) => (footprint.run(), ExitCode::from(COULD_NOT_RUN)),
        Command::Abuse(abuse) => (
            verdict(abuse.run(&mut io::stdout())),
            ExitCode::from(COULD_NOT_RUN),
        ),
        Command::AbuseReceiver { defect, store } => {
            (block_on(abuse::receive(defect, &store)), ExitCode::FAILURE)
        }
        Command::Simulate(simulate) => (simulate.run(), ExitCode::from(COULD_NOT_RUN)),
        Command::Bench(bench) => (
            verdict(bench.run(&mut io::stdout())),
            ExitCode::from(COULD_NOT_RUN),
        ),
        Command::BenchSubject { subject, dir } => {
            (block_on(bench::serve(subject, &dir)), ExitCode::FAILURE)
        }
        Command::BenchLoad(load) => (block_on(bench::send(load)), ExitCode::FAILURE),
        Command::BenchGrow(growing) => (block_on(bench::grow(growing)), ExitCode::FAILURE),
        Command::BenchProvider => (block_on(bench::provide()), ExitCode::FAILURE),
        Command::BenchAsk(asking) => (block_on(bench::ask(asking)), ExitCode::FAILURE),
        Command::Instructions(counted) => (
            counted.run(&mut io::stdout()),
            ExitCode::from(COULD_NOT_RUN),
        ),
        Command::InstructionsWork(work) => (block_on(work.run()), ExitCode::FAILURE),
    };
    result.unwrap_or_else(|err| {
        let _ = writeln!(io::stderr(), "xtask: error: {err:#}");
        otherwise
    })
}
