//! Receivers in separate processes: `suno listen`, or a part of the running program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::callback::KEY;
use crate::postgres::{TestSchema, URL_VARIABLE};
use crate::process::{Lines, Process, cargo};

const KEY_VARIABLE: &str = "SUNO_TESTKIT_KEY";
/// The time limit for the start of a receiver.
const START: Duration = Duration::from_secs(20);

/// The way in which a receiver is started. It verifies with [`KEY`].
#[derive(Debug)]
pub struct ReceiverCommand {
    program: PathBuf,
    arguments: Vec<String>,
    /// The URL of its store's server, which may contain a password.
    server: Option<String>,
}

/// A build profile of cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the two profiles with which receivers are built"
)]
pub enum Profile {
    /// Without optimisations.
    Debug,
    /// With optimisations.
    Release,
}

impl ReceiverCommand {
    /// Starts this program with other arguments.
    ///
    /// # Errors
    ///
    /// Returns an error if the path of this program is unknown.
    pub fn of_this_program<const N: usize>(arguments: [String; N]) -> Result<Self> {
        Ok(Self {
            program: std::env::current_exe().context("cannot find this program")?,
            arguments: arguments.into(),
            server: None,
        })
    }

    /// Starts `suno listen` on a free port with a store in a file, after building it.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be built.
    pub fn listen(store: &Path, profile: Profile) -> Result<Self> {
        let store = format!("sqlite:{}", store.display());
        Self::listen_with(["--store", &store], profile)
    }

    /// Starts `suno listen` on a free port with a store in PostgreSQL, after building it.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be built.
    pub fn listen_on_server(schema: &TestSchema, profile: Profile) -> Result<Self> {
        let store = ["--store-env", URL_VARIABLE, "--store-schema", schema.name()];
        Ok(Self::listen_with(store, profile)?.with_server(schema.url()))
    }

    /// Puts the URL of a server into the receiver's [`URL_VARIABLE`].
    #[must_use]
    pub fn with_server(mut self, url: &str) -> Self {
        self.server = Some(url.to_owned());
        self
    }

    fn listen_with<'a>(store: impl IntoIterator<Item = &'a str>, profile: Profile) -> Result<Self> {
        let arguments = [
            "listen",
            "--json",
            "--addr",
            "127.0.0.1:0",
            "--lease",
            "1s",
            "--webhook-key-env",
            KEY_VARIABLE,
        ];
        let arguments = arguments.into_iter().chain(store);
        Ok(Self {
            program: build_suno(profile)?,
            arguments: arguments.map(str::to_owned).collect(),
            server: None,
        })
    }

    /// Returns the command, with its stdout in a pipe.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env(KEY_VARIABLE, KEY)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(url) = &self.server {
            command.env(URL_VARIABLE, url);
        }
        command
    }
}

fn build_suno(profile: Profile) -> Result<PathBuf> {
    let (profile, folder) = match profile {
        Profile::Debug => ("dev", "debug"),
        Profile::Release => ("release", "release"),
    };
    let built = cargo()
        .args(["build", "--quiet", "--workspace", "--bins"])
        .args(["--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("cannot run cargo")?;
    if !built.success() {
        bail!("suno could not be built");
    }
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()?;
    Ok(metadata.target_directory.join(folder).join("suno").into())
}

/// A running receiver, and the lines that it prints after the first.
#[derive(Debug)]
#[non_exhaustive]
pub struct ReceiverProcess {
    /// The process.
    pub process: Process,
    /// The address on which it listens.
    pub address: SocketAddr,
    /// Its printed lines.
    pub lines: Lines,
}

impl ReceiverProcess {
    /// Starts a receiver and waits until it listens.
    ///
    /// # Errors
    ///
    /// Returns an error if it cannot be started, or does not report its address in time.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut process = Process::start(command)?;
        let lines = process.lines()?;
        let (_, listening) = lines
            .recv_timeout(START)
            .context("the receiver did not start")?;
        Ok(Self {
            process,
            address: address_of(&listening)?,
            lines,
        })
    }
}

/// Returns the address in the first line of a receiver.
///
/// # Errors
///
/// Returns an error if the line has no address.
pub fn address_of(line: &str) -> Result<SocketAddr> {
    let listening: serde_json::Value =
        serde_json::from_str(line).context("the receiver did not report its address")?;
    listening["url"]
        .as_str()
        .and_then(|url| url.strip_prefix("http://")?.split('/').next()?.parse().ok())
        .context("the receiver did not report its address")
}

/// Returns the task in a line that reports a handled event.
#[must_use]
pub fn handled_task(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line["event"] != "handled" {
        return None;
    }
    Some(line["task_id"].as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_handled_events_count() {
        let line = r#"{"event":"handled","task_id":"a"}"#;
        assert_eq!(handled_task(line).as_deref(), Some("a"));
        assert_eq!(handled_task(r#"{"event":"listening","url":"x"}"#), None);
        assert_eq!(handled_task("not JSON"), None);
    }
}
