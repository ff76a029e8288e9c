//! Measures how long another process waits to accept deliveries while a dispatcher is busy.

use std::time::{Duration, Instant};

use anyhow::Result;
use suno_callback::Settlement;

use super::fill::Store;

/// The number of events in a claim, as for a dispatcher with this many slots.
const CLAIM_MAX: usize = 16;
/// The number of events that the dispatcher handles repeatedly.
const EVENTS: usize = 1_024;
/// The number of deliveries that are accepted, one at a time.
const DELIVERIES: usize = 500;
/// The pause of the sender between two of them.
const PAUSE: Duration = Duration::from_millis(5);

/// Returns the milliseconds in which 99 of 100 deliveries were accepted by another instance of
/// the store, while a dispatcher claimed and settled through the first without a pause.
pub(super) async fn accept_p99_millis(store: &mut Store) -> Result<f64> {
    let again = Settlement::Retry {
        after: Duration::ZERO,
        reason: "the handler failed".to_owned(),
    };
    let events = store.deliveries(EVENTS)?;
    store.accept(&events).await?;
    let deliveries = store.deliveries(DELIVERIES)?;
    let other = store.another().await?;
    let dispatcher = async {
        loop {
            let claims = store.claim(CLAIM_MAX).await?;
            store.settle(&claims, &again).await?;
        }
    };
    let sender = async {
        let mut took = Vec::with_capacity(DELIVERIES);
        for delivery in &deliveries {
            tokio::time::sleep(PAUSE).await;
            let started = Instant::now();
            other.accept(std::slice::from_ref(delivery)).await?;
            took.push(started.elapsed());
        }
        took.sort_unstable();
        let p99 = took[took.len() * 99 / 100];
        anyhow::Ok(p99.as_secs_f64() * 1e3)
    };
    tokio::select! {
        stopped = dispatcher => stopped,
        p99 = sender => p99,
    }
}
