//! The receiver under load: a process whose stderr is a pipe that is not read.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStderr, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use anyhow::Result;
use suno_testkit::process::Stop;
use suno_testkit::receiver::{Profile, ReceiverCommand, ReceiverProcess, handled_task};

use super::receiver::Defect;

/// A running receiver. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Subject {
    receiver: ReceiverProcess,
    /// The time at which the first line of each handled task was printed.
    handled: HashMap<String, Instant>,
    /// Kept open but not read, so that it may fill up.
    _unread: Option<ChildStderr>,
}

impl Subject {
    /// Starts `suno listen` or a defective receiver.
    pub(super) fn start(store: &Path, defect: Option<Defect>) -> Result<Self> {
        let command = match defect {
            None => ReceiverCommand::listen(store, Profile::Release)?,
            Some(defect) => ReceiverCommand::of_this_program([
                "abuse-receiver".to_owned(),
                defect.to_string(),
                store.display().to_string(),
            ])?,
        };
        let mut receiver = ReceiverProcess::start(command.command().stderr(Stdio::piped()))?;
        let unread = receiver.process.stderr();
        Ok(Self {
            receiver,
            handled: HashMap::new(),
            _unread: unread,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.receiver.address
    }

    /// Reads the output until all of these tasks were handled, or the time limit has passed.
    pub(super) fn read_until_handled(&mut self, tasks: &[String], until: Instant) {
        let is_missing = |task: &&String| !self.handled.contains_key(*task);
        let mut missing: HashSet<String> = tasks.iter().filter(is_missing).cloned().collect();
        while !missing.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            match self.receiver.lines.recv_timeout(left) {
                Ok((at, line)) => {
                    if let Some(task) = handled_task(&line) {
                        missing.remove(&task);
                        self.handled.entry(task).or_insert(at);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Returns when a task was first printed as handled, in the output read so far.
    pub(super) fn handled_at(&self, task: &str) -> Option<Instant> {
        self.handled.get(task).copied()
    }

    /// Returns the largest number of resident bytes at any time. `None` if `/proc` does not exist,
    /// or the process has ended.
    pub(super) fn peak_bytes(&self) -> Option<u64> {
        self.receiver.process.peak_bytes()
    }

    /// Asks it to stop, and kills it if it does not end in time.
    pub(super) fn stop(self, at_most: Duration) -> Result<Stop> {
        self.receiver.process.stop(at_most)
    }
}
