//! Destinations: their states, and resuming one that was repaired.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::app::App;
use super::super::problem::Problem;
use super::json;
use crate::Destination;
use crate::destination::DestinationName;

/// `GET /v1/destinations`.
pub(in super::super) async fn list(State(app): State<Arc<App>>) -> Response {
    let destinations: Vec<Value> = app.destinations.iter().map(|one| show(&**one)).collect();
    json::answer(StatusCode::OK, &json!({ "destinations": destinations }))
}

fn show(destination: &dyn Destination) -> Value {
    json!({
        "name": destination.name().as_str(),
        "state": destination.state().as_str(),
    })
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /v1/destinations/{name}/resume`.
pub(in super::super) async fn resume(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Nothing {} = json::read(&body)?;
    let destination = named(&app, &name).map_err(|_| Problem::not_found("such destination"))?;
    let has_changed = destination.resume();
    let name = destination.name();
    if has_changed {
        tracing::info!(destination = %name, "a destination was resumed over the admin address");
    }
    let mut value = show(&**destination);
    value["changed"] = json!(has_changed);
    Ok(json::answer(StatusCode::OK, &value))
}

/// Finds the destination of a name. Anything else, such as a URL, is no name.
pub(super) fn named<'a>(app: &'a App, text: &str) -> Result<&'a Arc<dyn Destination>, Problem> {
    let name = DestinationName::new(text)
        .map_err(|_| Problem::parameter("destination", "the name of a destination, never a URL"))?;
    let mut all = app.destinations.iter();
    let found = all.find(|destination| *destination.name() == name);
    found.ok_or_else(|| Problem::not_found("such destination"))
}
