//! Tasks: submitting each of them once, and what is known of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use suno_callback::{RecordedSubmit, Reference, SubmitError, SubmitOnce, Submitter};
use suno_types::{DynamicRequest, InvalidField, Operation, RequestBuilder};

use super::super::app::App;
use super::super::problem::{Kind, Problem};
use super::json;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an earlier request was answered with the same.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskBody {
    operation: String,
    #[serde(default)]
    fields: BTreeMap<String, FieldValue>,
    callback_url: Option<String>,
}

/// The value of a field.
#[derive(Deserialize)]
#[serde(untagged)]
enum FieldValue {
    Text(String),
    Flag(bool),
    Number(serde_json::Number),
    Several(Vec<String>),
}

impl FieldValue {
    fn texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Flag(flag) => vec![flag.to_string()],
            Self::Number(number) => vec![number.to_string()],
            Self::Several(texts) => texts,
        }
    }
}

/// `POST /v1/tasks`: submits a task, once for each key.
pub(in super::super) async fn submit(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let submitter = app.submitter.clone().ok_or_else(|| {
        let detail = "This process has no API key of the provider, so it submits nothing.";
        Problem::new(Kind::NotFound, detail)
    })?;
    let key = key(&headers)?;
    let body: TaskBody = json::read(&body)?;
    let request = request(body, &submitter, app.callback_url.as_deref())?;
    let reference = key.clone();
    // On a task of its own: a caller that goes away must not cut off a submit that is under way.
    let submitting = tokio::spawn(async move {
        let submitted = submitter.submit_once(reference.as_str(), &request).await;
        if let Err(err) = &submitted {
            let error: &dyn std::error::Error = err;
            tracing::warn!(error, "a submit over the admin address returned no task");
        }
        submitted
    });
    let submitted = submitting.await.map_err(|_| {
        let detail =
            "The submit ended unexpectedly, and the task may exist. Ask again with this key.";
        Problem::new(Kind::KeyUnknown, detail)
    })?;
    match submitted {
        Ok(SubmitOnce::Submitted {
            task_id,
            submit,
            is_new,
        }) => {
            app.board.note_submit();
            let value = json!({
                "task_id": task_id.as_str(),
                "submit": submit.to_string(),
                "reference": key.as_str(),
            });
            let mut response = json::answer(StatusCode::CREATED, &value);
            let headers = response.headers_mut();
            if let Ok(location) = HeaderValue::from_str(&format!("/v1/tasks/{task_id}")) {
                headers.insert(LOCATION, location);
            }
            if !is_new {
                headers.insert(REPLAYED, HeaderValue::from_static("true"));
            }
            Ok(response)
        }
        Ok(SubmitOnce::InFlight) => Err(Problem::new(
            Kind::KeyInFlight,
            "Another request with this key is being submitted. Send it again later.",
        )),
        Ok(SubmitOnce::Unknown(open)) => Err(unknown().with("submit", intent(&open))),
        Ok(_) => Err(Problem::new(
            Kind::KeyReused,
            "Send the same body as before, or use another key.",
        )),
        Err(err) => Err(failed(&err)),
    }
}

/// Returns the key of a request, as its text or as a string in quotes.
fn key(headers: &HeaderMap) -> Result<Reference, Problem> {
    let problem = || {
        Problem::new(
            Kind::NoKey,
            "Send one header Idempotency-Key with 1 to 256 visible characters, such as the number \
             of an order. It becomes the reference of the task's events.",
        )
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(problem());
    };
    let text = value.to_str().map_err(|_| problem())?.trim();
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = quoted.unwrap_or(text);
    let is_plain = !text.contains(['"', '\\']);
    let reference = Reference::new(text).ok().filter(|_| is_plain);
    reference.ok_or_else(problem)
}

fn request(
    body: TaskBody,
    submitter: &Submitter,
    callback_url: Option<&str>,
) -> Result<DynamicRequest, Problem> {
    let operation: Operation = body.operation.parse().map_err(|_| {
        let words: Vec<_> = Operation::all().map(Operation::as_str).collect();
        let detail = format!("The operation must be one of {}.", words.join(", "));
        Problem::new(Kind::Field, detail).with("field", "operation")
    })?;
    let refused = |err: InvalidField| invalid(operation, &err);
    let mut builder = RequestBuilder::new(operation);
    for (name, value) in body.fields {
        if name == "callback_url" {
            let detail = "Send callback_url beside fields, not in them.";
            return Err(Problem::new(Kind::Field, detail).with("field", "callback_url"));
        }
        for text in value.texts() {
            builder = builder.set(&name, &text).map_err(refused)?;
        }
    }
    if let Some(url) = body.callback_url.as_deref().or(callback_url) {
        builder = builder.callback_url(url);
    }
    builder.build_for(submitter.route()).map_err(refused)
}

/// Says which field is wrong. The name of a field that does not exist is not repeated.
fn invalid(operation: Operation, err: &InvalidField) -> Problem {
    let mut fields = operation.fields().iter();
    let field = fields.find(|field| [field.name(), field.member()].contains(&err.field()));
    match field {
        Some(field) => {
            let detail = format!("The field {} must be {}.", field.name(), err.bound());
            Problem::new(Kind::Field, detail).with("field", field.name())
        }
        None if err.field().to_ascii_lowercase().contains("back") => {
            let detail = "callback_url must be an absolute http or https URL.";
            Problem::new(Kind::Field, detail).with("field", "callback_url")
        }
        None => {
            let names: Vec<_> = operation
                .fields()
                .iter()
                .map(|field| field.name())
                .collect();
            let detail = format!("The fields of this operation are {}.", names.join(", "));
            Problem::new(Kind::Field, detail)
        }
    }
}

fn unknown() -> Problem {
    Problem::new(
        Kind::KeyUnknown,
        "The submit may have made a task that was paid for. Its first callback makes it known: send \
         this request again later. Use another key only after you have checked with the provider.",
    )
}

fn intent(open: &RecordedSubmit) -> Value {
    json!({
        "id": open.submit.to_string(),
        "intended_at": open.intended_at.to_string(),
    })
}

fn failed(err: &SubmitError) -> Problem {
    let id = err.submit_id().map(|submit| submit.to_string());
    if err.is_ambiguous() {
        return unknown().with("submit", json!({"id": id, "intended_at": null}));
    }
    let Some(client) = err.client_error() else {
        let detail = "Nothing was sent, because the submit could not be recorded first.";
        return Problem::new(Kind::Store, detail);
    };
    let detail = match () {
        () if client.is_out_of_credits() => "The account has no credits left.",
        () if client.is_unauthorized() => "The provider rejected the API key.",
        () if client.is_rate_limited() => "The provider takes no more requests for now.",
        () if client.is_invalid_request() => "The provider refused a field of the task.",
        () if client.is_maintenance() => "The provider is under maintenance.",
        () => "The provider could not be reached, or refused the task; the log says why.",
    };
    Problem::new(Kind::NotSubmitted, detail)
        .with("code", client.code().map(|code| code.0.to_string()))
        .with("is_retryable", client.is_retryable())
}
