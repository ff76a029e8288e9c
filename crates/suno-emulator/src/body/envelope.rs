//! The envelope around every answer of the API: `code`, `msg`, `data`.

use serde_json::{Value, json};

use crate::profile::{Profile, Refusal};

/// Returns the envelope of a success.
pub(crate) fn success(data: Value) -> Value {
    json!({ "code": 200, "msg": "success", "data": data })
}

/// Returns the envelope of a refusal; `data` is `null` (`PROTOCOL.md 1.21`).
pub(crate) fn refusal(profile: Profile, refusal: &Refusal) -> Value {
    json!({ "code": profile.code(refusal), "msg": profile.message(refusal), "data": null })
}

/// Returns the envelope that refuses to make a product of a track again. It has the id of the task
/// that made it.
pub(crate) fn existing(task_id_name: &str, task_id: &str) -> Value {
    let message = "The result of this track exists already.";
    json!({ "code": 409, "msg": message, "data": { task_id_name: task_id } })
}

/// Returns the envelope of a poll on the jobs route that finds no task (`PROTOCOL.md 5`).
pub(crate) fn no_record() -> Value {
    json!({ "code": 422, "msg": "recordInfo is null", "data": null })
}
