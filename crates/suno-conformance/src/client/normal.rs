//! Converts the outcome of a call to the form of the cases.

use serde_json::{Value, json};
use suno_client::{ClientError, ErrorKind, WaitError};
use suno_types::{Credits, SubmittedTask, TaskRecord, Track};

use crate::normal::{outcome, stage};

pub(super) fn submitted(result: Result<SubmittedTask, ClientError>) -> Value {
    match result {
        Ok(submitted) => json!({"submitted": {"task_id": submitted.task_id.as_str()}}),
        Err(err) => error(&err),
    }
}

pub(super) fn record(result: Result<Option<TaskRecord>, ClientError>) -> Value {
    let form = |record: TaskRecord| {
        json!({
            "task_id": record.task_id.as_str(),
            "status": record.status.as_str(),
            "outcome": outcome(record.outcome()),
            "stage": stage(&record),
            "error_code": record.error_code.map(|code| code.0),
            "tracks_ready": tracks_ready(&record),
        })
    };
    match result {
        Ok(record) => json!({"record": record.map(form)}),
        Err(err) => error(&err),
    }
}

pub(super) fn credits(result: Result<Credits, ClientError>) -> Value {
    match result {
        Ok(Credits(credits)) => json!({"credits": credits}),
        Err(err) => error(&err),
    }
}

pub(super) fn waited(result: Result<TaskRecord, WaitError>) -> Value {
    let err = match result {
        Ok(record) => {
            let task_id = record.task_id.as_str();
            let tracks_ready = tracks_ready(&record);
            return json!({"completed": {"task_id": task_id, "tracks_ready": tracks_ready}});
        }
        Err(err) => err,
    };
    match (err.failure(), err.client_error()) {
        (Some(failure), _) => json!({"failed": {
            "task_id": err.task_id().as_str(),
            "status": failure.record().status.as_str(),
            "error_code": failure.code().map(|code| code.0),
        }}),
        (None, Some(err)) => error(err),
        (None, None) => json!({"gave_up": err.to_string()}),
    }
}

fn tracks_ready(record: &TaskRecord) -> usize {
    record
        .tracks
        .iter()
        .filter(|track| Track::is_ready(track))
        .count()
}

fn error(err: &ClientError) -> Value {
    let mut error = json!({
        "kind": kind(err),
        "code": err.code().map(|code| code.0),
        "retryable": err.is_retryable(),
        "ambiguous": err.is_ambiguous(),
    });
    if let Some(task) = err.existing_task() {
        error["existing_task"] = task.as_str().into();
    }
    json!({"said": said(err), "error": error})
}

/// Returns the word of the cases for the kind of an error. They have a separate one for a submit
/// whose connection ended (`PROTOCOL.md 7.37`).
fn kind(err: &ClientError) -> &'static str {
    match err.kind() {
        ErrorKind::Interrupted if err.is_ambiguous() => "ambiguous",
        kind => kind.as_str(),
    }
}

/// Returns every text of an error, as shown to people and in logs.
fn said(err: &ClientError) -> String {
    let mut said = format!("{err} {err:?}");
    let mut source = std::error::Error::source(err);
    while let Some(cause) = source {
        said.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    said
}

/// Removes the texts of an error from the outcome.
pub(super) fn take_said(got: &mut Value) -> String {
    let said = got.as_object_mut().and_then(|got| got.remove("said"));
    said.as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// If a case names no kind of error, the kind is not compared.
pub(super) fn leave_out_kind(expected: &Value, got: &mut Value) {
    let asked = expected.pointer("/error/kind").is_some();
    if let (Some(_), false, Some(error)) = (
        expected.get("error"),
        asked,
        got.get_mut("error").and_then(Value::as_object_mut),
    ) {
        error.remove("kind");
    }
}
