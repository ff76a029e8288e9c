//! `cargo xtask`: checks of this workspace. Nothing here is needed to use the crates.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use suno_trials::Trial;
use xtask::conformance::Conformance;
use xtask::simulate::Simulate;
use xtask::{features, layers};

/// Checks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that the crates depend on each other only as allowed, that suno-types pulls in no async
    /// runtime, and that the files of a crate have no cyclic dependencies
    Layers,
    /// Check that each published crate compiles with no feature, each feature alone and all of them
    ///
    /// The fuzz targets are checked too, all crates with the oldest compiler that they promise, and
    /// dependencies with cargo-deny; what is not installed is skipped, in a line of its own. Exit
    /// codes: 0 everything compiled without a warning; 1 a check failed; 2 nothing could be checked.
    Features,
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
        Command::Features => features::run(),
        Command::Conformance(conformance) => conformance.run(),
        Command::Trial(trial) => trial.run(&mut io::stdout()),
        Command::Simulate(simulate) => simulate.run(),
    };
    result.unwrap_or_else(|err| {
        let _ = writeln!(io::stderr(), "xtask: error: {err:#}");
        otherwise
    })
}
