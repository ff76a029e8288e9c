//! `cargo xtask simulate`: runs the simulations, built for speed and with every check of a debug
//! build.
//!
//! They are a separate program: the features that they enable in the other crates must not affect
//! the benchmarks.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

/// Run receivers, stores, clocks and faults in simulated time, and check every promise
///
/// A plan that breaks a promise is shrunk; keep the result in 'crates/suno-simulation/plans' after
/// fixing the cause. Exit codes: 0 every promise was kept, or the mutant was found; 1 otherwise; 2
/// the simulation could not be run.
#[derive(Debug, clap::Args, serde::Serialize)]
pub struct Simulate {
    /// Seed of the first run; the next runs use the following numbers
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// Number of runs with the store in memory
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    runs: u64,
    /// Number of runs with SQLite files
    #[arg(long, value_name = "COUNT", default_value_t = 300)]
    sqlite_runs: u64,
    /// Number of runs with PostgreSQL; needs --store
    #[arg(long, value_name = "COUNT", default_value_t = 0, requires = "store")]
    postgres_runs: u64,
    /// Server for runs with PostgreSQL, each in a schema of its own: a URL
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Run only this plan
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Print everything that happens in the plan, or in the run of the seed
    #[arg(long)]
    trace: bool,
    /// Inject a bug, which must be found
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
}

impl Simulate {
    /// Builds the program, and runs it.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be built or run.
    pub fn run(&self) -> Result<ExitCode> {
        let mut command = suno_trials::cargo();
        command
            .args(["run", "--quiet", "--profile", "simulation"])
            .args(["--package", "suno-simulation", "--example", "simulate"])
            .args(["--", &serde_json::to_string(self)?]);
        let status = command.status().context("cannot run cargo")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(2)))
    }
}
