//! `cargo xtask conformance`: runs the conformance cases of the repository.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

/// Run the conformance cases of fixtures/ against this workspace, or against a receiver over HTTP
///
/// Exit codes: 0 every case passed; 1 a case failed; 2 no case could be run.
#[derive(Debug, clap::Args)]
pub struct Conformance {
    #[command(flatten)]
    arguments: suno_conformance::Arguments,
}

impl Conformance {
    /// Runs the cases and prints the report.
    ///
    /// # Errors
    ///
    /// Returns an error if no case could be run.
    pub fn run(&self) -> Result<ExitCode> {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        let variable = |_: &str, name: &str| {
            env::var(name).with_context(|| format!("cannot read the environment variable {name}"))
        };
        let options = self.arguments.options(fixtures.into(), variable)?;
        let mut out = io::stdout().lock();
        let good = suno_conformance::run(options, &mut out)?;
        out.flush()?;
        Ok(match good {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
