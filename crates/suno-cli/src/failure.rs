//! How a command fails: one line on stderr and an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

/// Why a command ends without having done its job.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    err: anyhow::Error,
}

impl Failure {
    /// The exit code of wrong usage or configuration.
    pub(crate) const USAGE: u8 = 2;
    /// The exit code of a task or a job that failed.
    const FAILED: u8 = 1;

    /// The task or the job failed.
    pub(crate) fn failed(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::FAILED,
            err: err.into(),
        }
    }

    /// Something about the call or its environment has to be changed first.
    pub(crate) fn usage(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::USAGE,
            err: err.into(),
        }
    }

    /// A command that was run for the user failed: its exit code is passed on.
    pub(crate) fn of_command(code: i32, err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: u8::try_from(code).unwrap_or(Self::FAILED),
            err: err.into(),
        }
    }

    /// Says what was being done.
    pub(crate) fn context(mut self, what: impl Into<String>) -> Self {
        self.err = self.err.context(what.into());
        self
    }

    /// Prints the line and returns the exit code. A reader that has gone away is no failure.
    pub(crate) fn report(self) -> ExitCode {
        if is_broken_pipe(&self.err) {
            return ExitCode::SUCCESS;
        }
        let _ = writeln!(io::stderr(), "suno: error: {:#}", self.err);
        ExitCode::from(self.code)
    }
}

fn is_broken_pipe(err: &anyhow::Error) -> bool {
    err.chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|err| err.kind() == io::ErrorKind::BrokenPipe)
}
