//! Processes that are killed when they are dropped, with their output lines and their figures in
//! `/proc`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// The interval at which a process is polled for its end.
const TICK: Duration = Duration::from_millis(10);
/// The unit of times in `/proc/PID/stat` on Linux.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// Lines with the times at which they were read. It ends with the output of the process.
pub type Lines = Receiver<(Instant, String)>;

/// A process. Dropping it kills it.
#[derive(Debug)]
pub struct Process(Child);

/// The way in which a process was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "every way is checked")]
pub enum Stop {
    /// It ended without a failure, this long after the request.
    After(Duration),
    /// It had ended before the request, or ended with a failure.
    Failed(ExitStatus),
    /// It had to be killed.
    Killed,
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    ///
    /// Returns an error if the program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self(child))
    }

    /// Takes its stdin, if that is a pipe and was not taken before.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    /// Takes its stdout, if that is a pipe and was not taken before.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Takes its stderr, if that is a pipe and was not taken before.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// Reads the lines of its stdout in a thread, so that the process never waits for a reader.
    ///
    /// # Errors
    ///
    /// Returns an error if its stdout is not a pipe or was taken before.
    pub fn lines(&mut self) -> Result<Lines> {
        let stdout = self.stdout().context("the process has no stdout")?;
        Ok(lines(stdout))
    }

    /// Sends a signal such as `TERM`.
    ///
    /// # Errors
    ///
    /// Returns an error if the signal cannot be sent.
    pub fn signal(&self, name: &str) -> Result<()> {
        let (signal, id) = (format!("-{name}"), self.0.id().to_string());
        let sent = Command::new("kill").args([signal, id]).status();
        let sent = sent.context("cannot run kill")?;
        ensure!(sent.success(), "the signal {name} could not be sent");
        Ok(())
    }

    /// Kills it at once, as a crash does.
    ///
    /// # Errors
    ///
    /// Returns an error if the process cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill().context("cannot kill the process")?;
        self.wait()?;
        Ok(())
    }

    /// Returns whether it has ended.
    ///
    /// # Errors
    ///
    /// Returns an error if the system cannot report its end.
    pub fn has_ended(&mut self) -> Result<bool> {
        let ended = self.0.try_wait();
        Ok(ended
            .context("cannot ask for the end of the process")?
            .is_some())
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// Returns an error if the system cannot report its end.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.0.wait().context("cannot wait for the process")
    }

    /// Sends SIGTERM, waits at most this long, and then kills it.
    ///
    /// # Errors
    ///
    /// Returns an error if the signal cannot be sent.
    pub fn stop(mut self, at_most: Duration) -> Result<Stop> {
        if let Some(status) = self.0.try_wait()? {
            return Ok(Stop::Failed(status));
        }
        let asked = Instant::now();
        self.signal("TERM")?;
        while asked.elapsed() < at_most {
            match self.0.try_wait()? {
                Some(status) if status.success() => return Ok(Stop::After(asked.elapsed())),
                Some(status) => return Ok(Stop::Failed(status)),
                None => thread::sleep(TICK),
            }
        }
        Ok(Stop::Killed)
    }

    /// Returns the number of its bytes in memory; `None` if `/proc` does not exist, or if it has
    /// ended.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        kibibytes(&self.read("status")?, "VmRSS:")
    }

    /// Returns the largest number of its bytes in memory at any time.
    #[must_use]
    pub fn peak_bytes(&self) -> Option<u64> {
        kibibytes(&self.read("status")?, "VmHWM:")
    }

    /// Returns the number of bytes that it has written to disk.
    #[must_use]
    pub fn written_bytes(&self) -> Option<u64> {
        field(&self.read("io")?, "write_bytes:")?.parse().ok()
    }

    /// Returns the total CPU time of its threads.
    #[must_use]
    pub fn cpu(&self) -> Option<Duration> {
        cpu_of(&self.read("stat")?)
    }

    fn read(&self, file: &str) -> Option<String> {
        read(&self.0.id().to_string(), file)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads lines in a thread. A line that was truncated by a kill counts as not printed.
#[must_use]
pub fn lines(output: impl Read + Send + 'static) -> Lines {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send((Instant::now(), line)).is_err() {
                break;
            }
        }
    });
    lines
}

/// Returns the total CPU time of the threads of this process.
#[must_use]
pub fn own_cpu() -> Option<Duration> {
    cpu_of(&read("self", "stat")?)
}

/// Returns the number of bytes of this process in memory.
#[must_use]
pub fn own_resident_bytes() -> Option<u64> {
    kibibytes(&read("self", "status")?, "VmRSS:")
}

fn read(process: &str, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/{file}")).ok()
}

/// Returns the value in the line with a given name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let kibibytes = field(status, name)?.strip_suffix(" kB")?;
    Some(kibibytes.parse::<u64>().ok()? * 1_024)
}

fn cpu_of(stat: &str) -> Option<Duration> {
    // The name is in brackets, and may contain any character.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields
        .split(' ')
        .skip(11)
        .map_while(|time| time.parse().ok());
    let (user, system): (u32, u32) = (times.next()?, times.next()?);
    Some(CLOCK_TICK * (user + system))
}

/// Returns a command of cargo, as if it were called from a shell.
///
/// What cargo itself sets for the programs that it runs is left out: the build script of ring looks at it, so
/// that ring and all that depends on it would be built again.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let is_of_package = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if is_of_package {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tsuno\nVmHWM:\t   12000 kB\nVmRSS:\t    9000 kB\n";
        assert_eq!(kibibytes(status, "VmHWM:"), Some(12_288_000));
        assert_eq!(kibibytes(status, "VmRSS:"), Some(9_216_000));
        assert_eq!(kibibytes("Name:\tsuno\n", "VmHWM:"), None);
    }

    #[test]
    fn a_name_with_brackets_does_not_hide_the_times() {
        let stat = "1 (a) b) S 1 1 1 0 -1 0 0 0 0 0 7 3 0 0 20 0 1 0";
        assert_eq!(cpu_of(stat), Some(CLOCK_TICK * 10));
    }
}
