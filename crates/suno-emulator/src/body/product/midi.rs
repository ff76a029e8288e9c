//! The notes of a song.

use fastrand::Rng;
use serde_json::{Value, json};

use super::{errors, is_ready};
use crate::body::BodyStyle;
use crate::seed;
use crate::task::facts::Facts;
use crate::task::life::Record;

const INSTRUMENTS: [&str; 2] = ["Drums", "Electric Bass (finger)"];
const NOTES: usize = 12;
/// The time between two notes, in seconds.
const NOTE_SECONDS: f64 = 0.25;

/// Renders the notes, which are the same in every body of the task.
pub(super) fn notes(facts: &Facts) -> Value {
    let mut rng = Rng::with_seed(seed::of_text(&facts.task_id));
    let instruments: Value = INSTRUMENTS
        .iter()
        .map(|name| {
            let notes: Value = (0..NOTES).map(|index| note(&mut rng, index)).collect();
            json!({ "name": name, "notes": notes })
        })
        .collect();
    json!({ "instruments": instruments, "state": "complete" })
}

/// Renders a note. The provider's pages show times as numbers and as text.
fn note(rng: &mut Rng, index: usize) -> Value {
    let start = index as f64 * NOTE_SECONDS;
    let end = start + NOTE_SECONDS / 2.0;
    let time = |seconds: f64, is_text: bool| {
        if is_text {
            json!(seconds.to_string())
        } else {
            json!(seconds)
        }
    };
    json!({
        "pitch": rng.u8(36..84),
        "start": time(start, index.is_multiple_of(3)),
        "end": time(end, index.is_multiple_of(2)),
        "velocity": 1,
    })
}

pub(super) fn callback(facts: &Facts) -> Value {
    let mut data = notes(facts);
    data["taskId"] = facts.task_id.as_str().into();
    data
}

pub(super) fn record(facts: &Facts, status: &str, record: &Record, style: &BodyStyle) -> Value {
    let (error_code, error_message) = errors(record);
    let flag = match status {
        "PENDING" | "GENERATING" => 0,
        "SUCCESS" => 1,
        "CREATE_TASK_FAILED" => 2,
        "CALLBACK_EXCEPTION" => 4,
        _ => 3,
    };
    json!({
        "audioId": facts.submission.text("audioId"),
        "callbackUrl": facts.submission.callback_url,
        "completeTime": facts.completed_unix_ms.map(|unix_ms| style.time(unix_ms)),
        "createTime": style.time(facts.created_unix_ms),
        "errorCode": error_code,
        "errorMessage": error_message,
        "midiData": is_ready(record).then(|| notes(facts)),
        "recordTaskId": facts.submission.text("taskId"),
        "successFlag": flag,
        "taskId": facts.task_id,
    })
}
