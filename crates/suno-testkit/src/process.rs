//! Processes that are killed when they are dropped, the lines that they print, and their figures in
//! `/proc`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How often a process is asked whether it has ended.
const TICK: Duration = Duration::from_millis(10);
/// The unit of times in `/proc/PID/stat` on Linux.
const CLOCK_TICK: Duration = Duration::from_millis(10);

/// Lines and the moments at which they were read. It ends with the output of the process.
pub type Lines = Receiver<(Instant, String)>;

/// A process. Dropping it kills it.
#[derive(Debug)]
pub struct Process(Child);

/// How a process was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "every way is judged")]
pub enum Stop {
    /// It ended without a failure, this long after it was asked to.
    After(Duration),
    /// It had ended before it was asked to, or ended with a failure.
    Failed(ExitStatus),
    /// It had to be killed.
    Killed,
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    ///
    /// If the program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self(child))
    }

    /// Its stdin, if that is a pipe that was not taken yet.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }

    /// Its stdout, if that is a pipe that was not taken yet.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Its stderr, if that is a pipe that was not taken yet.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr.take()
    }

    /// Reads the lines of its stdout in a thread, so that the process never waits for a reader.
    ///
    /// # Errors
    ///
    /// If its stdout is no pipe or was taken already.
    pub fn lines(&mut self) -> Result<Lines> {
        let stdout = self.stdout().context("the process has no stdout")?;
        Ok(lines(stdout))
    }

    /// Sends a signal such as `TERM`.
    ///
    /// # Errors
    ///
    /// If it cannot be sent.
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
    /// If it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill().context("cannot kill the process")?;
        self.wait()?;
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// If the system cannot tell.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.0.wait().context("cannot wait for the process")
    }

    /// Asks it to end with SIGTERM, waits at most so long, and kills it then.
    ///
    /// # Errors
    ///
    /// If it cannot be asked.
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

    /// How many bytes of it are in memory; `None` where there is no `/proc`, or it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        kibibytes(&self.read("status")?, "VmRSS:")
    }

    /// The largest number of bytes that were in memory at any time.
    #[must_use]
    pub fn peak_bytes(&self) -> Option<u64> {
        kibibytes(&self.read("status")?, "VmHWM:")
    }

    /// How many bytes it has written to disk.
    #[must_use]
    pub fn written_bytes(&self) -> Option<u64> {
        field(&self.read("io")?, "write_bytes:")?.parse().ok()
    }

    /// How long its threads were on a core, all together.
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

/// Reads lines in a thread. A line that was cut off by a kill was not printed.
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

/// How long the threads of this process were on a core, all together.
#[must_use]
pub fn own_cpu() -> Option<Duration> {
    cpu_of(&read("self", "stat")?)
}

/// How many bytes of this process are in memory.
#[must_use]
pub fn own_resident_bytes() -> Option<u64> {
    kibibytes(&read("self", "status")?, "VmRSS:")
}

fn read(process: &str, file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/{process}/{file}")).ok()
}

/// The value in the line of a name.
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
    // The name is in brackets, and may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields
        .split(' ')
        .skip(11)
        .map_while(|time| time.parse().ok());
    let (user, system): (u32, u32) = (times.next()?, times.next()?);
    Some(CLOCK_TICK * (user + system))
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
