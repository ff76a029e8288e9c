//! Addresses to listen on.

use std::net::{SocketAddr, ToSocketAddrs};

/// Resolves an IP address or a host name with a port, and returns the first result.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, &'static str> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or("the address must be an IP address or a name of this machine, and a port, such as 127.0.0.1:3000")
}
