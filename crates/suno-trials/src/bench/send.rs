//! The load: connections that send one signed callback after the other and wait for each
//! response, in a separate process.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use suno_testkit::process::own_cpu;
use tokio::task::JoinSet;

use super::connection::Connection;
use super::load::{Load, Told};

/// Sends, and prints the results as one JSON object.
///
/// # Errors
///
/// Returns an error if a connection breaks or a status is not 200.
pub(crate) async fn send(load: Load) -> Result<()> {
    let run = fastrand::u32(..);
    let mut open = Vec::new();
    for place in 0..load.connections {
        open.push(Connection::open(&load, run, place).await?);
    }
    let started = Instant::now();
    let cpu_before = own_cpu();
    let mut connections = JoinSet::new();
    for (place, connection) in open.into_iter().enumerate() {
        connections.spawn(async move { drive(load, connection, place, started).await });
    }
    let mut all = Histogram::<u64>::new(3)?;
    while let Some(times) = connections.join_next().await {
        all.add(times??)?;
    }
    let took = started.elapsed();
    let busy = || Some((own_cpu()? - cpu_before?).div_duration_f64(took));
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
    let told = serde_json::to_string(&told).context("the figures are not valid JSON")?;
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}

async fn drive(
    load: Load,
    mut connection: Connection,
    place: usize,
    started: Instant,
) -> Result<Histogram<u64>> {
    let until = started + load.duration;
    if load.per_second == 0.0 {
        return connection.run(until).await;
    }
    let interval = Duration::from_secs_f64(load.connections as f64 / load.per_second);
    let offset = interval.mul_f64(place as f64 / load.connections as f64);
    connection
        .run_paced(started + offset, interval, until)
        .await
}
