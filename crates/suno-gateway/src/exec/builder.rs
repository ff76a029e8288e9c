//! The command, and the settings of an [`ExecHandler`].

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;

use super::{ExecHandler, ExitPolicy};
use crate::breaker::BreakerSettings;
use crate::course::{CourseSettings, course_setters};
use crate::destination::DestinationName;

/// The longest time limit for a command.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A command with its arguments. It inherits the environment, except what is taken out of it.
#[derive(Clone)]
pub struct ExecCommand {
    program: OsString,
    arguments: Vec<OsString>,
    removed: Vec<OsString>,
    folder: Option<PathBuf>,
}

impl ExecCommand {
    /// Creates the command of a program, without a shell.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            removed: Vec::new(),
            folder: None,
        }
    }

    /// Creates a command that `/bin/sh -c` runs. The text must not contain anything of an event: those
    /// are written by others, and belong on stdin.
    #[must_use]
    pub fn shell(text: impl Into<OsString>) -> Self {
        Self::new("/bin/sh").with_argument("-c").with_argument(text)
    }

    /// Adds an argument.
    #[must_use]
    pub fn with_argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Takes a variable out of the environment, such as one with a key of this program.
    #[must_use]
    pub fn without_variable(mut self, name: impl Into<OsString>) -> Self {
        self.removed.push(name.into());
        self
    }

    /// Sets the working folder. The default is that of this program.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    pub(super) fn to_command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        for name in &self.removed {
            command.env_remove(name);
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }
}

/// Shows the program, and not its arguments, which can be secret.
impl fmt::Debug for ExecCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecCommand")
            .field("program", &self.program)
            .field("arguments", &self.arguments.len())
            .field("removed", &self.removed)
            .finish_non_exhaustive()
    }
}

/// Collects the settings of an [`ExecHandler`].
#[must_use = "a builder does nothing until `build`"]
pub struct ExecBuilder {
    course: CourseSettings,
    command: ExecCommand,
    exits: ExitPolicy,
    timeout: Duration,
    grace: Duration,
}

impl ExecBuilder {
    course_setters!();

    pub(super) fn new(name: DestinationName, command: ExecCommand) -> Self {
        Self {
            course: CourseSettings::new(
                name,
                BreakerSettings::new().with_in_flight_max(ExecHandler::CONCURRENCY),
            ),
            command,
            exits: ExitPolicy::new(),
            timeout: ExecHandler::TIMEOUT,
            grace: ExecHandler::GRACE,
        }
    }

    /// Sets what exit codes mean.
    pub fn with_exits(mut self, exits: ExitPolicy) -> Self {
        self.exits = exits;
        self
    }

    /// Sets the time limit for a command, up to a day. The default is [`ExecHandler::TIMEOUT`].
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(TIMEOUT_MAX);
        self
    }

    /// Sets the time between asking a command to end and killing it, up to a day. The default is
    /// [`ExecHandler::GRACE`].
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace.min(TIMEOUT_MAX);
        self
    }

    /// Creates the handler.
    #[must_use]
    pub fn build(self) -> ExecHandler {
        ExecHandler {
            course: self.course.build(self.timeout + self.grace),
            command: self.command,
            exits: self.exits,
            timeout: self.timeout,
            grace: self.grace,
        }
    }
}

impl fmt::Debug for ExecBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecBuilder")
            .field("name", &self.course.name)
            .field("command", &self.command)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
