//! Events and other things as JSON. Numbers of the store are strings, because they can be larger
//! than what a double holds.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use suno_callback::{
    EventRecord, EventState, QuarantinedDelivery, Reference, StateName, UrlSuffix,
};
use suno_types::{Callback, Code};

use super::super::problem::{Kind, Problem};
use crate::content::{CallbackContent, INTEGER_MAX, verified_by};
use crate::signing::MessageId;

/// Makes an answer of a value.
pub(super) fn answer(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// Reads the body of a request. An empty one is an empty object.
///
/// # Errors
///
/// Returns a problem that names the place, and never the text.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|err| {
        // The message of serde names what was expected, and can repeat what was sent.
        let (line, column) = (err.line(), err.column());
        let what = match err.classify() {
            serde_json::error::Category::Data => "has a member that is missing, unknown or wrong",
            _ => "is not valid JSON",
        };
        let detail = format!("The body {what}, at line {line}, column {column}.");
        Problem::new(Kind::Body, detail)
    })
}

/// An event, without its content.
pub(super) fn event(record: &EventRecord) -> Value {
    let wait = match record.state {
        EventState::Waiting { ready_in } => Some(ready_in),
        EventState::Claimed { holds_for } => Some(holds_for),
        _ => None,
    };
    json!({
        "id": record.id.to_string(),
        "message_id": MessageId::of(&record.key).as_str(),
        "task_id": record.key.task_id().as_str(),
        "stage": record.key.stage().as_str(),
        "revision": record.key.revision(),
        "product": record.product.as_str(),
        "code": code(record.code),
        "results": record.results,
        "state": StateName::from(record.state).as_str(),
        "state_ends_in_ms": wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(INTEGER_MAX)),
        "attempts": record.attempts,
        "lapses": record.lapses,
        "reason": record.reason,
        "dead_cause": record.dead_cause.map(suno_callback::DeadCause::as_str),
        "source": record.source.as_str(),
        "verified_by": verified_by(record.verified_by),
        "unconfirmed": record.unconfirmed,
        "received_at": record.received_at.to_string(),
        "path": record.suffix.as_ref().map_or("", UrlSuffix::path),
        "query": record.suffix.as_ref().map_or("", UrlSuffix::query),
        "submit": record.submit.map(|submit| submit.to_string()),
        "reference": record.reference.as_ref().map(Reference::as_str),
        "conflicts": record.conflicts,
    })
}

/// The content of an event, as it is forwarded; null if its body was purged.
pub(super) fn content(record: &EventRecord) -> Value {
    let callback = record
        .raw
        .as_ref()
        .and_then(|raw| Callback::decode(raw).ok());
    callback.map_or(Value::Null, |callback| {
        // Text, numbers and members that were parsed are always JSON.
        serde_json::to_value(CallbackContent::from(&callback)).unwrap_or(Value::Null)
    })
}

/// An entry of the quarantine, without its body: it may contain anything.
pub(super) fn quarantined(entry: &QuarantinedDelivery) -> Value {
    json!({
        "id": entry.id.to_string(),
        "task_id": entry.task_id.as_ref().map(suno_types::TaskId::as_str),
        "reason": entry.reason,
        "received_at": entry.received_at.to_string(),
        "source": entry.source.as_str(),
        "verified_by": verified_by(entry.verified_by),
        "submit": entry.submit.map(|submit| submit.to_string()),
        "body_bytes": entry.raw.len(),
    })
}

fn code(code: Code) -> Value {
    match code.0.unsigned_abs() {
        0..=INTEGER_MAX => json!(code.0),
        _ => json!(code.0.to_string()),
    }
}
