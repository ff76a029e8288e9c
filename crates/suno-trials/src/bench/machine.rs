//! Processes: built for release, pinned to cores, with the system's figures about them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use suno_testkit::process::Process;

/// The core of the server, and that of the load.
const SERVER_CORE: &str = "0";
pub(super) const LOAD_CORE: &str = "1";
/// The number of syncs that are timed.
const SYNCS: usize = 200;

/// This program, built for release.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    target: PathBuf,
    pinned: bool,
}

impl Program {
    pub(super) fn build() -> Result<Self> {
        let metadata = cargo_metadata::MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .no_deps()
            .exec()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let taskset = Command::new("taskset").arg("--version").output().is_ok();
        Ok(Self {
            path: crate::release::build(&metadata)?,
            target: metadata.target_directory.into(),
            pinned: taskset && cores > 1,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Returns a command on the core of the server.
    pub(super) fn pinned_server(&self, program: &Path) -> Command {
        self.command(SERVER_CORE, program.as_os_str())
    }

    fn command(&self, core: &str, program: &OsStr) -> Command {
        if !self.pinned {
            return Command::new(program);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(program);
        command
    }

    /// Runs a part of this program in a separate process on the core of the load, and returns
    /// its JSON output.
    pub(super) fn tell<T, A>(&self, part: &str, arguments: A) -> Result<T>
    where
        T: DeserializeOwned,
        A: IntoIterator<Item: AsRef<OsStr>>,
    {
        self.tell_with(part, arguments, [])
    }

    /// As [`tell`](Self::tell), with further environment variables.
    pub(super) fn tell_with<'v, T, A>(
        &self,
        part: &str,
        arguments: A,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Result<T>
    where
        T: DeserializeOwned,
        A: IntoIterator<Item: AsRef<OsStr>>,
    {
        let output = self
            .command(LOAD_CORE, self.path.as_os_str())
            .arg(part)
            .args(arguments)
            .envs(variables)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{part} could not be started"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            bail!("{part} failed: {}", why.trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("{part} printed no figures"))
    }
}

/// A running server.
#[derive(Debug)]
pub(super) struct SubjectProcess {
    process: Process,
    address: SocketAddr,
    /// Kept open, because a server that prints more would fail otherwise.
    _stdout: BufReader<ChildStdout>,
}

impl SubjectProcess {
    /// Starts a server whose first line is its address.
    pub(super) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::start(&mut command)?;
        let mut stdout = BufReader::new(process.stdout().context("it has no stdout")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Ok(address) = line.trim().parse() else {
            bail!("it did not start");
        };
        Ok(Self {
            process,
            address,
            _stdout: stdout,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its memory in use, if the system reports it.
    pub(super) fn resident_kb(&self) -> Option<f64> {
        self.process.resident_bytes().map(kilobytes)
    }

    /// Returns the bytes written to disk, if the system reports them.
    pub(super) fn written_bytes(&self) -> Option<u64> {
        self.process.written_bytes()
    }

    /// Returns the CPU time of all its threads, if the system reports it.
    pub(super) fn cpu(&self) -> Option<Duration> {
        self.process.cpu()
    }
}

pub(super) fn kilobytes(bytes: u64) -> f64 {
    bytes as f64 / 1_024.0
}

/// Describes the environment on which the figures depend, in one line.
pub(super) fn describe(dir: &Path) -> Result<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let sync = sync_time(dir)?.as_secs_f64() * 1e3;
    let node = first_line("node", "--version").unwrap_or_else(|| "none".to_owned());
    Ok(format!(
        "{cores} cores ({processor}), Linux {}, {}, node {node}, one fdatasync after 1 kB {sync:.2} ms",
        kernel.trim(),
        crate::release::compiler().unwrap_or_else(|_| "unknown compiler".to_owned()),
    ))
}

fn first_line(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next()?.to_owned())
}

/// Returns the median duration of one append of 1 kB with its fdatasync.
fn sync_time(dir: &Path) -> Result<Duration> {
    let mut file = File::create(dir.join("synced"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let before = Instant::now();
        file.write_all(&[0; 1_024])?;
        file.sync_data()?;
        times.push(before.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
