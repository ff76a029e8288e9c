//! The command, and the settings of an [`ExecHandler`].

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::{Clock, SystemClock};
use tokio::process::Command;

use super::{ExecHandler, ExitPolicy};
use crate::body::BodyForm;
use crate::breaker::BreakerSettings;
use crate::course::Course;
use crate::destination::{DestinationName, Policy};
use crate::observe::Observer;

/// The longest time limit for a command.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The minimum by which the lease of a probe exceeds the time of a run.
const LEASE_EXCESS: Duration = Duration::from_secs(5);

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
    name: DestinationName,
    command: ExecCommand,
    exits: ExitPolicy,
    form: BodyForm,
    timeout: Duration,
    grace: Duration,
    policy: Policy,
    breaker: BreakerSettings,
    observer: Option<Arc<dyn Observer>>,
    clock: Arc<dyn Clock>,
}

impl ExecBuilder {
    pub(super) fn new(name: DestinationName, command: ExecCommand) -> Self {
        Self {
            name,
            command,
            exits: ExitPolicy::new(),
            form: BodyForm::Full,
            timeout: ExecHandler::TIMEOUT,
            grace: ExecHandler::GRACE,
            policy: Policy::new(),
            breaker: BreakerSettings::new().with_in_flight_max(ExecHandler::CONCURRENCY),
            observer: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets what exit codes mean.
    pub fn with_exits(mut self, exits: ExitPolicy) -> Self {
        self.exits = exits;
        self
    }

    /// Sets how much of an event is written to stdin. The default is everything.
    pub fn with_body_form(mut self, form: BodyForm) -> Self {
        self.form = form;
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

    /// Sets the waits before an event is tried again, and the attempts of one that is at fault. Its
    /// table of statuses is not used.
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets when the command is left alone, and how many run at a time. The lease of a probe is
    /// extended to more than a run can take.
    pub fn with_breaker(mut self, breaker: BreakerSettings) -> Self {
        self.breaker = breaker;
        self
    }

    /// Sets who receives every attempt and every change of state.
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets the clock, for tests.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Creates the handler.
    #[must_use]
    pub fn build(self) -> ExecHandler {
        let mut breaker = self.breaker;
        let longest = self.timeout + self.grace + LEASE_EXCESS;
        breaker.probe_lease = breaker.probe_lease.max(longest);
        ExecHandler {
            course: Course::new(self.name, self.policy, breaker, self.observer, self.clock),
            command: self.command,
            exits: self.exits,
            form: self.form,
            timeout: self.timeout,
            grace: self.grace,
        }
    }
}

impl fmt::Debug for ExecBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecBuilder")
            .field("name", &self.name)
            .field("command", &self.command)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
