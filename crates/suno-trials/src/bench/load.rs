//! The amount of load, and its results.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The default size of a body: a complete callback with two tracks.
pub(super) const BODY_BYTES: usize = 1_150;

/// The load to send.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Load {
    /// Address of the server
    pub address: SocketAddr,
    /// Number of connections that send at the same time
    pub connections: usize,
    /// Duration, in milliseconds
    #[arg(value_parser = |text: &str| text.parse().map(Duration::from_millis))]
    pub duration: Duration,
    /// Percentage of deliveries that are duplicates
    pub duplicates_percent: u8,
    /// Size of a body
    pub body_bytes: usize,
    /// Deliveries per second, by a fixed schedule; 0: as many as are answered
    pub per_second: f64,
}

/// The results of a load.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) answered: u64,
    pub(super) per_second: f64,
    pub(super) p50_micros: f64,
    pub(super) p99_micros: f64,
    pub(super) p999_micros: f64,
    pub(super) max_micros: f64,
    /// The share of its core that the load itself used. Near 1, the subject could have done
    /// more.
    pub(super) load_busy: Option<f64>,
}

impl Load {
    /// Sends as many new events of the usual size as are answered.
    pub(super) fn closed(address: SocketAddr, connections: usize, duration: Duration) -> Self {
        Self {
            address,
            connections,
            duration,
            duplicates_percent: 0,
            body_bytes: BODY_BYTES,
            per_second: 0.0,
        }
    }

    pub(super) fn arguments(&self) -> [String; 6] {
        [
            self.address.to_string(),
            self.connections.to_string(),
            self.duration.as_millis().to_string(),
            self.duplicates_percent.to_string(),
            self.body_bytes.to_string(),
            self.per_second.to_string(),
        ]
    }
}
