//! The form of the page that submits tasks to an emulator.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::super::app::App;
use super::super::playground::{Playground, PlaygroundTask};
use super::super::problem::{Kind, Problem};
use super::json;

fn playground(app: &App) -> Result<&Arc<dyn Playground>, Problem> {
    let found = app.playground.as_ref();
    found.ok_or_else(|| Problem::not_found("emulator beside this service"))
}

/// `GET /v1/emulator`.
pub(in super::super) async fn show(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let scenarios = playground(&app)?.scenarios();
    Ok(json::answer(
        StatusCode::OK,
        &json!({ "scenarios": scenarios }),
    ))
}

/// `POST /v1/emulator/tasks`.
pub(in super::super) async fn submit(
    State(app): State<Arc<App>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let playground = playground(&app)?;
    let task: PlaygroundTask = json::read(&body)?;
    let known = playground.scenarios();
    if !known.iter().any(|scenario| scenario.word == task.scenario) {
        return Err(Problem::new(
            Kind::Field,
            "The scenario is none of those that are listed.",
        ));
    }
    let submitted = playground.submit(task).await;
    let id = submitted.map_err(|why| Problem::new(Kind::NotSubmitted, why))?;
    app.board.note_submit();
    Ok(json::answer(
        StatusCode::ACCEPTED,
        &json!({ "task_id": id }),
    ))
}
