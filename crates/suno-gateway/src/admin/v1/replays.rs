//! Replays: an event is sent once more to a destination, whatever became of it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use suno_callback::history::HistoryKind;
use suno_types::Callback;

use super::super::app::App;
use super::super::problem::{Kind, Problem};
use super::destinations::named;
use super::events::{find, trace};
use super::json;
use super::parameters::path_id;
use crate::Next;
use crate::body::{BodyForm, EventParts, Message};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    destination: String,
}

/// `POST /v1/events/{id}/replay`: sends an event to a destination that is configured.
pub(in super::super) async fn replay(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let id = path_id(&id, "such event")?;
    let body: ReplayBody = json::read(&body)?;
    let destination = named(&app, &body.destination)?;
    let (record, _) = find(&app, id).await?;
    let raw = record.raw.as_ref().ok_or_else(|| {
        Problem::new(
            Kind::Gone,
            "The event cannot be sent again, because its body was purged.",
        )
    })?;
    let callback = Callback::decode(raw).map_err(|_| {
        Problem::new(
            Kind::NotDecodable,
            "This version cannot decode the stored body.",
        )
    })?;
    let parts = EventParts {
        source: record.source,
        verified_by: record.verified_by,
        suffix: record.suffix.as_ref(),
        submit: record.submit,
        reference: record.reference.as_ref(),
        ..EventParts::new(&record.key, &callback, record.received_at)
    };
    let message = Message::new(parts, BodyForm::Full);
    let replay = app.replay_counts.next(id);
    let name = destination.name().clone();
    let delivered = destination.replay(&message, replay).await;
    let (outcome, wait) = outcome(delivered.next);
    tracing::info!(%id, key = %record.key, destination = %name, outcome, "an event was replayed over the admin address");
    let value = json!({
        "id": id.to_string(),
        "destination": name.as_str(),
        "replay": replay,
        "outcome": outcome,
        "wait_ms": wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        "reason": delivered.reason,
        "attempt": delivered.attempt,
    });
    trace(&app, &record, HistoryKind::REPLAY, &value).await;
    Ok(json::answer(StatusCode::OK, &value))
}

/// The outcome as one word. A replay is never repeated by itself.
fn outcome(next: Next) -> (&'static str, Option<Duration>) {
    match next {
        Next::Done => ("done", None),
        Next::Retry(wait) => ("failed", Some(wait)),
        Next::DeadLetter => ("refused", None),
        Next::NotNow(wait) => ("not_now", Some(wait)),
    }
}
