//! The receiver that is measured: a real `suno listen` whose output nobody reads.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout};

use anyhow::{Context, Result};

use crate::crash::subject::{address_of, listen};
use crate::crash::verdict::unsettled;

pub(super) struct Subject {
    child: Child,
    address: SocketAddr,
    store: PathBuf,
    /// Full from some moment on, so that handlers wait.
    _unread: BufReader<ChildStdout>,
}

impl Subject {
    pub(super) fn start(store: &Path, debug: bool) -> Result<Self> {
        let mut child = listen(store, !debug)?.spawn()?;
        let stdout = child.stdout.take().context("the receiver has no stdout")?;
        let mut unread = BufReader::with_capacity(1_024, stdout);
        let mut line = String::new();
        unread.read_line(&mut line)?;
        Ok(Self {
            child,
            address: address_of(&line)?,
            store: store.to_owned(),
            _unread: unread,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes of the process are in memory.
    pub(super) fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {path}; this needs Linux"))?;
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .context("the process has no resident memory")?;
        Ok(kibibytes.parse::<u64>()? * 1_024)
    }

    /// How many events wait to be handled.
    pub(super) fn unhandled(&self) -> Result<u64> {
        unsettled(&self.store)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
