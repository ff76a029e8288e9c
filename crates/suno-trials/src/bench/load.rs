//! How much to send, and the figures of it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How big a body is unless set otherwise: a complete callback with two tracks.
pub(super) const BODY_BYTES: usize = 1_150;

/// What to send.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Load {
    /// Where to
    pub address: SocketAddr,
    /// How many connections send at the same time
    pub connections: usize,
    /// For how long, in milliseconds
    #[arg(value_parser = |text: &str| text.parse().map(Duration::from_millis))]
    pub duration: Duration,
    /// How many of a hundred deliveries were sent before
    pub duplicates_percent: u8,
    /// How big a body is
    pub body_bytes: usize,
    /// How many are sent in a second, by a plan; 0: as many as are answered
    pub per_second: f64,
}

/// What came of a load.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) answered: u64,
    pub(super) per_second: f64,
    pub(super) p50_micros: f64,
    pub(super) p99_micros: f64,
    pub(super) p999_micros: f64,
    pub(super) max_micros: f64,
    /// How much of its core the load itself took; near 1, the subject could have done more.
    pub(super) load_busy: Option<f64>,
}

impl Load {
    /// As much as is answered, of new events of the usual size.
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
