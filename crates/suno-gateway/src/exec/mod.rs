//! Runs a command for each event, and decides by its exit code.
//!
//! The command gets the JSON of [`Message`] on stdin, with a line break at its end, and the variables
//! `SUNO_EVENT_ID`, `SUNO_EVENT_TYPE` and `SUNO_EVENT_ATTEMPT`, or `SUNO_EVENT_REPLAY` instead of the
//! last one for a replay. It need not read stdin.
//!
//! | end of the command | action |
//! | --- | --- |
//! | exit code 0 | [`Done`](Action::Done) |
//! | 75 | [`Retry`](Action::Retry): the command asks for it, and is not at fault |
//! | 65 | [`BadEvent`](Action::BadEvent): a few attempts, then a dead letter |
//! | 126, 127, or it cannot be started | [`Pause`](Action::Pause): it is not there, or may not be run |
//! | any other code, a signal, or too long | [`Retry`](Action::Retry), with back-off |
//!
//! The command leads a process group of its own. If it takes too long, the group is asked to end
//! (`SIGTERM`), and what is left of it is killed five seconds later, or once the command itself has
//! ended. Processes that a command leaves running after it ended in time are not touched.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use suno_gateway::destination::DestinationName;
//! use suno_gateway::exec::{ExecCommand, ExecHandler};
//!
//! let command = ExecCommand::shell("jq -r .data.task_id >> finished.txt")
//!     .without_variable("SUNO_WEBHOOK_KEY");
//! let handler = ExecHandler::builder(DestinationName::new("script")?, command)
//!     .with_timeout(Duration::from_secs(30))
//!     .build();
//! # drop(handler);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
mod exit;
mod group;
mod process;
mod tail;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::HandlerError;

pub use builder::{ExecBuilder, ExecCommand};
pub use exit::ExitPolicy;

use self::process::{Ending, run};
use crate::attempt::{ExitRecord, KeptText, Outcome};
use crate::body::{EventParts, Message};
use crate::breaker::BreakerState;
use crate::course::{Course, Delivered, Ended};
use crate::destination::{Action, DestinationName, Failure, Verdict};
use crate::fan_out::{PartsHandler, handle_parts};
use crate::operate::Destination;
use crate::redact::without_addresses;

/// A handler that runs a command for each event.
///
/// At most [`CONCURRENCY`](Self::CONCURRENCY) commands run at a time, unless the breaker's settings
/// say otherwise. A command that keeps failing is left alone for a while, as [`crate::breaker`] says.
pub struct ExecHandler {
    course: Course,
    command: ExecCommand,
    exits: ExitPolicy,
    timeout: Duration,
    grace: Duration,
}

impl ExecHandler {
    /// The default time limit for a command.
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    /// The default time between asking a command to end and killing it.
    pub const GRACE: Duration = Duration::from_secs(5);
    /// The default number of commands that run at a time.
    pub const CONCURRENCY: usize = 4;

    /// Returns a builder.
    pub fn builder(name: DestinationName, command: ExecCommand) -> ExecBuilder {
        ExecBuilder::new(name, command)
    }

    /// Returns whether the command works, keeps failing, or is paused.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.course.gate.state()
    }

    /// Lets the next event go at once to a command that keeps failing or is paused. Returns whether
    /// anything changed.
    pub fn resume(&self) -> bool {
        self.course.gate.resume()
    }

    /// Runs the command on a message and decides what follows. `number` is the number of the attempt,
    /// from 1.
    pub async fn deliver(&self, message: &Message, number: u32) -> Delivered {
        let attempt = self.execute(message, "SUNO_EVENT_ATTEMPT", number);
        self.course.deliver(message, number, attempt).await
    }

    /// Gives back the events that wait and those that come later, so that a stop need not wait for a
    /// command that is left alone. Commands that run go on.
    pub fn close(&self) {
        self.course.gate.close();
    }

    async fn execute(&self, message: &Message, variable: &str, number: u32) -> Ended {
        let mut command = self.command.to_command();
        command
            .env("SUNO_EVENT_ID", message.id.as_str())
            .env("SUNO_EVENT_TYPE", &*message.kind)
            .env(variable, number.to_string());
        let mut input = message.body.to_vec();
        input.push(b'\n');
        match run(command, &input, self.timeout, self.grace).await {
            Ok(ending) => self.judge(&ending),
            Err(err) => {
                let detail = KeptText::head(&err.to_string(), false);
                let mut ended = self.course.not_answered(Failure::Start, detail);
                if ExitPolicy::is_missing(&err) {
                    ended.verdict = Verdict::new(Action::Pause);
                }
                ended
            }
        }
    }

    fn judge(&self, ending: &Ending) -> Ended {
        let kept = |tail: &tail::Tail| {
            let text = tail.text();
            KeptText::tail(&without_addresses(&text), tail.is_cut())
        };
        let action = match ending.code {
            Some(code) if !ending.is_timed_out => self.exits.action(code),
            _ => Action::Retry,
        };
        Ended {
            outcome: Outcome::Exited(ExitRecord {
                code: ending.code,
                signal: ending.signal,
                is_timed_out: ending.is_timed_out,
                stdout: kept(&ending.stdout),
                stderr: kept(&ending.stderr),
            }),
            verdict: Verdict::new(action),
            is_resent: false,
        }
    }
}

#[async_trait]
impl PartsHandler for ExecHandler {
    async fn on_parts(&self, parts: EventParts<'_>, attempt: u32) -> Result<(), HandlerError> {
        let message = Message::new(parts, self.course.form);
        self.deliver(&message, attempt).await.into_result()
    }
}

handle_parts!(ExecHandler);

#[async_trait]
impl Destination for ExecHandler {
    fn name(&self) -> &DestinationName {
        &self.course.name
    }

    fn state(&self) -> BreakerState {
        self.state()
    }

    fn resume(&self) -> bool {
        self.resume()
    }

    async fn replay(&self, message: &Message, replay: u32) -> Delivered {
        let attempt = self.execute(message, "SUNO_EVENT_REPLAY", replay);
        self.course.replay(message, replay, attempt).await
    }
}

/// Leaves out the command, whose arguments can be secret.
impl fmt::Debug for ExecHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecHandler")
            .field("name", &self.course.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
