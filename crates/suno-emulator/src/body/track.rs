//! Tracks, in snake_case for callbacks and in camelCase for polls.

use serde_json::{Map, Value, json};

use super::BodyStyle;
use crate::task::facts::{Facts, TrackFacts};
use crate::task::plan::Tracks;

/// The members that are named differently in a callback and in a poll (`PROTOCOL.md 4.2`).
const RENAMED: [(&str, &str); 7] = [
    ("audio_url", "audioUrl"),
    ("image_url", "imageUrl"),
    ("model_name", "modelName"),
    ("source_audio_url", "sourceAudioUrl"),
    ("source_image_url", "sourceImageUrl"),
    ("source_stream_audio_url", "sourceStreamAudioUrl"),
    ("stream_audio_url", "streamAudioUrl"),
];

/// Renders the list of tracks in a callback. Returns `None` if the member is absent.
pub(crate) fn list(facts: &Facts, tracks: Tracks, style: &BodyStyle) -> Option<Value> {
    let all = |is_ready: &dyn Fn(usize) -> bool| -> Value {
        let tracks = facts.tracks.iter().enumerate();
        tracks
            .map(|(index, track)| one(facts, index, track, is_ready(index), style))
            .collect()
    };
    match tracks {
        Tracks::Absent => None,
        Tracks::Null => Some(Value::Null),
        Tracks::Empty => Some(json!([])),
        Tracks::Unfinished => Some(all(&|_| false)),
        Tracks::FirstReady => Some(all(&|index| index == 0)),
        Tracks::LastReady => {
            let last = facts.tracks.len().saturating_sub(1);
            Some(all(&|index| index == last))
        }
        Tracks::FirstAlone => {
            let first = facts.tracks.iter().take(1);
            Some(
                first
                    .map(|track| one(facts, 0, track, true, style))
                    .collect(),
            )
        }
        Tracks::Ready => Some(all(&|_| true)),
    }
}

/// Renders the list of tracks in a poll.
pub(crate) fn camel_list(facts: &Facts, tracks: Tracks, style: &BodyStyle) -> Option<Value> {
    let list = list(facts, tracks, style)?;
    Some(match list {
        Value::Array(tracks) => tracks.into_iter().map(camel).collect(),
        other => other,
    })
}

/// Renders a track. Without audio, `audio_url` is empty, and `duration` and `source_audio_url` are
/// missing (`PROTOCOL.md 2.7`).
fn one(facts: &Facts, index: usize, track: &TrackFacts, ready: bool, style: &BodyStyle) -> Value {
    let url = |name: &str, ending: &str| {
        style.media_url(facts, &format!("{name}-{}.{ending}", index + 1))
    };
    let created_unix_ms = facts.tracks_unix_ms.unwrap_or(facts.created_unix_ms);
    let mut members = json!({
        "audio_url": "",
        "createTime": style.time(created_unix_ms),
        "id": track.id,
        "image_url": url("image", "png"),
        "model_name": facts.submission.engine(),
        "prompt": facts.submission.lyrics,
        "source_image_url": url("source-image", "png"),
        "source_stream_audio_url": url("source-stream", "wav"),
        "stream_audio_url": url("stream", "wav"),
        "tags": facts.submission.tags,
        "title": facts.submission.title,
    });
    if ready {
        members["audio_url"] = url("audio", "wav").into();
        members["source_audio_url"] = url("source-audio", "wav").into();
        members["duration"] = (f64::from(track.duration_cs) / 100.0).into();
    }
    if facts.has_extra_members {
        members["mood"] = json!(["calm", 0.25, { "since": null }]);
    }
    members
}

fn camel(track: Value) -> Value {
    let Value::Object(members) = track else {
        return track;
    };
    let renamed = members.into_iter().map(|(name, value)| {
        let camel = RENAMED.iter().find(|(snake, _)| *snake == name);
        (camel.map_or(name, |(_, camel)| (*camel).to_owned()), value)
    });
    Value::Object(renamed.collect::<Map<_, _>>())
}
