//! The receiver that is killed: a real process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use suno_testkit::receiver::{Profile, ReceiverCommand, ReceiverProcess};

use super::options::{Kill, Variant};

/// The real `suno listen`, built first.
pub(super) fn listen(store: &Path) -> Result<ReceiverCommand> {
    ReceiverCommand::listen(store, Profile::Debug)
}

/// A receiver of this program.
pub(super) fn of_variant(store: &Path, variant: Variant) -> Result<ReceiverCommand> {
    ReceiverCommand::of_this_program([
        "crash-receiver".to_owned(),
        variant.to_string(),
        store.display().to_string(),
    ])
}

/// A running receiver.
#[derive(Debug)]
pub(super) struct Subject(ReceiverProcess);

impl Subject {
    pub(super) fn start(command: &ReceiverCommand) -> Result<Self> {
        Ok(Self(ReceiverProcess::start(&mut command.command())?))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Lets it run, kills it, and returns its output.
    pub(super) fn kill(mut self, kill: Kill, at_most: Duration) -> Result<Vec<String>> {
        let (wait, handled_max) = match kill {
            Kill::After(wait) => (wait, usize::MAX),
            Kill::AtHandled(handled) => (at_most, handled),
        };
        let end = Instant::now() + wait;
        let mut printed = Vec::new();
        while printed.len() < handled_max {
            let left = end.saturating_duration_since(Instant::now());
            match self.0.lines.recv_timeout(left) {
                Ok((_, line)) => printed.push(line),
                Err(_) => break,
            }
        }
        self.0.process.kill()?;
        printed.extend(self.rest());
        Ok(printed)
    }

    /// Asks it to stop, and returns its output.
    pub(super) fn terminate(mut self) -> Result<Vec<String>> {
        self.0.process.signal("TERM")?;
        let status = self.0.process.wait()?;
        if !status.success() {
            bail!("the receiver ended with {status} when it was asked to stop");
        }
        Ok(self.rest().collect())
    }

    /// Returns the unread lines of a process that has ended.
    fn rest(&self) -> impl Iterator<Item = String> {
        self.0.lines.iter().map(|(_, line)| line)
    }
}
