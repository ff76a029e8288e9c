//! The subjects of the benchmark: servers that answer signed callbacks. Those in Rust are this
//! program itself, each in its own process on tokio's current-thread runtime.

mod axum;
mod express;
mod forwarded;
mod plain;
mod receiver;

pub(super) use forwarded::DOWN;
pub(super) use receiver::store_file;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;
use suno_testkit::callback::KEY;
use tokio::net::TcpListener;

use super::machine::Program;

/// A server to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[non_exhaustive]
pub enum Subject {
    /// hyper that reads the body and responds: the upper limit
    Hyper,
    /// hyper that also verifies and appends to a file with one fdatasync per batch: the limit
    /// with durability
    Append,
    /// Hand-written axum handler that verifies and keeps a set in memory: a typical Rust receiver
    Axum,
    /// The receiver with the store in memory
    Memory,
    /// The receiver with the SQLite store, without handling
    Sqlite,
    /// The receiver with the SQLite store and a dispatcher that claims, handles (doing nothing)
    /// and settles every event
    Handled,
    /// Like handled, but every event is forwarded as a signed request to a bare hyper consumer, in a
    /// process of its own on the core of the load
    Forwarded,
    /// Express without storage
    Express,
    /// Express that verifies, with one durable insert for each request
    ExpressDurable,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Subject {
    /// Returns all of them, in the order of the report.
    pub(super) fn all() -> Vec<Self> {
        Self::value_variants().to_vec()
    }

    /// Checks that it can be started.
    pub(super) fn prepare(self, program: &Program) -> Result<()> {
        match self {
            Self::Express | Self::ExpressDurable => express::install(program.target()),
            _ => Ok(()),
        }
    }

    /// Returns the command that starts it; its first line is its address. Its data goes into
    /// `dir`.
    pub(super) fn command(self, program: &Program, dir: &Path) -> Command {
        match self {
            Self::Express | Self::ExpressDurable => {
                let mut command = program.pinned_server("node".as_ref());
                command.arg(express::server(program.target()));
                command.arg(self.to_string()).arg(dir).arg(KEY);
                command
            }
            _ => {
                let mut command = program.pinned_server(program.path());
                command.arg("bench-subject").arg(self.to_string()).arg(dir);
                command
            }
        }
    }
}

/// Serves a subject until the process is killed; the first line is the address.
///
/// # Errors
///
/// Returns an error if it cannot listen, cannot write to `dir`, or is not a part of this program.
pub(crate) async fn serve(subject: Subject, dir: &Path) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    drop(stdout);
    match subject {
        Subject::Hyper => plain::serve_nothing(listener).await,
        Subject::Append => plain::serve_append(listener, dir).await,
        Subject::Axum => axum::serve(listener).await,
        Subject::Memory => receiver::serve_memory(listener).await,
        Subject::Sqlite => receiver::serve_sqlite(listener, dir).await,
        Subject::Handled => receiver::serve_handled(listener, dir).await,
        Subject::Forwarded => forwarded::serve(listener, dir).await,
        Subject::Express | Subject::ExpressDurable => bail!("{subject} runs in node"),
    }
}
