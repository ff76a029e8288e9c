//! The receiver that is killed: a real process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Kill, Variant};

/// The webhook key of the receiver.
pub(crate) const KEY: &str = "whk-crash-test";
const KEY_VARIABLE: &str = "SUNO_CRASH_TEST_KEY";
/// How long a receiver may take to start.
const START: Duration = Duration::from_secs(20);

/// A program and its arguments.
#[derive(Debug)]
pub(crate) struct Subcommand {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Subcommand {
    /// This program with other arguments.
    pub(crate) fn of_this_program<const N: usize>(arguments: [String; N]) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("cannot find this program")?,
            arguments: arguments.into(),
        })
    }

    /// Starts it, with its output in a pipe.
    pub(crate) fn spawn(&self) -> Result<Child> {
        self.spawn_with(Stdio::inherit())
    }

    /// Starts it, with its output in a pipe and its errors where they are wanted.
    pub(crate) fn spawn_with(&self, stderr: Stdio) -> Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env(KEY_VARIABLE, KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))
    }
}

/// The address in the first line of a receiver.
pub(crate) fn address_of(line: &str) -> Result<SocketAddr> {
    let listening: serde_json::Value =
        serde_json::from_str(line).context("the receiver did not say where it listens")?;
    listening["url"]
        .as_str()
        .and_then(|url| url.strip_prefix("http://")?.split('/').next()?.parse().ok())
        .context("the receiver did not say where it listens")
}

/// The real `suno listen`, built first.
pub(crate) fn listen(store: &Path, release: bool) -> Result<Subcommand> {
    let profile = if release { "release" } else { "dev" };
    let folder = if release { "release" } else { "debug" };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "suno-cli"])
        .args(["--profile", profile])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("cannot run cargo")?;
    if !built.success() {
        bail!("suno could not be built");
    }
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()?;
    let arguments = [
        "listen",
        "--json",
        "--addr",
        "127.0.0.1:0",
        "--lease",
        "1s",
        "--webhook-key-env",
        KEY_VARIABLE,
        "--store",
    ];
    let mut arguments = arguments.map(str::to_owned).to_vec();
    arguments.push(format!("sqlite:{}", store.display()));
    Ok(Subcommand {
        program: metadata.target_directory.join(folder).join("suno").into(),
        arguments,
    })
}

/// A receiver of our own.
pub(super) fn of_variant(store: &Path, variant: Variant) -> Result<Subcommand> {
    Subcommand::of_this_program([
        "crash-receiver".to_owned(),
        variant.to_string(),
        store.display().to_string(),
    ])
}

/// A receiver that runs.
#[derive(Debug)]
pub(super) struct Subject {
    child: Child,
    address: SocketAddr,
    lines: Receiver<String>,
}

impl Subject {
    pub(super) fn start(command: &Subcommand) -> Result<Self> {
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().context("the receiver has no stdout")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // A line that was cut off by the kill was not printed.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let listening = lines
            .recv_timeout(START)
            .context("the receiver did not start")?;
        let address = address_of(&listening)?;
        Ok(Self {
            child,
            address,
            lines,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets it run and kills it; returns what it printed.
    pub(super) fn kill(mut self, kill: Kill, at_most: Duration) -> Result<Vec<String>> {
        let (wait, handled_max) = match kill {
            Kill::After(wait) => (wait, usize::MAX),
            Kill::AtHandled(handled) => (at_most, handled),
        };
        let end = Instant::now() + wait;
        let mut printed = Vec::new();
        while printed.len() < handled_max {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => printed.push(line),
                Err(_) => break,
            }
        }
        self.child.kill().context("cannot kill the receiver")?;
        self.child.wait().context("cannot wait for the receiver")?;
        printed.extend(self.lines.iter());
        Ok(printed)
    }

    /// Asks it to stop, and returns what it printed.
    pub(super) fn terminate(mut self) -> Result<Vec<String>> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the receiver ended with {status} when it was asked to stop");
        }
        Ok(self.lines.iter().collect())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
