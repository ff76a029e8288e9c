//! Processes: built for release, pinned to cores, and what the system says of them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::load::Load;
use super::subject::Subject;

/// The core of the server, and that of the load.
const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// This program, built for release.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    pinned: bool,
}

impl Program {
    pub(super) fn build() -> Result<Self> {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--quiet", "--package", "xtask"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .status()
            .context("cannot run cargo")?;
        if !built.success() {
            bail!("the release build failed");
        }
        let metadata = cargo_metadata::MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .no_deps()
            .exec()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let taskset = Command::new("taskset").arg("--version").output().is_ok();
        Ok(Self {
            path: metadata.target_directory.join("release/xtask").into(),
            pinned: taskset && cores > 1,
        })
    }

    fn command(&self, core: &str) -> Command {
        if !self.pinned {
            return Command::new(&self.path);
        }
        let mut command = Command::new("taskset");
        command.args(["-c", core]).arg(&self.path);
        command
    }

    /// Runs the load in a process of its own, and returns what it printed.
    pub(super) fn load(&self, load: &Load) -> Result<String> {
        let output = self
            .command(LOAD_CORE)
            .arg("bench-load")
            .args(load.arguments())
            .stderr(Stdio::inherit())
            .output()
            .context("the load could not be started")?;
        if !output.status.success() {
            bail!("the load failed");
        }
        String::from_utf8(output.stdout).context("the load printed something else")
    }
}

/// A subject that runs.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    pub(super) fn start(program: &Program, subject: Subject, dir: &Path) -> Result<Self> {
        let mut child = program
            .command(SERVER_CORE)
            .arg("bench-subject")
            .arg(subject.to_string())
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the subject could not be started")?;
        let stdout = child.stdout.take().context("the subject has no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the subject did not start")?;
        Ok(Self { child, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Memory that is in use, where the system tells.
    pub(super) fn resident_kb(&self) -> Option<u64> {
        self.proc("status", "VmRSS:")
    }

    /// What was written to disk, where the system tells.
    pub(super) fn written_bytes(&self) -> Option<u64> {
        self.proc("io", "write_bytes:")
    }

    fn proc(&self, file: &str, name: &str) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
