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
