//! `suno conformance`: runs the built-in conformance cases, optionally against a receiver.

use std::io::{self, Write};

use anyhow::anyhow;
use suno_conformance::{ConformanceError, Fixtures};

use crate::environment;
use crate::failure::Failure;

/// Test a callback receiver, written in any language, with the conformance cases.
///
/// With --target, sends the receiver cases over HTTP to a running receiver, as the provider would:
/// signed with its webhook key, with new task ids and the current time. Without --target, runs every
/// case in this process against the Rust crates that this command is built with.
///
/// The cases are built in; --fixtures reads them from a folder instead. A case that cannot run
/// against the target, such as one that needs a second webhook key, is reported as not applicable.
///
/// Exit codes: 0 every case passed; 1 a case failed; 2 no case could be run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  export WEBHOOK_KEY=…
  suno conformance --target http://localhost:3000/suno/callback --webhook-key-env WEBHOOK_KEY")]
pub(crate) struct Arguments {
    #[command(flatten)]
    arguments: suno_conformance::Arguments,
}

impl From<ConformanceError> for Failure {
    fn from(err: ConformanceError) -> Self {
        Self::usage(err)
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let options = arguments
        .arguments
        .options(Fixtures::Embedded, environment::named_by)?;
    // The cases start their own async runtimes.
    let running = tokio::task::spawn_blocking(move || {
        let mut report = Vec::new();
        let result = suno_conformance::run(options, &mut report);
        (report, result)
    });
    let (report, result) = running.await.map_err(Failure::failed)?;
    print(&report).map_err(Failure::failed)?;
    match result? {
        true => Ok(()),
        false => Err(Failure::failed(anyhow!("a case failed"))),
    }
}

fn print(report: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(report)?;
    stdout.flush()
}
