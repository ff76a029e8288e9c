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

/// A receiver that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Subject {
    receiver: ReceiverProcess,
    /// When the first line of each handled task was printed.
    handled: HashMap<String, Instant>,
    /// Kept open and not read, so that it may be full.
    _unread: Option<ChildStderr>,
}

impl Subject {
    /// Starts `suno listen` or a broken receiver.
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

    /// Reads what it printed until all of these tasks were handled, or time is up.
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

    /// When a task was first printed as handled, as far as was read.
    pub(super) fn handled_at(&self, task: &str) -> Option<Instant> {
        self.handled.get(task).copied()
    }

    /// The largest number of bytes that were resident at any time; `None` where there is no `/proc`,
    /// or the process has ended.
    pub(super) fn peak_bytes(&self) -> Option<u64> {
        self.receiver.process.peak_bytes()
    }

    /// Asks it to stop, and kills it if it has not ended in time.
    pub(super) fn stop(self, at_most: Duration) -> Result<Stop> {
        self.receiver.process.stop(at_most)
    }
}
