//! The number of events in each state.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, json};
use suno_callback::StateName;

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
    let oldest = cached.and_then(|gauges| gauges.oldest_pending);
    let value = json!({
        "events": events,
        "quarantined": counts.quarantined,
        "dropped": counts.dropped,
        "oldest_pending_seconds": oldest.map(|age| age.as_secs()),
        "store_bytes": cached.and_then(|gauges| gauges.store_bytes),
    });
    Ok(json::answer(StatusCode::OK, &value))
}
