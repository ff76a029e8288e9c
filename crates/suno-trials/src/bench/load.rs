//! The load: connections that send one signed callback after the other, each waiting for its
//! answer, in a process of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::connection::Connection;
use super::machine;

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

    async fn drive(
        &self,
        mut connection: Connection,
        place: usize,
        started: Instant,
    ) -> Result<Histogram<u64>> {
        let until = started + self.duration;
        if self.per_second == 0.0 {
            return connection.run(until).await;
        }
        let interval = Duration::from_secs_f64(self.connections as f64 / self.per_second);
        let offset = interval.mul_f64(place as f64 / self.connections as f64);
        connection
            .run_paced(started + offset, interval, until)
            .await
    }
}

/// Sends, and prints what came of it as one JSON object.
///
/// # Errors
///
/// If a connection breaks or an answer is not 200.
pub async fn send(load: Load) -> Result<()> {
    let run = fastrand::u32(..);
    let mut open = Vec::new();
    for place in 0..load.connections {
        open.push(Connection::open(&load, run, place).await?);
    }
    let started = Instant::now();
    let cpu_before = machine::cpu("self");
    let mut connections = JoinSet::new();
    for (place, connection) in open.into_iter().enumerate() {
        connections.spawn(async move { load.drive(connection, place, started).await });
    }
    let mut all = Histogram::<u64>::new(3)?;
    while let Some(times) = connections.join_next().await {
        all.add(times??)?;
    }
    let took = started.elapsed();
    let busy = || Some((machine::cpu("self")? - cpu_before?).div_duration_f64(took));
    let micros = |quantile| all.value_at_quantile(quantile) as f64;
    let told = Told {
        answered: all.len(),
        per_second: all.len() as f64 / took.as_secs_f64(),
        p50_micros: micros(0.5),
        p99_micros: micros(0.99),
        p999_micros: micros(0.999),
        max_micros: all.max() as f64,
        load_busy: busy(),
    };
    let told = serde_json::to_string(&told).context("figures that are no JSON")?;
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}
