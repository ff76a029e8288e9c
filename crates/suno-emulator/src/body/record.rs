//! The body of a poll's answer (`PROTOCOL.md 4.1`, `5.2`).

use serde_json::{Value, json};

use super::BodyStyle;
use super::track;
use crate::task::facts::Facts;
use crate::task::life::Record;
use crate::task::plan::{Failure, Tracks};
use crate::task::submission::Dialect;

/// Renders `data` of `record-info` or `recordInfo`. `status` is used by the first dialect, whose
/// polls also report that a callback failed for good.
pub(crate) fn data(facts: &Facts, status: &str, record: &Record, style: &BodyStyle) -> Value {
    let failure = record.failure.as_ref();
    let mut data = match facts.submission.dialect {
        Dialect::Generate => generate_data(facts, status, record, style),
        Dialect::Jobs => {
            let state = jobs_state(&record.status);
            jobs_data(facts, state, record.tracks, failure, style)
        }
    };
    if facts.has_extra_members {
        data["traceId"] = json!("5f1c");
        data["progress"] = json!({ "percent": 50, "steps": [1, 2, null] });
    }
    data
}

fn generate_data(facts: &Facts, status: &str, record: &Record, style: &BodyStyle) -> Value {
    let tracks = track::camel_list(facts, record.tracks, style);
    let response = tracks.map(|tracks| json!({ "sunoData": tracks, "taskId": facts.task_id }));
    let failure = record.failure.as_ref();
    json!({
        "createTime": style.time(facts.created_unix_ms),
        "errorCode": failure.map(|failure| failure.code),
        "errorMessage": failure.map(|failure| &failure.message),
        "operationType": "underpainting",
        "param": Value::Object(facts.submission.echo.clone()).to_string(),
        "parentMusicId": "",
        "response": response,
        "status": status,
        "taskId": facts.task_id,
        "type": facts.submission.engine(),
    })
}

/// Returns the state in the jobs dialect that matches a status.
fn jobs_state(status: &str) -> &str {
    match status {
        "PENDING" => "waiting",
        "TEXT_SUCCESS" => "queuing",
        "FIRST_SUCCESS" | "GENERATING" => "generating",
        "SUCCESS" => "success",
        "CREATE_TASK_FAILED" | "GENERATE_AUDIO_FAILED" | "SENSITIVE_WORD_ERROR" | "FAILED" => {
            "fail"
        }
        other => other,
    }
}

/// Renders `data` of the jobs dialect, which is the same in a callback and in a poll.
pub(crate) fn jobs_data(
    facts: &Facts,
    state: &str,
    tracks: Tracks,
    failure: Option<&Failure>,
    style: &BodyStyle,
) -> Value {
    // Only a successful task shows tracks: the pages have no result of a running task.
    let tracks = if state == "success" {
        track::list(facts, tracks, style)
    } else {
        None
    };
    let result = tracks.map(|tracks| json!({ "data": tracks }).to_string());
    json!({
        "createTime": style.time(facts.created_unix_ms),
        "creditsConsumed": facts.credits_consumed,
        "failCode": failure.map(|failure| failure.code.to_string()),
        "failMsg": failure.map(|failure| &failure.message),
        "model": "ai-music-api/add-instrumental",
        "param": Value::Object(facts.submission.echo.clone()).to_string(),
        "resultJson": result,
        "state": state,
        "taskId": facts.task_id,
    })
}
