//! The number of events in each state, of expected tasks, and of open intents.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};
use suno_callback::StateName;
use suno_callback::bounds::LEDGER_COUNTED_MAX;

use super::super::app::App;
use super::super::problem::Problem;
use super::json;

/// `GET /v1/stats/series`.
pub(in super::super) async fn series(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    if app.scraper.is_none() {
        return Err(Problem::not_found("collection of metrics"));
    }
    Ok(json::answer(StatusCode::OK, &app.samples.json()))
}

/// `GET /v1/stats`.
pub(in super::super) async fn stats(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    // With metrics, the numbers are a few seconds old and cost nothing.
    let cached = match &app.scraper {
        Some(scraper) => Some(scraper.gauges().await),
        None => None,
    };
    let mut counts = match cached.and_then(|gauges| gauges.counts) {
        Some(counts) => counts,
        None => app.store.counts().await?,
    };
    let mut events = Map::new();
    for state in StateName::ALL {
        events.insert(state.as_str().to_owned(), json!(*counts.of(state)));
    }
    let open = app.store.open_intents(Duration::ZERO, None, 1).await?;
    let mut open_intents = counted(counts.open_intents);
    open_intents["oldest_seconds"] = json!(open.first().map(|open| open.open_for.as_secs()));
    let oldest = cached.and_then(|gauges| gauges.oldest_pending);
    let value = json!({
        "events": events,
        "quarantined": counts.quarantined,
        "dropped": counts.dropped,
        "expected": counted(counts.expected),
        "overdue": counts.overdue,
        "open_intents": open_intents,
        "oldest_pending_seconds": oldest.map(|age| age.as_secs()),
        "store_bytes": cached.and_then(|gauges| gauges.store_bytes),
    });
    Ok(json::answer(StatusCode::OK, &value))
}

/// A number up to which a store counts.
fn counted(count: u64) -> Value {
    json!({"count": count, "more": count >= LEDGER_COUNTED_MAX})
}
