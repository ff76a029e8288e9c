//! The hosts of a store.

use std::net::IpAddr;
use std::path::PathBuf;

/// The name of a host, or the folder of its Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostName {
    Tcp(String),
    Unix(PathBuf),
}

/// One host of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: HostName,
    /// The address, where the name need not be looked up.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}
