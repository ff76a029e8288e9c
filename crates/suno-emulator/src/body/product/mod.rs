//! The bodies of everything that is not a song: callbacks, records, results of jobs, and answers
//! that carry the result at once.

use serde_json::{Value, json};

use super::BodyStyle;
use crate::operation::Product;
use crate::profile::Profile;
use crate::task::facts::Facts;
use crate::task::life::Record;
use crate::task::plan::{Failure, Tracks};

mod files;
mod midi;
mod voice;
mod words;

pub(crate) use files::has_stem;

/// Renders the callback of a finished task on the direct route (`PROTOCOL.md 2.33`).
pub(super) fn callback(facts: &Facts, style: &BodyStyle) -> Value {
    let (message, data) = match facts.submission.product() {
        Product::Lyrics => ("All generated successfully.", words::callback(facts, style)),
        Product::Video => ("MP4 generated successfully.", files::callback(facts, style)),
        Product::Stems => (
            "vocal Removal generated successfully.",
            files::callback(facts, style),
        ),
        Product::Midi => ("success", midi::callback(facts)),
        Product::VoicePhrase | Product::Voice => ("success", voice::callback(facts)),
        Product::Recovery => {
            let tracks = files::recovered(facts, style);
            return recovery(facts, 200, "success", tracks);
        }
        _ => ("success", files::callback(facts, style)),
    };
    json!({ "code": 200, "msg": message, "data": data })
}

/// Renders the callback of a failed task on the direct route.
pub(super) fn failure(facts: &Facts, failure: &Failure, style: &BodyStyle) -> Value {
    let data = match facts.submission.product() {
        Product::Lyrics => words::failure(facts, style),
        Product::Midi => json!({ "taskId": facts.task_id }),
        Product::VoicePhrase | Product::Voice => voice::failure(facts, failure),
        Product::Recovery => {
            let tracks = files::unrecovered(facts);
            return recovery(facts, failure.code, &failure.message, tracks);
        }
        _ => files::failure(facts, style),
    };
    json!({ "code": failure.code, "msg": failure.message, "data": data })
}

/// Renders a callback or a record of a recovery: the task id is at the root, and `data` is a
/// list.
fn recovery(facts: &Facts, code: u16, message: &str, tracks: Value) -> Value {
    json!({ "code": code, "msg": message, "task_id": facts.task_id, "data": tracks })
}

/// Renders the answer to a poll on the direct route. `status` also reports that a callback failed
/// for good.
pub(super) fn reply(facts: &Facts, status: &str, record: &Record, style: &BodyStyle) -> Value {
    let data = match facts.submission.product() {
        Product::Lyrics => words::record(facts, status, record),
        Product::Midi => midi::record(facts, status, record, style),
        Product::VoicePhrase | Product::Voice => voice::record(facts, record),
        Product::Recovery => {
            return match &record.failure {
                Some(failure) => recovery(
                    facts,
                    failure.code,
                    &failure.message,
                    files::unrecovered(facts),
                ),
                None if is_ready(record) => {
                    recovery(facts, 200, "success", files::recovered(facts, style))
                }
                None => recovery(facts, 201, "The task is running.", Value::Null),
            };
        }
        _ => files::record(facts, status, record, style),
    };
    super::envelope::success(data)
}

/// Renders the result on the jobs route, which `resultJson` holds as text. The results of lyrics,
/// WAV files and videos are reported, the others are assumed (`PROTOCOL.md 5`).
pub(super) fn job_result(facts: &Facts, style: &BodyStyle) -> Value {
    match facts.submission.product() {
        Product::Wav | Product::Video | Product::Cover => {
            json!({ "resultUrls": files::urls(facts, style) })
        }
        Product::Recovery => json!({ "data": files::recovered(facts, style) }),
        Product::Lyrics => {
            json!({ "resultObject": { "lyricsData": words::list(facts, Profile::Kie) } })
        }
        Product::TimedLyrics => json!({ "resultObject": words::timed(facts, Case::Snake) }),
        _ => json!({ "resultObject": object(facts, style) }),
    }
}

/// Renders `data` of a submit that is answered with the result.
pub(crate) fn immediate(facts: &Facts, style: &BodyStyle) -> Value {
    match facts.submission.product() {
        Product::TimedLyrics => words::timed(facts, Case::Camel),
        _ => object(facts, style),
    }
}

fn object(facts: &Facts, style: &BodyStyle) -> Value {
    match facts.submission.product() {
        Product::Style => words::style_boost(facts, style),
        Product::Stems => files::stems(facts, style, Case::Snake),
        Product::Midi => midi::notes(facts),
        _ => voice::object(facts),
    }
}

/// The spelling of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Camel,
    Snake,
}

fn is_ready(record: &Record) -> bool {
    record.tracks == Tracks::Ready && record.failure.is_none()
}

/// Returns the error members of a record.
fn errors(record: &Record) -> (Value, Value) {
    match &record.failure {
        Some(failure) => (failure.code.into(), failure.message.as_ref().into()),
        None => (Value::Null, Value::Null),
    }
}

/// Returns a status in the words of a product.
fn status_word(product: Product, status: &str) -> &str {
    match (status, product) {
        ("GENERATING", _) => "PENDING",
        ("GENERATE_AUDIO_FAILED", Product::Wav) => "GENERATE_WAV_FAILED",
        ("GENERATE_AUDIO_FAILED", Product::Video) => "GENERATE_MP4_FAILED",
        ("GENERATE_AUDIO_FAILED", Product::Lyrics) => "GENERATE_LYRICS_FAILED",
        (other, _) => other,
    }
}
