//! The body of a callback (`PROTOCOL.md 2.4`, `5.5`).

use serde_json::{Value, json};

use super::{BodyStyle, product, record, track};
use crate::operation::{Product, Route};
use crate::task::facts::Facts;
use crate::task::life::Record;
use crate::task::plan::{Content, Failure, FailureShape, Forgery, Tracks};

/// The code of every failure callback on the jobs route (`PROTOCOL.md 5`).
const JOBS_FAILURE_CODE: u16 = 501;

/// Renders the body of a callback.
pub(crate) fn render(facts: &Facts, content: &Content, style: &BodyStyle) -> Value {
    if facts.has_record_shape
        && facts.submission.route == Route::Direct
        && let Some(body) = as_record(facts, content, style)
    {
        return body;
    }
    let mut body = match content {
        Content::Stage {
            callback_type,
            message,
            tracks,
        } => match (facts.submission.route, facts.submission.product()) {
            (Route::Jobs, _) => jobs_stage(facts, callback_type, *tracks, style),
            (Route::Direct, Product::Song) => {
                song_stage(facts, callback_type, message, *tracks, style)
            }
            (Route::Direct, _) => product::callback(facts, style),
        },
        Content::Failure { failure, shape } => {
            match (facts.submission.route, facts.submission.product()) {
                (Route::Jobs, _) => jobs_failure(facts, failure, style),
                (Route::Direct, Product::Song) => song_failure(facts, failure, *shape),
                (Route::Direct, _) => product::failure(facts, failure, style),
            }
        }
        Content::Forged(forgery) => return forged(facts, *forgery, style),
        Content::Raw(body) => return filled_in(body, &facts.task_id),
    };
    if facts.has_extra_members {
        body["traceId"] = json!("5f1c");
        if body["data"].is_object() {
            body["data"]["progress"] = json!({ "percent": 50, "steps": [1, 2, null] });
        }
    }
    body
}

/// Renders a callback in the shape of a record: the state is in `data.status`, and the result in
/// `data.response`. Forged and literal callbacks have no record.
fn as_record(facts: &Facts, content: &Content, style: &BodyStyle) -> Option<Value> {
    let (status, tracks, failure) = match content {
        Content::Stage {
            callback_type,
            tracks,
            ..
        } => match &**callback_type {
            "text" => ("TEXT_SUCCESS", *tracks, None),
            "first" => ("FIRST_SUCCESS", *tracks, None),
            _ => ("SUCCESS", *tracks, None),
        },
        Content::Failure { failure, .. } => (
            "GENERATE_AUDIO_FAILED",
            Tracks::Absent,
            Some(failure.clone()),
        ),
        Content::Forged(_) | Content::Raw(_) => return None,
    };
    let record = Record {
        status: status.into(),
        tracks,
        failure,
        is_visible: true,
    };
    Some(record::reply(facts, status, &record, style))
}

fn song_stage(
    facts: &Facts,
    callback_type: &str,
    message: &str,
    tracks: Tracks,
    style: &BodyStyle,
) -> Value {
    let mut data = json!({ "callbackType": callback_type, "task_id": facts.task_id });
    if let Some(list) = track::list(facts, tracks, style) {
        data["data"] = list;
    }
    json!({ "code": 200, "msg": message, "data": data })
}

/// Renders a stage on the jobs route. The provider reports only the ending; any other stage, which a
/// script may ask for, is shown as running.
fn jobs_stage(facts: &Facts, callback_type: &str, tracks: Tracks, style: &BodyStyle) -> Value {
    let (state, message) = if callback_type == "complete" {
        ("success", "Playground task completed successfully.")
    } else {
        ("generating", "Playground task is running.")
    };
    let data = record::jobs_data(facts, state, tracks, None, style);
    json!({ "code": 200, "msg": message, "data": data })
}

/// Renders a failure on the jobs route. The code of the failure is only in `failCode`.
fn jobs_failure(facts: &Facts, failure: &Failure, style: &BodyStyle) -> Value {
    let data = record::jobs_data(facts, "fail", Tracks::Absent, Some(failure), style);
    json!({ "code": JOBS_FAILURE_CODE, "msg": "Playground task failed.", "data": data })
}

fn song_failure(facts: &Facts, failure: &Failure, shape: FailureShape) -> Value {
    let mut data = json!({ "callbackType": "error", "task_id": facts.task_id, "data": null });
    match shape {
        FailureShape::Null => {}
        FailureShape::Empty => data["data"] = json!([]),
        FailureShape::Absent => remove(&mut data, "data"),
        FailureShape::ErrorText => {
            remove(&mut data, "data");
            data["error"] = json!(failure.message);
        }
        FailureShape::Untyped => remove(&mut data, "callbackType"),
        FailureShape::SaysComplete => data["callbackType"] = json!("complete"),
    }
    json!({ "code": failure.code, "msg": failure.message, "data": data })
}

/// Renders a forged callback. It has the right task id, since the copied signature covers it.
fn forged(facts: &Facts, forgery: Forgery, style: &BodyStyle) -> Value {
    let complete = Content::Stage {
        callback_type: "complete".into(),
        message: "All generated successfully.".into(),
        tracks: Tracks::Ready,
    };
    match forgery {
        Forgery::Complete => {
            let elsewhere = BodyStyle {
                media_base: FORGED_BASE.to_owned(),
                ..style.clone()
            };
            let mut facts = facts.clone();
            facts.submission.title = "Not your song".to_owned();
            render(&facts, &complete, &elsewhere)
        }
        Forgery::Failure => {
            let message = "Audio generation failed.".into();
            let failure = Failure { code: 501, message };
            render(
                facts,
                &Content::Failure {
                    failure,
                    shape: FailureShape::Null,
                },
                style,
            )
        }
        Forgery::Ids => {
            let mut body = render(facts, &complete, style);
            body["taskId"] = facts.task_id.chars().rev().collect::<String>().into();
            body
        }
    }
}

fn remove(data: &mut Value, name: &str) {
    if let Value::Object(members) = data {
        members.remove(name);
    }
}

/// The base URL of forged media. The name never resolves.
const FORGED_BASE: &str = "https://forged.invalid";

/// The placeholder of the task id in a literal body.
const TASK_ID_HOLDER: &str = "{task_id}";

/// Replaces the placeholder by the task id.
fn filled_in(body: &Value, task_id: &str) -> Value {
    match body {
        Value::String(text) => Value::String(text.replace(TASK_ID_HOLDER, task_id)),
        Value::Array(items) => items.iter().map(|item| filled_in(item, task_id)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(k, v)| (k.clone(), filled_in(v, task_id)))
                .collect(),
        ),
        other => other.clone(),
    }
}
