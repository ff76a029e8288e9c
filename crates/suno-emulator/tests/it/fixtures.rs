//! The bodies of the emulator beside what was observed of the provider: the cases of `fixtures/` whose
//! evidence says so. Nothing of this workspace reads the bodies here, so that emulator and decoder
//! cannot agree on a mistake.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use suno_emulator::{Config, Emulator, Profile};

use crate::receiver::Receiver;
use crate::wire::{self, SUBMIT};

/// What the emulator is asked for so that it says the same.
enum Made {
    /// This callback of a task with these words.
    Callback(&'static str, usize),
    /// A poll of a task with these words so many seconds after the submit.
    Record(&'static str, u64),
    /// A poll of a task that is not known.
    UnknownRecord,
    /// The answer to a submit of this provider.
    Submit(Profile),
    /// The answer to a submit with this callback URL and these words.
    Refused(&'static str, &'static str),
    /// A page instead of an answer to a poll.
    Page,
    /// It stands for how bodies are read; the reason says why no emulator sends just this.
    Reading(&'static str),
}

use Made::{Callback, Page, Reading, Record, Refused, Submit, UnknownRecord};

const URL: &str = "http://127.0.0.1:9/";

/// All cases that were observed, but for those of `receiver/` and `requests/`, which repeat them.
const CASES: &[(&str, Made)] = &[
    (
        "client/record-422",
        Reading("the refusal of another request in the place of a record"),
    ),
    (
        "client/record-again-after-429",
        Reading("several answers, each in a case of its own"),
    ),
    (
        "client/record-pending",
        Reading("a part of decode/record/pending"),
    ),
    ("client/record-unknown", UnknownRecord),
    ("client/submit-http-429", Refused(URL, "http=429")),
    ("client/submit-http-500", Refused(URL, "http=500")),
    ("client/submit-http-502-html", Page),
    ("client/submit-kie-422", Refused("", "")),
    ("client/submit-msg-echoes-url", Reading("msg is any text")),
    ("client/submit-msg-says-success", Reading("msg is any text")),
    ("client/submit-taken-sunoapi", Submit(Profile::SunoApi)),
    ("client/submit-urls-not-fetched", Submit(Profile::Kie)),
    (
        "client/wait-html-in-between",
        Reading("several answers, each in a case of its own"),
    ),
    ("client/wait-not-visible-yet", UnknownRecord),
    (
        "client/wait-upload-unreadable",
        Reading("several answers, each in a case of its own"),
    ),
    (
        "decode/callback/callback-type-at-root",
        Reading("a member where it never stands"),
    ),
    ("decode/callback/complete-observed", Callback("", 2)),
    (
        "decode/callback/complete-one-track",
        Callback("one-track", 2),
    ),
    (
        "decode/callback/first-msg-says-success",
        Reading("a part of first-observed"),
    ),
    ("decode/callback/first-observed", Callback("", 1)),
    (
        "decode/callback/first-second-track-ready",
        Callback("second-first", 1),
    ),
    (
        "decode/callback/text-msg-says-success",
        Reading("msg is any text"),
    ),
    (
        "decode/callback/track-audio-url-empty",
        Reading("a part of first-observed, at another stage"),
    ),
    (
        "decode/callback/track-created-millis",
        Reading("a part of complete-observed"),
    ),
    (
        "decode/callback/track-unknown-engine",
        Reading("a part of complete-observed"),
    ),
    ("decode/envelope/data-object", Reading("data is anything")),
    ("decode/envelope/html", Page),
    (
        "decode/envelope/refused-data-absent",
        Reading("data is absent here, and null as often"),
    ),
    ("decode/envelope/refused-data-null", Refused("", "")),
    ("decode/envelope/submit-refused", Reading("msg is any text")),
    ("decode/envelope/submit-taken", Submit(Profile::Kie)),
    (
        "decode/record/param-kept",
        Reading("a part of decode/record/pending"),
    ),
    ("decode/record/pending", Record("", 0)),
    ("decode/record/success", Record("", 300)),
    ("decode/record/syntax-html", Page),
    ("decode/record/unknown-task", UnknownRecord),
];

/// The cases that were observed, by id.
fn observed() -> BTreeMap<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut found = BTreeMap::new();
    let folders = [
        "client",
        "decode/callback",
        "decode/envelope",
        "decode/record",
    ];
    for folder in folders {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let case: Value = serde_json::from_str(&text).unwrap();
            if case["evidence"] == "observed" {
                found.insert(case["id"].as_str().unwrap().to_owned(), case);
            }
        }
    }
    found
}

/// The body that was observed: that of a decode case, or of the first answer of a transcript.
fn body(case: &Value) -> &str {
    let input = &case["input"];
    let bodies = [&input["body"], &input["exchanges"][0]["respond"]["body"]];
    let body = bodies.into_iter().find_map(|body| body["text"].as_str());
    body.unwrap_or_else(|| panic!("{} has no body", case["id"]))
}

/// What is the same in all bodies of a kind: members, types, and the words that mean something.
fn skeleton(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), skeleton(name, value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| skeleton(name, item)).collect(),
        Value::String(text) => json!(kind_of_text(name, text)),
        Value::Number(_) if name == "code" => value.clone(),
        Value::Number(number) if name == "duration" => json!(number.is_f64()),
        Value::Number(number) => {
            assert!(number.is_u64(), "{name}");
            json!("a whole number")
        }
        Value::Null | Value::Bool(_) => value.clone(),
    }
}

fn kind_of_text(name: &str, text: &str) -> String {
    const WORDS: [&str; 5] = [
        "callbackType",
        "msg",
        "operationType",
        "parentMusicId",
        "status",
    ];
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if WORDS.contains(&name) || text.is_empty() {
        text.to_owned()
    } else if text.starts_with("http://") || text.starts_with("https://") {
        "a URL".to_owned()
    } else if text.len() == 32 && is_hex(text) {
        "32 digits".to_owned()
    } else if text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) {
        assert!(text.split('-').all(is_hex), "{text}");
        "a UUID".to_owned()
    } else if text.starts_with('{') {
        let members: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert!(members["callBackUrl"].is_string() && members["title"].is_string());
        "an echo".to_owned()
    } else if text.starts_with("chirp-") {
        "an engine".to_owned()
    } else {
        "a text".to_owned()
    }
}

async fn emulator(profile: Profile) -> Emulator {
    let config = Config::default()
        .with_provider(profile)
        .with_driven_clock(1_780_000_000_000)
        .with_seed(7);
    Emulator::start(config).await.unwrap()
}

/// What the emulator says.
async fn made(made: &Made) -> Option<String> {
    let profile = match made {
        Submit(profile) => *profile,
        _ => Profile::Kie,
    };
    let (emulator, receiver) = (emulator(profile).await, Receiver::start().await);
    let submission = |url: &str, words: &str| {
        let title = format!("[emulator:{words}] Lantern");
        wire::submission(url, &title)
    };
    let poll = async |task_id: &str| {
        let path = format!("/api/v1/generate/record-info?taskId={task_id}");
        let answer = wire::get(&emulator, &path).await;
        answer.text().to_owned()
    };
    Some(match made {
        Callback(words, index) => {
            wire::post(&emulator, SUBMIT, &submission(&receiver.url(), words)).await;
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            let received = receiver.received();
            String::from_utf8(received[*index].body.to_vec()).unwrap()
        }
        Record(words, seconds) => {
            let taken = wire::post(&emulator, SUBMIT, &submission(&receiver.url(), words)).await;
            let task_id = taken.json()["data"]["taskId"].clone();
            emulator
                .advance(Duration::from_secs(*seconds))
                .await
                .unwrap();
            poll(task_id.as_str().unwrap()).await
        }
        UnknownRecord => poll("0881db94d29a36775cca1570128371e3").await,
        Submit(_) => {
            let answer = wire::post(&emulator, SUBMIT, &submission(URL, "")).await;
            answer.text().to_owned()
        }
        Refused(url, words) => {
            let answer = wire::post(&emulator, SUBMIT, &submission(url, words)).await;
            answer.text().to_owned()
        }
        Page => {
            let taken = wire::post(&emulator, SUBMIT, &submission(URL, "poll-502")).await;
            let task_id = taken.json()["data"]["taskId"].clone();
            poll(task_id.as_str().unwrap()).await
        }
        Reading(_) => return None,
    })
}

#[tokio::test]
async fn the_emulator_says_what_was_observed() {
    let cases = observed();
    for (id, how) in CASES {
        let observed = body(&cases[*id]);
        let Some(made) = made(how).await else {
            continue;
        };
        if matches!(how, Page) {
            assert!(
                observed.starts_with('<') && made.starts_with('<'),
                "{id}: {made}"
            );
            continue;
        }
        let skeleton = |text: &str| {
            let mut body: Value = serde_json::from_str(text).unwrap();
            if id.starts_with("client/submit-http-") {
                // The wording of these is not known.
                body["msg"] = json!("");
            }
            skeleton("", &body)
        };
        assert_eq!(skeleton(&made), skeleton(observed), "{id}");
        if id.starts_with("decode/callback/") {
            // These bodies are whole, and their members stand in the order in which they came.
            let names = |text: &str| -> Vec<String> {
                let parts = text.split("\":").filter_map(|part| part.rsplit_once('"'));
                parts.map(|(_, name)| name.to_owned()).collect()
            };
            assert_eq!(names(&made), names(observed), "{id}");
        }
    }
}

#[test]
fn no_observed_case_is_left_out() {
    let known: Vec<&str> = CASES.iter().map(|(id, _)| *id).collect();
    let observed = observed();
    assert_eq!(
        observed.keys().map(String::as_str).collect::<Vec<_>>(),
        known
    );
    for (id, how) in CASES {
        if let Reading(reason) = how {
            assert!(!reason.is_empty(), "{id}");
        }
    }
}
