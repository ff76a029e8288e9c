//! The body of a poll's answer (`PROTOCOL.md 4.1`, `5.2`).

use serde_json::{Value, json};

use super::{BodyStyle, envelope, product, track};
use crate::hundredths::number;
use crate::operation::{Product, Route};
use crate::task::facts::Facts;
use crate::task::life::Record;
use crate::task::plan::{Failure, Tracks};

/// Renders the answer to a poll. `status` is used on the direct route, whose polls also report that
/// the last retry of a callback failed.
pub(crate) fn reply(facts: &Facts, status: &str, record: &Record, style: &BodyStyle) -> Value {
    let mut reply = match (facts.submission.route, facts.submission.product()) {
        (Route::Direct, Product::Song) => {
            envelope::success(direct_data(facts, status, record, style))
        }
        (Route::Direct, _) => product::reply(facts, status, record, style),
        (Route::Jobs, _) => {
            let state = jobs_state(&record.status);
            let failure = record.failure.as_ref();
            envelope::success(jobs_data(facts, state, record.tracks, failure, style))
        }
    };
    if facts.has_extra_members && reply["data"].is_object() {
        reply["data"]["traceId"] = json!("5f1c");
        reply["data"]["progress"] = json!({ "percent": 50, "steps": [1, 2, null] });
    }
    reply
}

fn direct_data(facts: &Facts, status: &str, record: &Record, style: &BodyStyle) -> Value {
    let tracks = track::camel_list(facts, record.tracks, style);
    let response = tracks.map(|tracks| json!({ "sunoData": tracks, "taskId": facts.task_id }));
    let failure = record.failure.as_ref();
    json!({
        "createTime": style.time(facts.created_unix_ms),
        "errorCode": failure.map(|failure| failure.code),
        "errorMessage": failure.map(|failure| &failure.message),
        "operationType": facts.submission.operation.operation_type,
        "param": Value::Object(facts.submission.echo.clone()).to_string(),
        "parentMusicId": facts.submission.text("audioId"),
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
    // Only a successful task shows a result: the pages have none of a running task.
    let result = match (state, tracks) {
        ("success", Tracks::Ready) if !facts.submission.product().is_song() => {
            Some(product::job_result(facts, style))
        }
        ("success", tracks) if facts.submission.product().is_song() => {
            track::list(facts, tracks, style).map(|tracks| json!({ "data": tracks }))
        }
        _ => None,
    };
    let created = facts.created_unix_ms;
    let completed = facts.completed_unix_ms;
    let updated = completed.or(facts.tracks_unix_ms).unwrap_or(created);
    let consumed = number(facts.credits_consumed);
    json!({
        "completeTime": completed.map(|unix_ms| style.time(unix_ms)),
        "consumeCredits": consumed,
        "costTime": completed.map(|unix_ms| unix_ms.saturating_sub(created) / 1000),
        "createTime": style.time(created),
        "creditsConsumed": consumed,
        "failCode": failure.map(|failure| failure.code.to_string()),
        "failMsg": failure.map(|failure| &failure.message),
        "model": facts.submission.operation.jobs_model(),
        "param": Value::Object(facts.submission.echo.clone()).to_string(),
        "remainedCredits": number(facts.credits_left),
        "resultJson": result.map(|result| result.to_string()),
        "state": state,
        "taskId": facts.task_id,
        "updateTime": style.time(updated),
    })
}
