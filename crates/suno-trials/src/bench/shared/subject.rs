//! One run of one subject, and its result.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use suno_testkit::postgres::TestSchema;

use crate::stored::StorePlace;

/// A subject to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[non_exhaustive]
pub enum Shared {
    /// One INSERT and one commit for each request
    Insert,
    /// COPY of the same rows in batches, from one connection
    Copy,
    /// COPY of every row that accepting writes, into the tables of a store
    CopyAll,
    /// Accepting alone
    Accept,
    /// Accepting while a dispatcher claims, handles and settles
    Handled,
    /// Handling what another instance has accepted, woken by a notification
    Listen,
    /// The same without notifications
    Poll,
    /// Accepting and handling evenly, while another session keeps a snapshot open
    Snapshot,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// A run.
#[derive(Debug, Clone, clap::Args)]
pub struct Run {
    pub(super) subject: Shared,
    /// Place of the store
    pub(super) store: StorePlace,
    /// Number of callers
    pub(super) callers: usize,
    /// Size of a body
    pub(super) body_bytes: usize,
    /// Duration, in milliseconds
    millis: u64,
    /// Deliveries per second, evenly; 0: as many as are answered
    pub(super) per_second: f64,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p50_millis: f64,
    pub(super) p99_millis: f64,
    /// The events that were not handled yet at the end.
    pub(super) open: u64,
}

impl Run {
    pub(super) fn new(
        subject: Shared,
        schema: &TestSchema,
        callers: usize,
        body_bytes: usize,
        seconds: f64,
        per_second: f64,
    ) -> Self {
        Self {
            subject,
            store: StorePlace::schema(schema),
            callers,
            body_bytes,
            millis: (seconds * 1e3) as u64,
            per_second,
        }
    }

    pub(super) fn subject(&self) -> Shared {
        self.subject
    }

    pub(super) fn duration(&self) -> Duration {
        Duration::from_millis(self.millis)
    }

    pub(super) fn arguments(&self) -> [String; 6] {
        [
            self.subject.to_string(),
            self.store.to_string(),
            self.callers.to_string(),
            self.body_bytes.to_string(),
            self.millis.to_string(),
            self.per_second.to_string(),
        ]
    }
}

/// Returns the figures of latencies in microseconds.
pub(super) fn figures(latencies: &Histogram<u64>, elapsed: Duration, open: u64) -> Figures {
    Figures {
        per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
        p50_millis: latencies.value_at_quantile(0.5) as f64 / 1e3,
        p99_millis: latencies.value_at_quantile(0.99) as f64 / 1e3,
        open,
    }
}

/// Records a latency.
pub(super) fn record(latencies: &mut Histogram<u64>, took: Duration) -> Result<()> {
    latencies.record(u64::try_from(took.as_micros())?.max(1))?;
    Ok(())
}

/// Returns a histogram of three digits.
pub(super) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

/// Returns the id of a task that nothing else has, as random as the provider's.
pub(super) fn task() -> String {
    format!("{:032x}", fastrand::u128(..))
}
