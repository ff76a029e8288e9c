//! `cargo xtask`: checks of this workspace. Nothing here is needed to use the crates.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use suno_trials::Trial;
use xtask::conformance::Conformance;
use xtask::layers;
use xtask::simulate::Simulate;

/// Checks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that the crates depend on each other only as allowed, and that suno-types pulls
    /// in no async runtime
    Layers,
    Conformance(Box<Conformance>),
    #[command(flatten)]
    Trial(Trial),
    Simulate(Simulate),
}

/// The exit code of a command that could not be run.
const COULD_NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let mut otherwise = ExitCode::from(COULD_NOT_RUN);
    let result = match Arguments::parse().command {
        Command::Layers => {
            otherwise = ExitCode::FAILURE;
            layers::run().map(|()| ExitCode::SUCCESS)
        }
        Command::Conformance(conformance) => conformance.run(),
        Command::Trial(trial) => trial.run(&mut io::stdout()),
        Command::Simulate(simulate) => simulate.run(),
    };
    result.unwrap_or_else(|err| {
        let _ = writeln!(io::stderr(), "xtask: error: {err:#}");
        otherwise
    })
}
