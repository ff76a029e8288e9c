//! Why an emulator cannot start or do what it is asked to.

use std::io;
use std::net::SocketAddr;

/// Why an emulator cannot start or do what it is asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// Something else listens on the address.
    #[error("{addr} is in use: stop what listens there, or take port 0 for any free port")]
    AddressInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: take an address of this machine and a port you may use")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address can be reached from outside, which was not allowed.
    #[error("{addr} can be reached from outside: take a loopback address, or allow public binding")]
    NotLoopback {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// A setting makes no sense.
    #[error("the setting {name} {rule}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What holds for it.
        rule: &'static str,
    },
    /// The words of a scenario cannot be read.
    #[error("cannot read the scenario: {reason}")]
    Scenario {
        /// Which word is wrong, and what is known.
        reason: String,
    },
    /// A script cannot be read or kept.
    #[error("cannot use the script: {reason}")]
    Script {
        /// What is wrong, and where.
        reason: String,
    },
    /// The emulator does not have it, or no longer.
    #[error("the emulator has no such {what}: list what it has")]
    Unknown {
        /// What was asked for.
        what: &'static str,
    },
    /// The clock runs by itself.
    #[error("the clock is not driven: start the emulator with a driven clock to move its time")]
    NotDriven,
}
