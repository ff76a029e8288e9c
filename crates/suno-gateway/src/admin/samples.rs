//! What the last hour looked like, for charts: a bounded number of samples in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::metrics::{Scraper, Totals};

/// The time between two samples.
const INTERVAL: Duration = Duration::from_secs(15);
/// The maximum number of samples: those of an hour.
const SAMPLES_MAX: usize = 240;

/// Samples of the last hour.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    samples: VecDeque<Value>,
    last: Option<Totals>,
}

impl Samples {
    /// Takes samples for ever.
    pub(super) async fn keep(&self, scraper: &Scraper) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let gauges = scraper.gauges().await;
            let totals = scraper.metrics().totals();
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let since = kept.last.as_ref().map(|last| totals.since(last));
            let counts = gauges.counts.unwrap_or_default();
            let millis = |share| since.as_ref().and_then(|since| since.accept_within(share));
            let sample = json!({
                "accepted": since.as_ref().map(|since| since.accepted),
                "handled": since.as_ref().map(|since| since.handled),
                "accept_ms_p50": millis(0.5),
                "accept_ms_p99": millis(0.99),
                "pending": counts.ready + counts.claimed + counts.waiting,
                "oldest_s": gauges.oldest_pending.map(|age| age.as_secs()),
                "dead": counts.dead,
                "quarantined": counts.quarantined,
            });
            if kept.samples.len() == SAMPLES_MAX {
                kept.samples.pop_front();
            }
            kept.samples.push_back(sample);
            kept.last = Some(totals);
        }
    }

    /// Returns the samples, oldest first, as JSON.
    pub(super) fn json(&self) -> Value {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        json!({"interval_s": INTERVAL.as_secs(), "samples": kept.samples})
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use suno_callback::MemoryStore;

    use super::*;
    use crate::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_samples_is_kept_and_not_more() {
        let metrics = Arc::new(Metrics::new("1.0.0"));
        let scraper = Scraper::new(Arc::new(MemoryStore::new()), metrics);
        let samples = Samples::default();
        let two_hours = Duration::from_secs(7_200);
        assert!(
            tokio::time::timeout(two_hours, samples.keep(&scraper))
                .await
                .is_err()
        );
        let shown = samples.json();
        assert_eq!(shown["samples"].as_array().unwrap().len(), SAMPLES_MAX);
        assert_eq!(shown["samples"][0]["accepted"], 0);
        assert_eq!(shown["samples"][0]["accept_ms_p50"], Value::Null);
    }
}
