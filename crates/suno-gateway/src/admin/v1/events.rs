//! Events: lists, one with its story, and redriving.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Value, json};
use suno_callback::history::{HistoryEntry, HistoryKind};
use suno_callback::{EventFilter, EventId, EventRecord, ListRequest, Redrive, RedriveResult};

use super::super::app::App;
use super::super::feed::{Change, REDRIVEN};
use super::super::problem::{Kind, Problem};
use super::json;
use super::parameters::{Parameters, path_id};
use super::{paging, story, stream};

/// `GET /v1/events`: a page, or a stream.
pub(in super::super) async fn list(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let parameters = Parameters::of_events(&uri)?;
    let wants_stream = headers.get_all(ACCEPT).iter().any(|accept| {
        let text = accept.to_str().unwrap_or_default();
        text.split(',')
            .any(|kind| kind.trim().starts_with("text/event-stream"))
    });
    if wants_stream {
        return stream::open(app, parameters, &headers);
    }
    let page = paging::page(&app, parameters).await?;
    let events: Vec<Value> = page.records.iter().map(json::event).collect();
    let cursor = page.cursor.to_string();
    let value = json!({"events": events, "cursor": cursor, "more": page.has_more});
    Ok(json::answer(StatusCode::OK, &value))
}

/// Finds an event with its body, and the other events of its task.
pub(super) async fn find(
    app: &App,
    id: EventId,
) -> Result<(EventRecord, Vec<EventRecord>), Problem> {
    let before = EventId(id.0.saturating_sub(1));
    let request = ListRequest::first(1, EventFilter::default()).with_after(before);
    let page = app.store.list(&request).await?;
    let listed = page.records.into_iter().find(|record| record.id == id);
    let listed = listed.ok_or_else(|| Problem::not_found("such event"))?;
    let (mut found, others): (Vec<_>, Vec<_>) = app
        .store
        .find(listed.key.task_id())
        .await?
        .into_iter()
        .partition(|record| record.id == id);
    // Purged between the two questions: what was listed is still true of then.
    Ok((found.pop().unwrap_or(listed), others))
}

/// `GET /v1/events/{id}`: an event with everything that is known of it.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = path_id(&id, "such event")?;
    let (record, others) = find(&app, id).await?;
    let history = match &app.history {
        Some(history) => {
            let all = history.of_task(record.key.task_id()).await?;
            let own = all.iter().filter(|entry| is_about(entry, &record));
            own.map(story::entry).collect()
        }
        None => Value::Null,
    };
    let value = json!({
        "event": json::event(&record),
        "content": json::content(&record),
        "task": others.iter().map(json::event).collect::<Vec<_>>(),
        "history": history,
    });
    Ok(json::answer(StatusCode::OK, &value))
}

/// Whether an entry is about an event. Deliveries do not know their revision.
fn is_about(entry: &HistoryEntry, record: &EventRecord) -> bool {
    let is_delivery = entry.kind == HistoryKind::DELIVERY;
    entry.stage.as_ref() == Some(record.key.stage())
        && (is_delivery || entry.revision == record.key.revision())
}

/// Writes what a person did into the history. It is diagnostics: it is done without it.
pub(super) async fn trace(app: &App, record: &EventRecord, kind: HistoryKind, detail: &Value) {
    let Some(history) = &app.history else {
        return;
    };
    let (task_id, key) = (record.key.task_id().clone(), &record.key);
    let entry = HistoryEntry::new(task_id, kind, app.clock.now())
        .with_stage(key.stage().clone(), key.revision())
        .with_detail(detail);
    if history.record(&[entry]).await.is_err() {
        tracing::warn!(id = %record.id, "a redrive or a replay is missing in the history; it was done");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedriveBody {
    #[serde(default)]
    even_if_superseded: bool,
}

/// `POST /v1/events/{id}/redrive`: makes a settled event ready.
pub(in super::super) async fn redrive(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let id = path_id(&id, "such event")?;
    let body: RedriveBody = json::read(&body)?;
    let (record, _) = find(&app, id).await?;
    let how = match body.even_if_superseded {
        true => Redrive::EvenIfSuperseded,
        false => Redrive::Current,
    };
    let redriven = app.store.redrive(&[id], how).await?;
    match redriven.first() {
        Some(RedriveResult::Ready) => {
            tracing::info!(%id, key = %record.key, "an event was redriven over the admin address");
            app.feed.tell(Change {
                id,
                key: record.key.clone(),
                change: REDRIVEN,
            });
            let detail = json!({"id": id.to_string(), "by": "admin address"});
            trace(&app, &record, HistoryKind::REDRIVE, &detail).await;
            let value = json!({"id": id.to_string(), "state": "ready"});
            Ok(json::answer(StatusCode::OK, &value))
        }
        Some(RedriveResult::NotSettled) => Err(Problem::new(
            Kind::NotSettled,
            "The event is ready, claimed or waiting, so it is handled anyway.",
        )),
        Some(RedriveResult::Superseded) => Err(Problem::new(
            Kind::Superseded,
            "To handle the event all the same, send {\"even_if_superseded\": true}.",
        )),
        Some(RedriveResult::Gone) => Err(Problem::new(
            Kind::Gone,
            "The event cannot be handled again, because its body was purged.",
        )),
        _ => Err(Problem::not_found("such event")),
    }
}
