//! The receiver under measurement: a real `suno listen` whose output is not read.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;

use anyhow::{Context, Result};
use suno_testkit::process::Process;
use suno_testkit::receiver::{Profile, ReceiverCommand, address_of};

use crate::stored::unsettled;

pub(super) struct Subject {
    process: Process,
    address: SocketAddr,
    store: PathBuf,
    /// It fills up after some time, so that handlers wait.
    _unread: BufReader<ChildStdout>,
}

impl Subject {
    pub(super) fn start(store: &Path, profile: Profile) -> Result<Self> {
        let command = ReceiverCommand::listen(store, profile)?;
        let mut process = Process::start(&mut command.command())?;
        let stdout = process.stdout().context("the receiver has no stdout")?;
        let mut unread = BufReader::with_capacity(1_024, stdout);
        let mut line = String::new();
        unread.read_line(&mut line)?;
        Ok(Self {
            process,
            address: address_of(&line)?,
            store: store.to_owned(),
            _unread: unread,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of bytes of the process in memory.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        let bytes = self.process.resident_bytes();
        bytes.context("the memory of the process cannot be read from /proc; this needs Linux")
    }

    /// Returns the number of unhandled events.
    pub(super) fn unhandled(&self) -> Result<u64> {
        unsettled(&self.store)
    }
}
