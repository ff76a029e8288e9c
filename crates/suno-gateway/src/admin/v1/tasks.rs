//! Tasks: submitting each of them once, and what is known of one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use suno_types::TaskId;

use super::super::app::App;
use super::super::problem::Problem;
use super::json;

/// `POST /v1/tasks`.
pub(in super::super) async fn submit(State(_app): State<Arc<App>>) -> Result<Response, Problem> {
    Err(Problem::not_found("way to submit tasks"))
}

/// `GET /v1/tasks/{id}`.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = TaskId::new(id).map_err(|_| Problem::not_found("such task"))?;
    let events = app.store.find(&id).await?;
    if events.is_empty() {
        return Err(Problem::not_found("such task in the store, or not yet"));
    }
    let shown = |record| {
        let mut value = json::event(record);
        value["content"] = json::content(record);
        value
    };
    let events: Vec<Value> = events.iter().map(shown).collect();
    let value = json!({"task_id": id.as_str(), "events": events});
    Ok(json::answer(StatusCode::OK, &value))
}
