//! Lyrics, lyrics with times, and longer descriptions of a style.

use serde_json::{Value, json};

use super::{Case, errors, is_ready, status_word};
use crate::body::BodyStyle;
use crate::hundredths::number;
use crate::operation::Product;
use crate::profile::Profile;
use crate::task::facts::Facts;
use crate::task::life::Record;

/// The lines of the two variants of every text.
const VARIANTS: [(&str, &str); 2] = [
    (
        "Lantern",
        "[Verse]\nA lantern burns beside the door\n[Chorus]\nCarry it home",
    ),
    (
        "Harbour",
        "[Verse]\nThe harbour sleeps below the hill\n[Chorus]\nBring us in",
    ),
];
/// The time between two words, in seconds.
const WORD_SECONDS: f64 = 0.4;

/// Renders the variants of a text. The providers' pages spell the error differently.
pub(super) fn list(facts: &Facts, profile: Profile) -> Value {
    let error = match profile {
        Profile::Kie => "errorMessage",
        Profile::SunoApi => "error_message",
    };
    let variants = VARIANTS.iter().take(facts.tracks.len());
    variants
        .map(|(title, text)| json!({ "status": "complete", "text": text, "title": title, error: "" }))
        .collect()
}

pub(super) fn callback(facts: &Facts, style: &BodyStyle) -> Value {
    with_task_id(facts, style, list(facts, style.profile))
}

/// Renders `data` of a failure, which says `complete` as well.
pub(super) fn failure(facts: &Facts, style: &BodyStyle) -> Value {
    with_task_id(facts, style, Value::Null)
}

fn with_task_id(facts: &Facts, style: &BodyStyle, data: Value) -> Value {
    let task_id = match style.profile {
        Profile::Kie => "taskId",
        Profile::SunoApi => "task_id",
    };
    json!({ "callbackType": "complete", task_id: facts.task_id, "data": data })
}

pub(super) fn record(facts: &Facts, status: &str, record: &Record) -> Value {
    let response = is_ready(record)
        .then(|| json!({ "taskId": facts.task_id, "data": list(facts, Profile::Kie) }));
    let (error_code, error_message) = errors(record);
    json!({
        "errorCode": error_code,
        "errorMessage": error_message,
        "param": Value::Object(facts.submission.echo.clone()).to_string(),
        "response": response,
        "status": status_word(Product::Lyrics, status),
        "taskId": facts.task_id,
        "type": "LYRICS",
    })
}

/// Renders the words of a song with their times.
pub(super) fn timed(facts: &Facts, case: Case) -> Value {
    let name = |camel: &'static str, snake: &'static str| match case {
        Case::Camel => camel,
        Case::Snake => snake,
    };
    let words = VARIANTS[0].1.split_whitespace().enumerate();
    let aligned: Value = words
        .map(|(index, word)| {
            let start = index as f64 * WORD_SECONDS;
            json!({
                "word": word,
                "success": true,
                name("startS", "start_s"): start,
                name("endS", "end_s"): start + WORD_SECONDS,
                "palign": 0,
            })
        })
        .collect();
    let id = facts.tracks.first().map_or("", |track| track.id.as_str());
    let waveform: Vec<f64> = id
        .bytes()
        .take(16)
        .map(|byte| f64::from(byte) / 255.0)
        .collect();
    json!({
        name("alignedWords", "aligned_words"): aligned,
        name("waveformData", "waveform_data"): waveform,
        name("hootCer", "hoot_cer"): 0.25,
        name("isStreamed", "is_streamed"): false,
    })
}

/// Renders a longer description of a style.
pub(super) fn style_boost(facts: &Facts, style: &BodyStyle) -> Value {
    let content = facts.submission.text("content");
    json!({
        "createTime": style.time(facts.created_unix_ms),
        "creditsConsumed": number(facts.credits_consumed),
        "creditsRemaining": number(facts.credits_left),
        "errorCode": null,
        "errorMessage": "",
        "param": Value::Object(facts.submission.echo.clone()).to_string(),
        "result": format!("{content}, warm and slow, with close voices"),
        "successFlag": "1",
        "taskId": facts.task_id,
    })
}
