//! Converts decoded values to the normalised form of the cases.

use jiff::Timestamp;
use serde_json::{Value, json};
use suno_types::{
    Callback, Code, CreatedAt, DecodeError, DecodeErrorKind, Envelope, Outcome, Stage, TaskRecord,
    Track,
};

use crate::output;

pub(crate) fn callback(callback: &Callback) -> Value {
    let word = callback.callback_type.as_ref();
    json!({
        "task_id": callback.task_id.as_str(),
        "code": callback.code.0,
        "msg": callback.msg,
        "stage": callback.stage().as_str(),
        "callback_type": word.map(|word| word.as_str()),
        "error": callback.error,
        "fail_code": callback.fail_code,
        "product": callback.product().as_str(),
        "tracks": tracks(&callback.tracks),
        "output": output::output(callback.output()),
    })
}

pub(crate) fn record(envelope: &Envelope<TaskRecord>) -> Value {
    let record = envelope.data.as_ref().map(|record| {
        json!({
            "task_id": record.task_id.as_str(),
            "status": record.status.as_str(),
            "type": record.kind,
            "operation_type": record.operation_type,
            "error_code": record.error_code.map(|Code(code)| code),
            "error_message": record.error_message,
            "created_at": created_at(record.created_at.as_ref()),
            "product": record.product().as_str(),
            "tracks": tracks(&record.tracks),
            "output": output::output(record.output()),
            "outcome": outcome(record.outcome()),
            "stage": stage(record),
        })
    });
    json!({"code": envelope.code.0, "msg": envelope.msg, "record": record})
}

pub(crate) fn stage(record: &TaskRecord) -> Option<String> {
    record
        .stage()
        .as_ref()
        .map(Stage::as_str)
        .map(str::to_owned)
}

pub(crate) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Running => "running",
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        _ => "an outcome that this runner does not know",
    }
}

/// Converts an error, without its path if the cases do not compare it.
pub(crate) fn error(err: &DecodeError) -> Value {
    json!({"kind": err.kind().as_str(), "path": path(err.kind().as_str(), err.path())})
}

/// Returns the path of an error, as far as it is compared: a reader cannot always
/// determine it.
pub(crate) fn path<'a>(kind: &str, path: &'a str) -> &'a str {
    let placeless = [
        DecodeErrorKind::NotUtf8,
        DecodeErrorKind::Syntax,
        DecodeErrorKind::TooDeep,
        DecodeErrorKind::TooManyMembers,
        DecodeErrorKind::IdsDisagree,
    ];
    if placeless.iter().any(|placeless| placeless.as_str() == kind) {
        ""
    } else {
        path
    }
}

fn tracks(tracks: &[Track]) -> Vec<Value> {
    tracks.iter().map(track).collect()
}

fn track(track: &Track) -> Value {
    json!({
        "position": track.position,
        "id": track.id.as_ref().map(|id| id.as_str()),
        "ready": track.is_ready(),
        "title": track.title,
        "tags": track.tags,
        "prompt": track.prompt,
        "model_name": track.model_name,
        "duration": track.duration,
        "audio_url": url(track.audio_url.as_deref()),
        "source_audio_url": url(track.source_audio_url.as_deref()),
        "stream_audio_url": url(track.stream_audio_url.as_deref()),
        "source_stream_audio_url": url(track.source_stream_audio_url.as_deref()),
        "image_url": url(track.image_url.as_deref()),
        "source_image_url": url(track.source_image_url.as_deref()),
        "created_at": created_at(track.created_at.as_ref()),
    })
}

fn url(url: Option<&str>) -> Option<&str> {
    url.filter(|url| !url.is_empty())
}

fn created_at(created_at: Option<&CreatedAt>) -> Option<String> {
    created_at.and_then(CreatedAt::timestamp).map(rfc3339)
}

/// Includes milliseconds only if they are not zero.
fn rfc3339(at: Timestamp) -> String {
    let form = if at.subsec_nanosecond() == 0 {
        "%Y-%m-%dT%H:%M:%SZ"
    } else {
        "%Y-%m-%dT%H:%M:%S.%3fZ"
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_written_only_if_there_are_any() {
        let text = |millis| created_at(Some(&CreatedAt::from_millis(millis)));
        assert_eq!(text(1_780_000_000_000).unwrap(), "2026-05-28T20:26:40Z");
        assert_eq!(text(1_780_000_000_010).unwrap(), "2026-05-28T20:26:40.010Z");
        assert_eq!(text(i64::MAX), None);
    }
}
