//! The receiver that is killed: a real process.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use suno_testkit::postgres::TestSchema;
use suno_testkit::receiver::{Profile, ReceiverCommand, ReceiverProcess};
use tempfile::TempDir;

use super::options::{Kill, Variant};
use crate::stored::StorePlace;

/// The name of the store's file.
const FILE: &str = "suno.db";

/// The real `suno listen`, built first.
pub(super) fn listen(place: &Place) -> Result<ReceiverCommand> {
    match place {
        Place::File(dir) => ReceiverCommand::listen(&dir.path().join(FILE), Profile::Debug),
        Place::Schema(schema, _) => ReceiverCommand::listen_on_server(schema, Profile::Debug),
    }
}

/// A receiver of this program.
pub(super) fn of_variant(place: &Place, variant: Variant) -> Result<ReceiverCommand> {
    let command = ReceiverCommand::of_this_program([
        "crash-receiver".to_owned(),
        variant.to_string(),
        place.store().to_string(),
        place.dir().path().display().to_string(),
    ])?;
    Ok(match place {
        Place::File(_) => command,
        Place::Schema(schema, _) => command.with_server(schema.url()),
    })
}

/// The store of the receivers, and a folder for them. Both go when it is dropped.
#[derive(Debug)]
pub(super) enum Place {
    File(TempDir),
    Schema(TestSchema, TempDir),
}

impl Place {
    /// Chooses a file, or a schema on a server.
    pub(super) fn new(server: Option<&str>) -> Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a folder for the receivers")?;
        Ok(match server {
            None => Self::File(dir),
            Some(url) => Self::Schema(TestSchema::new(url), dir),
        })
    }

    pub(super) fn store(&self) -> StorePlace {
        match self {
            Self::File(dir) => StorePlace::file(&dir.path().join(FILE)),
            Self::Schema(schema, _) => StorePlace::schema(schema),
        }
    }

    /// Returns the number of receivers that share the store.
    pub(super) fn receivers(&self) -> usize {
        match self {
            Self::File(_) => 1,
            Self::Schema(..) => 2,
        }
    }

    fn dir(&self) -> &TempDir {
        match self {
            Self::File(dir) | Self::Schema(_, dir) => dir,
        }
    }
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

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        self.0.process.has_ended()
    }

    /// Returns its output so far.
    pub(super) fn printed(&self) -> Vec<String> {
        self.0.lines.try_iter().map(|(_, line)| line).collect()
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
