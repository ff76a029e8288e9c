//! The receiver under load: a process whose stderr is a pipe that is not read.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::receiver::Defect;
use crate::crash::subject::{Subcommand, address_of, listen};

/// How long a receiver may take to start.
const START: Duration = Duration::from_secs(20);
/// How often to look whether the process has ended.
const TICK: Duration = Duration::from_millis(10);

/// A receiver that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Subject {
    process: Process,
    address: SocketAddr,
    lines: Receiver<(Instant, String)>,
    /// When the first line of each handled task was printed.
    handled: HashMap<String, Instant>,
    /// Kept open and not read, so that it may be full.
    _unread: Option<ChildStderr>,
}

/// How a process was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It ended after this time.
    After(Duration),
    /// It had ended before it was asked to, or ended with a failure.
    Failed(ExitStatus),
    /// It had to be killed.
    Killed,
}

impl Subject {
    /// Starts `suno listen` or a broken receiver.
    pub(super) fn start(store: &Path, defect: Option<Defect>) -> Result<Self> {
        let command = match defect {
            None => listen(store, true)?,
            Some(defect) => Subcommand::of_this_program([
                "abuse-receiver".to_owned(),
                defect.to_string(),
                store.display().to_string(),
            ])?,
        };
        let mut child = command.spawn_with(Stdio::piped())?;
        let (stdout, unread) = (child.stdout.take(), child.stderr.take());
        let process = Process(child);
        let (sender, lines) = mpsc::channel();
        let stdout = stdout.context("the receiver has no stdout")?;
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    break;
                }
            }
        });
        let (_, listening) = lines
            .recv_timeout(START)
            .context("the receiver did not start")?;
        Ok(Self {
            process,
            address: address_of(&listening)?,
            lines,
            handled: HashMap::new(),
            _unread: unread,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads what it printed until all of these tasks were handled, or time is up.
    pub(super) fn read_until_handled(&mut self, tasks: &[String], until: Instant) {
        let is_missing = |task: &&String| !self.handled.contains_key(*task);
        let mut missing: HashSet<String> = tasks.iter().filter(is_missing).cloned().collect();
        while !missing.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
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
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id())).ok()?;
        peak_bytes(&status)
    }

    /// Asks it to stop, and kills it if it has not ended in time.
    pub(super) fn stop(mut self, at_most: Duration) -> Result<Stop> {
        if let Some(status) = self.process.0.try_wait()? {
            return Ok(Stop::Failed(status));
        }
        let asked = Instant::now();
        let pid = self.process.0.id().to_string();
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .context("cannot run kill")?;
        while asked.elapsed() < at_most {
            match self.process.0.try_wait()? {
                Some(status) if status.success() => return Ok(Stop::After(asked.elapsed())),
                Some(status) => return Ok(Stop::Failed(status)),
                None => thread::sleep(TICK),
            }
        }
        Ok(Stop::Killed)
    }
}

/// A process that is killed when this is dropped.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The task of a line that says that an event was handled.
fn handled_task(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line["event"] != "handled" {
        return None;
    }
    Some(line["task_id"].as_str()?.to_owned())
}

/// The peak in the text of `/proc/PID/status`.
fn peak_bytes(status: &str) -> Option<u64> {
    let line = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line("VmHWM:")?.trim().strip_suffix(" kB")?;
    Some(kibibytes.parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_in_bytes() {
        let status = "Name:\tsuno\nVmHWM:\t   12000 kB\nVmRSS:\t    9000 kB\n";
        assert_eq!(peak_bytes(status), Some(12_288_000));
        assert_eq!(peak_bytes("Name:\tsuno\n"), None);
    }

    #[test]
    fn only_lines_of_handled_events_count() {
        let line = r#"{"event":"handled","task_id":"a"}"#;
        assert_eq!(handled_task(line).as_deref(), Some("a"));
        assert_eq!(handled_task(r#"{"event":"listening","url":"x"}"#), None);
        assert_eq!(handled_task("not JSON"), None);
    }
}
