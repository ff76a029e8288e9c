//! The quarantine: what could not be decoded, and decoding it again.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use suno_callback::{Delivery, EventId};

use super::super::app::App;
use super::super::problem::{Kind, Problem};
use super::json;
use super::parameters::{Parameters, path_id};

/// `GET /v1/quarantine`.
pub(in super::super) async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Response, Problem> {
    let (after, limit) = Parameters::of_page(&uri)?;
    let page = app.store.quarantine(after, limit).await?;
    let entries: Vec<Value> = page.records.iter().map(json::quarantined).collect();
    let last = page.records.last().map(|entry| entry.id).or(after);
    let value = json!({
        "entries": entries,
        "cursor": page.next.or(last).map(|id| id.to_string()),
        "more": page.next.is_some(),
    });
    Ok(json::answer(StatusCode::OK, &value))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /v1/quarantine/{id}/retry`: decodes an entry with the rules of this version.
pub(in super::super) async fn retry(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let id = path_id(&id, "such entry")?;
    let Nothing {} = json::read(&body)?;
    let before = EventId(id.0.saturating_sub(1));
    let page = app.store.quarantine(Some(before), 1).await?;
    let entry = page.records.into_iter().find(|entry| entry.id == id);
    let entry = entry.ok_or_else(|| Problem::not_found("such entry"))?;
    let delivery = Delivery::from_quarantine(&entry).ok_or_else(|| {
        Problem::new(
            Kind::NotDecodable,
            "This version cannot decode the body either; the entry is kept.",
        )
    })?;
    let delivery = delivery.with_unconfirmed(app.must_confirm);
    let accepted = app.store.requeue(id, &delivery).await?;
    let accepted = accepted.ok_or_else(|| Problem::not_found("such entry"))?;
    tracing::info!(%id, ?accepted, "a quarantined delivery was decoded again over the admin address");
    let value = json!({"id": id.to_string(), "outcome": accepted.as_str()});
    Ok(json::answer(StatusCode::OK, &value))
}
