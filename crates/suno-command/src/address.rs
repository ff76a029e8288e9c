//! Addresses to listen on.

use std::net::{SocketAddr, ToSocketAddrs};

/// The first address that a text stands for: an IP address or a name, and a port.
pub(crate) fn parse(text: &str) -> Result<SocketAddr, &'static str> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or("an address is an IP address or a name of this machine, and a port, such as 127.0.0.1:3000")
}
