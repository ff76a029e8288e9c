//! Reports the failure of a command: one line on stderr and an exit code.

use std::io;
use std::process::ExitCode;

use crate::{log, output};

/// The reason why a command could not do its job.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    err: anyhow::Error,
}

impl Failure {
    /// The exit code for wrong usage or configuration.
    pub(crate) const USAGE: u8 = 2;
    /// The exit code for a failed task or job.
    const FAILED: u8 = 1;
    /// The exit code for a submit that had no effect.
    const REFUSED: u8 = 3;
    /// The exit code for a submit that may have created a task.
    const UNKNOWN: u8 = 4;
    /// The exit code when stdout is closed: `EX_IOERR` of sysexits.
    const UNREAD: u8 = 74;

    /// Creates the failure of a task or a job.
    pub(crate) fn failed(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::FAILED,
            err: err.into(),
        }
    }

    /// Creates the failure of a command whose arguments or environment must be corrected.
    pub(crate) fn usage(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::USAGE,
            err: err.into(),
        }
    }

    /// Creates the failure of a submit that had no effect: nothing was paid.
    pub(crate) fn refused(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::REFUSED,
            err: err.into(),
        }
    }

    /// Creates the failure of a submit that may have created a task, which may have been paid for.
    pub(crate) fn unknown(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::UNKNOWN,
            err: err.into(),
        }
    }

    /// Creates the failure of a command whose stdout is closed or cannot be written.
    pub(crate) fn unread(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::UNREAD,
            err: err.into(),
        }
    }

    /// Creates the failure of a command that was run for the user; its exit code is passed on.
    pub(crate) fn of_command(code: i32, err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: u8::try_from(code).unwrap_or(Self::FAILED),
            err: err.into(),
        }
    }

    /// Adds what was being done.
    pub(crate) fn context(mut self, what: impl Into<String>) -> Self {
        self.err = self.err.context(what.into());
        self
    }

    /// Prints the line and returns the exit code. A closed stdout is only an error if printing was
    /// the job.
    pub(crate) fn report(self) -> ExitCode {
        if self.code != Self::UNREAD && is_broken_pipe(&self.err) {
            return ExitCode::SUCCESS;
        }
        let line = output::visible(&format!("{:#}", self.err));
        log::failure(&line);
        ExitCode::from(self.code)
    }
}

/// Whether this process itself could not write to stdout. A connection can break its pipe as well,
/// so an error that merely has such a cause still counts as a failure.
fn is_broken_pipe(err: &anyhow::Error) -> bool {
    err.downcast_ref::<io::Error>()
        .is_some_and(|err| err.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the connection ended")]
    struct Ended(#[source] io::Error);

    #[test]
    fn a_broken_connection_is_not_taken_for_a_reader_that_has_gone_away() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&pipe().into()));
        assert!(is_broken_pipe(
            &anyhow::Error::new(pipe()).context("writing")
        ));
        assert!(!is_broken_pipe(&Ended(pipe()).into()));
        assert!(!is_broken_pipe(
            &anyhow::Error::new(Ended(pipe())).context("asking")
        ));
    }
}
