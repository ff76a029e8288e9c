//! A task with everything that is known of it from its submit on, for people: bodies, content and history.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use suno_callback::history::HistoryEntry;
use suno_callback::{ConflictRecord, EventRecord, RecordedTask, Reference, Source};
use suno_types::{Extra, Product, TaskId};

use super::super::app::App;
use super::super::expected::{due_at, is_ended};
use super::super::problem::Problem;
use super::json;
use crate::content::{verified_by, without_callback_urls};

/// `GET /v1/tasks/{id}`.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = TaskId::new(id).map_err(|_| Problem::not_found("such task"))?;
    let events = app.store.find(&id).await?;
    let recorded = app.store.recorded_tasks(std::slice::from_ref(&id)).await?;
    let recorded = recorded.into_iter().next();
    let recorded = recorded.unwrap_or_else(|| RecordedTask::new(id.clone()));
    let is_known = recorded.submit.is_some() || recorded.expectation.is_some();
    if events.is_empty() && !is_known {
        return Err(Problem::not_found("such task in the store"));
    }
    let history = match &app.history {
        Some(history) => history.of_task(&id).await?.iter().map(entry).collect(),
        None => Value::Null,
    };
    let destinations = app.destinations.iter().map(|one| one.name().as_str());
    let reference = events.iter().find_map(|event| event.reference.as_ref());
    let reference = reference.or(recorded.reference.as_ref());
    let made = recorded.kind.as_ref().map(|kind| &kind.product);
    let product = events.last().map(|latest| &latest.product).or(made);
    let due_at = due_at(&recorded, is_ended(&events), app.clock.now());
    let polls = recorded.expectation.map(|expectation| expectation.answers);
    let mut shown = Vec::with_capacity(events.len());
    for record in &events {
        let mut value = event(record);
        if record.conflicts > 0 {
            let conflicts = app.store.conflicts(record.id).await?;
            value["conflict_records"] = conflicts.iter().map(conflict).collect();
        }
        shown.push(value);
    }
    let value = json!({
        "task_id": id.as_str(),
        "product": product.map(Product::as_str),
        "reference": reference.map(Reference::as_str),
        "submitted_at": recorded.intended_at.map(|at| at.to_string()),
        "due_at": due_at.map(|at| at.to_string()),
        "polls": polls,
        "events": shown,
        "history": history,
        "destinations": destinations.collect::<Vec<_>>(),
    });
    Ok(json::answer(StatusCode::OK, &value))
}

fn event(record: &EventRecord) -> Value {
    let mut value = json::event(record);
    value["content"] = json::content(record);
    value["body"] = json!(record.raw.as_ref().and_then(|raw| body(raw)));
    value["conflict_records"] = json!([]);
    value
}

/// A delivery that says something else than its event.
fn conflict(record: &ConflictRecord) -> Value {
    json!({
        "received_at": record.received_at.map(|at| at.to_string()),
        "source": record.source.map(Source::as_str),
        "verified_by": verified_by(record.verified_by),
        "body": record.raw.as_ref().and_then(|raw| body(raw)),
    })
}

/// Converts an entry of a history.
pub(super) fn entry(entry: &HistoryEntry) -> Value {
    json!({
        "at": entry.at.to_string(),
        "kind": entry.kind.as_str(),
        "stage": entry.stage.as_ref().map(suno_types::Stage::as_str),
        "revision": entry.revision,
        "detail": serde_json::from_str::<Value>(entry.detail()).unwrap_or(Value::Null),
    })
}

/// Returns a body as it was sent or, if it may repeat a callback URL, whose token is a secret, without
/// that. `None` if it is no text, or cannot be read.
fn body(raw: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(raw).ok()?;
    if !may_name(text) {
        return Some(text.to_owned());
    }
    let value = serde_json::from_str(text).ok()?;
    Some(without_naming_texts(without_callback_urls(value)).to_string())
}

/// Whether a text may name a callback URL. A name can be written with escapes.
fn may_name(text: &str) -> bool {
    text.contains("\\u00") || Extra::CALLBACK_URLS.iter().any(|name| text.contains(name))
}

/// Replaces texts that are JSON with a callback URL, such as a request that is repeated, by null.
fn without_naming_texts(value: Value) -> Value {
    match value {
        Value::String(text) if may_name(&text) => Value::Null,
        Value::Array(items) => items.into_iter().map(without_naming_texts).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, without_naming_texts(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_as_it_was_sent_but_for_callback_urls() {
        let plain = r#"{"code":200, "data":{"seed":9007199254740993}}"#;
        assert_eq!(body(plain.as_bytes()).as_deref(), Some(plain));
        for secret in [
            r#"{"data":{"callBackUrl":"https://a.example/TOKEN","kept":1}}"#,
            r#"{"data":{"\u0063allBackUrl":"https://a.example/TOKEN","kept":1}}"#,
            r#"{"data":{"param":"{\"callBackUrl\":\"TOKEN\"}","kept":1}}"#,
            r#"{"data":{"param":"{\"\\u0063allBackUrl\":\"TOKEN\"}","kept":1}}"#,
            r#"{"data":{"param":"{\"\u0063allBackUrl\":\"TOKEN\"}","kept":1}}"#,
        ] {
            let shown = body(secret.as_bytes()).unwrap();
            assert!(
                !shown.contains("TOKEN") && shown.contains("kept"),
                "{shown}"
            );
        }
        assert_eq!(body(br#"{"callBackUrl":"TOKEN""#), None);
        assert_eq!(body(b"\xff"), None);
    }
}
