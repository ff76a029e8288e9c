//! Errors of an emulator that is started or controlled.

use std::io;
use std::net::SocketAddr;

/// Errors of an emulator that is started or controlled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// Another process listens on the address.
    #[error(
        "{addr} is in use: stop the process that listens there, or use port 0 for any free port"
    )]
    AddressInUse {
        /// The requested address.
        addr: SocketAddr,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {addr}: use an address of this machine and a port that you may bind")]
    Listen {
        /// The requested address.
        addr: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The address can be reached by other machines, and public binding is not allowed.
    #[error(
        "{addr} can be reached by other machines: use a loopback address, or allow public binding"
    )]
    NotLoopback {
        /// The requested address.
        addr: SocketAddr,
    },
    /// A setting is invalid.
    #[error("the setting {name} {rule}")]
    Setting {
        /// The name of the setting.
        name: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The words of a scenario cannot be read.
    #[error("cannot read the scenario: {reason}")]
    Scenario {
        /// The invalid word, and the known ones.
        reason: String,
    },
    /// A script cannot be read or kept.
    #[error("cannot use the script: {reason}")]
    Script {
        /// The mistake, and its place in the script.
        reason: String,
    },
    /// The emulator does not have the item, or has evicted it.
    #[error("the {what} is not found: it never existed, or was evicted")]
    Unknown {
        /// The kind of the item.
        what: &'static str,
    },
    /// The clock is not driven.
    #[error("the clock is not driven: start the emulator with a driven clock to advance it")]
    NotDriven,
}
