//! How a command fails: one line on stderr and an exit code.

use std::io;
use std::process::ExitCode;

use crate::{log, output};

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
    /// The exit code if nobody reads stdout any more: `EX_IOERR` of sysexits.
    const UNREAD: u8 = 74;

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

    /// Nobody reads what is printed, or it cannot be written.
    pub(crate) fn unread(err: impl Into<anyhow::Error>) -> Self {
        Self {
            code: Self::UNREAD,
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

    /// Prints the line and returns the exit code. A reader that has gone away is no failure, unless
    /// the lines were the job.
    pub(crate) fn report(self) -> ExitCode {
        if self.code != Self::UNREAD && is_broken_pipe(&self.err) {
            return ExitCode::SUCCESS;
        }
        let line = output::visible(&format!("{:#}", self.err));
        log::line(&format!("suno: error: {line}"));
        ExitCode::from(self.code)
    }
}

/// True if this process could not write. The pipe of a connection can break as well: an error that
/// merely has such a cause is a failure.
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
