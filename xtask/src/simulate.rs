//! Simulations, built for speed and with every check of a debug build.
//!
//! They are a program of their own: what they switch on in the other crates must not reach the
//! benchmarks.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Run receivers, stores, clocks and faults in simulated time, and check every promise
///
/// What breaks a promise is shrunk to a small plan; keep it in 'crates/suno-simulation/plans' when its cause is
/// mended. Exit codes: 0 every promise was kept, or the mutant was found; 1 otherwise; 2 it could not
/// be run.
#[derive(Debug, clap::Args, serde::Serialize)]
pub struct Simulate {
    /// The seed of the first run; the next ones follow
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// How many runs over the store in memory
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    runs: u64,
    /// How many runs over files of SQLite
    #[arg(long, value_name = "COUNT", default_value_t = 300)]
    sqlite_runs: u64,
    /// Run this plan only
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Print everything that happens in the plan, or in the run of the seed
    #[arg(long)]
    trace: bool,
    /// Put a mistake in, which must be found
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

impl Simulate {
    /// Builds the program, and runs it.
    ///
    /// # Errors
    ///
    /// If it cannot be built or run.
    pub fn run(&self) -> Result<ExitCode> {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["run", "--quiet", "--profile", "simulation"])
            .args(["--package", "suno-simulation", "--example", "simulate"])
            .args(["--", &serde_json::to_string(self)?]);
        let status = command.status().context("cannot run cargo")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(2)))
    }
}
