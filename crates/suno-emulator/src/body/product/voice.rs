//! The steps on the way to a voice, and personas.

use serde_json::{Value, json};

use super::is_ready;
use crate::operation::Product;
use crate::task::facts::Facts;
use crate::task::life::Record;
use crate::task::plan::Failure;

/// The phrases that the owner of the voice has to record, in turns.
const PHRASES: [&str; 2] = [
    "Lanterns along the harbour sing the ships home tonight",
    "Every bell in the valley answers the morning rain",
];

/// Renders the result of a step that is not a file.
pub(super) fn object(facts: &Facts) -> Value {
    match facts.submission.product() {
        Product::VoicePhrase => {
            let phrase = PHRASES[facts.restarts % PHRASES.len()];
            json!({ "status": "wait_validating", "validateInfo": phrase })
        }
        Product::VoiceCheck => json!({ "isAvailable": facts.is_voice_available }),
        Product::Persona => json!({
            "description": facts.submission.text("description"),
            "name": facts.submission.text("name"),
            "personaId": id(facts),
        }),
        _ => json!({ "status": "success", "voiceId": id(facts) }),
    }
}

fn id(facts: &Facts) -> &str {
    facts.tracks.first().map_or("", |track| track.id.as_str())
}

pub(super) fn callback(facts: &Facts) -> Value {
    data(facts, object(facts), "SUCCESS", 0, "")
}

pub(super) fn failure(facts: &Facts, failure: &Failure) -> Value {
    let status = "GENERATE_AUDIO_FAILED";
    data(
        facts,
        nothing(facts),
        status,
        failure.code,
        &failure.message,
    )
}

/// Renders a record. An error code of 0 means that the step has not failed.
pub(super) fn record(facts: &Facts, record: &Record) -> Value {
    let result = if is_ready(record) {
        object(facts)
    } else {
        nothing(facts)
    };
    let (code, message) = record
        .failure
        .as_ref()
        .map_or((0, ""), |failure| (failure.code, failure.message.as_ref()));
    data(facts, result, &record.status, code, message)
}

/// Returns the result of a step that has none yet.
fn nothing(facts: &Facts) -> Value {
    match facts.submission.product() {
        Product::VoicePhrase => json!({ "validateInfo": "" }),
        _ => json!({ "voiceId": "" }),
    }
}

fn data(facts: &Facts, mut data: Value, status: &str, code: u16, message: &str) -> Value {
    let is_phrase = facts.submission.product() == Product::VoicePhrase;
    data["errorCode"] = code.into();
    data["errorMessage"] = message.into();
    data["status"] = match status {
        "PENDING" => "wait_processing",
        "GENERATING" => "processing_validate",
        "SUCCESS" if is_phrase => "wait_validating",
        "SUCCESS" => "success",
        _ if is_phrase => "processing_validate_fail",
        _ => "fail",
    }
    .into();
    data["taskId"] = facts.task_id.as_str().into();
    data
}
