//! Products that are files: WAV files, videos, covers, stems, and recovered songs.

use serde_json::{Map, Value, json};

use super::{Case, errors, is_ready, status_word};
use crate::body::BodyStyle;
use crate::operation::Product;
use crate::profile::Profile;
use crate::task::facts::Facts;
use crate::task::life::Record;

/// The stems of a song: the name in URLs and in snake_case, the name in camelCase, and the group.
/// The first two are those of `separate_vocal`.
const STEMS: [(&str, &str, &str); 14] = [
    ("vocal", "vocal", "Vocals"),
    ("instrumental", "instrumental", "Instrumental"),
    ("backing_vocals", "backingVocals", "Backing Vocals"),
    ("drums", "drums", "Drums"),
    ("bass", "bass", "Bass"),
    ("guitar", "guitar", "Guitar"),
    ("piano", "piano", "Piano"),
    ("keyboard", "keyboard", "Keyboard"),
    ("percussion", "percussion", "Percussion"),
    ("strings", "strings", "Strings"),
    ("synth", "synth", "Synth"),
    ("fx", "fx", "FX"),
    ("brass", "brass", "Brass"),
    ("woodwinds", "woodwinds", "Woodwinds"),
];

/// Whether the task makes this stem.
fn is_made(facts: &Facts, stem: &str) -> bool {
    let is_split = facts.submission.text("type").starts_with("split_stem");
    match stem {
        "vocal" => true,
        "instrumental" => !is_split,
        _ => is_split,
    }
}

/// Whether a product of this task has a file with this name.
pub(crate) fn has_stem(facts: &Facts, name: &str) -> bool {
    STEMS
        .iter()
        .any(|(stem, ..)| *stem == name && is_made(facts, stem))
}

fn stem_url(facts: &Facts, style: &BodyStyle, stem: &str) -> Option<String> {
    is_made(facts, stem).then(|| style.media_url(facts, &format!("{stem}-1.wav")))
}

/// Renders the URLs of the stems.
pub(super) fn stems(facts: &Facts, style: &BodyStyle, case: Case) -> Value {
    let urls = STEMS.iter().filter_map(|(snake, camel, _)| {
        let url = stem_url(facts, style, snake);
        match case {
            // A record has all members, a callback only those of its stems.
            Case::Camel => Some((format!("{camel}Url"), json!(url))),
            Case::Snake => Some((format!("{snake}_url"), json!(url?))),
        }
    });
    let mut members: Map<String, Value> = urls.collect();
    match case {
        Case::Snake => {
            members.insert("origin_url".to_owned(), json!(""));
        }
        Case::Camel => {
            members.insert("id".to_owned(), Value::Null);
            members.insert("originUrl".to_owned(), Value::Null);
            members.insert("originData".to_owned(), origin_data(facts, style));
        }
    }
    Value::Object(members)
}

fn origin_data(facts: &Facts, style: &BodyStyle) -> Value {
    let track = facts.tracks.first();
    let duration = track.map(|track| f64::from(track.duration_cs) / 100.0);
    let made = STEMS.iter().filter_map(|(snake, _, group)| {
        let url = stem_url(facts, style, snake)?;
        Some(json!({
            "audio_url": url,
            "duration": duration,
            "id": track.map(|track| format!("{}-{snake}", track.id)),
            "stem_type_group_name": group,
        }))
    });
    made.collect()
}

/// Returns the URLs of the files, in order.
pub(super) fn urls(facts: &Facts, style: &BodyStyle) -> Vec<String> {
    let (name, ending) = match facts.submission.product() {
        Product::Video => ("video", "mp4"),
        Product::Cover => ("image", "png"),
        Product::Recovery => ("audio", "m4a"),
        _ => ("audio", "wav"),
    };
    (1..=facts.tracks.len())
        .map(|position| style.media_url(facts, &format!("{name}-{position}.{ending}")))
        .collect()
}

/// Renders the tracks of a recovery that succeeded.
pub(super) fn recovered(facts: &Facts, style: &BodyStyle) -> Value {
    let urls = urls(facts, style);
    let tracks = facts.tracks.iter().zip(urls);
    tracks
        .map(|(track, url)| recovered_track(facts, &track.id, &url, "success", ""))
        .collect()
}

/// Renders the tracks of a recovery that failed.
pub(super) fn unrecovered(facts: &Facts) -> Value {
    let tracks = facts.tracks.iter();
    tracks
        .map(|track| recovered_track(facts, &track.id, "", "failed", "feed_failed"))
        .collect()
}

fn recovered_track(facts: &Facts, id: &str, url: &str, status: &str, error: &str) -> Value {
    json!({
        "audio_url": url,
        "error": error,
        "id": id,
        "status": status,
        "title": facts.submission.title,
    })
}

pub(super) fn callback(facts: &Facts, style: &BodyStyle) -> Value {
    let first = || urls(facts, style).into_iter().next();
    match facts.submission.product() {
        Product::Video => json!({ "task_id": facts.task_id, "video_url": first() }),
        Product::Stems => json!({
            "task_id": facts.task_id,
            stems_name(style): stems(facts, style, Case::Snake),
        }),
        Product::Cover => json!({ "images": urls(facts, style), "taskId": facts.task_id }),
        _ => json!({ "audioWavUrl": first(), "task_id": facts.task_id }),
    }
}

/// Renders `data` of a failure: the member with the result is `null`.
pub(super) fn failure(facts: &Facts, style: &BodyStyle) -> Value {
    match facts.submission.product() {
        Product::Video => json!({ "task_id": facts.task_id, "video_url": null }),
        Product::Stems => json!({ "task_id": facts.task_id, stems_name(style): null }),
        Product::Cover => json!({ "images": null, "taskId": facts.task_id }),
        _ => json!({ "audioWavUrl": null, "task_id": facts.task_id }),
    }
}

/// Returns the member with the stems, which the providers' pages name differently.
fn stems_name(style: &BodyStyle) -> &'static str {
    match style.profile {
        Profile::Kie => "vocal_separation_info",
        Profile::SunoApi => "vocal_removal_info",
    }
}

pub(super) fn record(facts: &Facts, status: &str, record: &Record, style: &BodyStyle) -> Value {
    let product = facts.submission.product();
    let first = || urls(facts, style).into_iter().next();
    let response = is_ready(record).then(|| match product {
        Product::Video => json!({ "videoUrl": first() }),
        Product::Stems => stems(facts, style, Case::Camel),
        Product::Cover => json!({ "images": urls(facts, style) }),
        _ => json!({ "audioWavUrl": first() }),
    });
    let (error_code, error_message) = errors(record);
    let mut data = json!({
        "callbackUrl": facts.submission.callback_url,
        "completeTime": facts.completed_unix_ms.map(|unix_ms| style.time(unix_ms)),
        "createTime": style.time(facts.created_unix_ms),
        "errorCode": error_code,
        "errorMessage": error_message,
        "response": response,
        "successFlag": status_word(product, status),
        "taskId": facts.task_id,
    });
    if product == Product::Cover {
        data["parentTaskId"] = facts.submission.text("taskId").into();
        data["successFlag"] = cover_flag(&record.status).into();
        if is_ready(record) {
            // The provider's pages show both with a success.
            data["errorCode"] = 200.into();
            data["errorMessage"] = "".into();
        }
    } else {
        data["musicId"] = facts.submission.text("audioId").into();
        data["musicIndex"] = match product {
            Product::Stems => json!(0),
            _ => json!("0"),
        };
    }
    data
}

fn cover_flag(status: &str) -> u8 {
    match status {
        "PENDING" => 0,
        "SUCCESS" => 1,
        "GENERATING" => 2,
        _ => 3,
    }
}
