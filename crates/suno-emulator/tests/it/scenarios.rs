//! Every word of scenarios, as it shows on the wire: how the submit is answered, what is posted,
//! what polls see.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use suno_emulator::{Config, Emulator, Profile};

use crate::receiver::{Received, Receiver};
use crate::wire::{self, SUBMIT, submission};

/// A word with its value, and what is seen of a task that has it.
struct Row {
    words: &'static str,
    submit: &'static str,
    posts: &'static str,
    polls: &'static str,
}

const fn row(words: &'static str, posts: &'static str, polls: &'static str) -> Row {
    Row {
        words,
        submit: "200:200",
        posts,
        polls,
    }
}

const fn refused(words: &'static str, submit: &'static str) -> Row {
    Row {
        words,
        submit,
        posts: "",
        polls: "",
    }
}

const USUAL: &str = "PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] SUCCESS[2/2]";
const FAILED: &str = "PENDING TEXT_SUCCESS[0/2] GENERATE_AUDIO_FAILED[0/2]!501";

/// In `posts`, a callback is its type, with its code if that is not 200. In `polls`, a status has
/// the ready and all tracks if there is a response, and the error code if there is one.
const ROWS: &[Row] = &[
    row("", "text first complete", USUAL),
    row("stages=text+first+complete", "text first complete", USUAL),
    row("stages=complete", "complete", "PENDING SUCCESS[2/2]"),
    row(
        "stages=text+complete",
        "text complete",
        "PENDING TEXT_SUCCESS[0/2] SUCCESS[2/2]",
    ),
    row(
        "stages=first+complete",
        "first complete",
        "PENDING FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    row("stages=text", "text", "PENDING TEXT_SUCCESS[0/2]"),
    row("stages=first", "first", "PENDING FIRST_SUCCESS[1/2]"),
    row(
        "stages=text+first",
        "text first",
        "PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2]",
    ),
    row("stages=none", "", "PENDING"),
    row("text=partial", "text first complete", USUAL),
    row(
        "text=empty",
        "text:[] first complete",
        "PENDING TEXT_SUCCESS[0/0] FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    row(
        "text=null",
        "text:null first complete",
        "PENDING TEXT_SUCCESS[null] FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    row(
        "text=absent",
        "text:absent first complete",
        "PENDING TEXT_SUCCESS FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    row(
        "one-track",
        "text first complete",
        "PENDING TEXT_SUCCESS[0/1] FIRST_SUCCESS[1/1] SUCCESS[1/1]",
    ),
    row("second-first", "text first:last complete", USUAL),
    row("fail", "text error/501:null", FAILED),
    row(
        "fail=408",
        "text error/408:null",
        "PENDING TEXT_SUCCESS[0/2] GENERATE_AUDIO_FAILED[0/2]!408",
    ),
    row(
        "fail=400, stages=none",
        "error/400:null",
        "PENDING GENERATE_AUDIO_FAILED!400",
    ),
    row(
        "fail=500, stages=none",
        "error/500:null",
        "PENDING GENERATE_AUDIO_FAILED!500",
    ),
    row(
        "fail=413, stages=text+first",
        "text first error/413:null",
        "PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] GENERATE_AUDIO_FAILED[1/2]!413",
    ),
    row(
        "fail=531",
        "text error/531:null",
        "PENDING TEXT_SUCCESS[0/2] GENERATE_AUDIO_FAILED[0/2]!531",
    ),
    row("fail, shape=null", "text error/501:null", FAILED),
    row("fail, shape=empty", "text error/501:[]", FAILED),
    row("fail, shape=absent", "text error/501:absent", FAILED),
    row(
        "fail, shape=error-text",
        "text error/501:absent+error",
        FAILED,
    ),
    row("fail, shape=untyped", "text -/501:null", FAILED),
    row(
        "fail, shape=says-complete",
        "text complete/501:null",
        FAILED,
    ),
    row(
        "create-failed",
        "error/501:null",
        "PENDING CREATE_TASK_FAILED!501",
    ),
    row(
        "sensitive-word",
        "error/400:null",
        "PENDING SENSITIVE_WORD_ERROR!400",
    ),
    row(
        "pending-error",
        "error/501:null",
        "PENDING PENDING!501 GENERATE_AUDIO_FAILED!501",
    ),
    row(
        "hidden=5",
        "text first complete",
        "none PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    row(
        "late-tracks",
        "text first complete",
        "PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] SUCCESS[0/0] SUCCESS[2/2]",
    ),
    row("long-first=100", "text first complete", USUAL),
    row(
        "status=GENERATING, end-status=DONE",
        "text first complete",
        "PENDING GENERATING[0/2] GENERATING[1/2] DONE[2/2]",
    ),
    row(
        "fail, end-status=FAILED",
        "text error/501:null",
        "PENDING TEXT_SUCCESS[0/2] FAILED[0/2]!501",
    ),
    row("drop", "", USUAL),
    row("drop-text", "first complete", USUAL),
    row("drop-first", "text complete", USUAL),
    row("drop-complete", "text first", USUAL),
    row("drop-error, fail", "text", FAILED),
    row(
        "duplicate",
        "text text first first complete complete",
        USUAL,
    ),
    row(
        "duplicate-complete=3",
        "text first complete complete complete",
        USUAL,
    ),
    row("delay=30", "text first complete", USUAL),
    row("delay-text=60", "first text complete", USUAL),
    row("delay-first=90", "text complete first", USUAL),
    row("reorder", "complete first text", USUAL),
    row("order=first+text+complete", "first text complete", USUAL),
    row("order=complete", "complete first text", USUAL),
    row("forge", "text complete! first complete", USUAL),
    row("forge-error", "text error/501:null first complete", USUAL),
    row("forge-ids", "text complete+id first complete", USUAL),
    row("unknown-type", "text preview first complete", USUAL),
    row(
        "early",
        "text first complete",
        "TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    refused("html-502", "502:page"),
    refused("http=429", "429:429"),
    refused("http=500", "500:500"),
    refused("refuse=433", "200:433"),
    refused("rate-limit", "200:429"),
    refused("no-credits", "200:402"),
    refused("maintenance", "200:455"),
    refused("server-error", "200:500"),
    Row {
        words: "cut",
        submit: "cut",
        posts: "text first complete",
        polls: "",
    },
    Row {
        words: "html-502-taken",
        submit: "502:page",
        posts: "text first complete",
        polls: "",
    },
    row(
        "poll-502",
        "text first complete",
        "502 PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    row(
        "poll-cut",
        "text first complete",
        "cut PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
    row(
        "poll-rate-limit",
        "text first complete",
        "429 PENDING TEXT_SUCCESS[0/2] FIRST_SUCCESS[1/2] SUCCESS[2/2]",
    ),
];

/// The words that other tests exercise, each by what is special about it.
const ELSEWHERE: &[&str] = &[
    "bad-signature",
    "cut-audio",
    "dead-stream",
    "empty-audio",
    "missing-audio",
    "no-ranges",
    "no-signature",
    "poll-slow",
    "random",
    "record-shape",
    "script",
    "slow-answer",
    "stale-timestamp",
    "unknown-fields",
];

/// A callback in a few letters.
fn post(callback: &Received) -> String {
    let body = callback.json();
    let data = &body["data"];
    let mut text = data["callbackType"].as_str().unwrap_or("-").to_owned();
    if body["code"] != 200 {
        text += &format!("/{}", body["code"]);
    }
    match data.get("data") {
        None => text += ":absent",
        Some(Value::Null) => text += ":null",
        Some(Value::Array(tracks)) if tracks.is_empty() => text += ":[]",
        Some(tracks) if tracks.to_string().contains("forged.invalid") => text += "!",
        Some(Value::Array(tracks))
            if tracks[0]["audio_url"] == "" && tracks[tracks.len() - 1]["audio_url"] != "" =>
        {
            text += ":last";
        }
        Some(_) => {}
    }
    if data.get("error").is_some() {
        text += "+error";
    }
    if body.get("taskId").is_some() {
        text += "+id";
    }
    text
}

/// A poll in a few letters.
async fn poll(emulator: &Emulator, task_id: &str) -> String {
    let url = format!(
        "{}/api/v1/generate/record-info?taskId={task_id}",
        emulator.base_url()
    );
    let bearer = format!("Bearer {}", emulator.api_key());
    let sent = wire::send(http::Method::GET, &url, &[("authorization", &bearer)], "").await;
    let Ok(answer) = sent else {
        return "cut".to_owned();
    };
    if answer.status != 200 {
        return answer.status.as_u16().to_string();
    }
    if answer.code() != 200 {
        return answer.code().to_string();
    }
    let data = answer.json()["data"].clone();
    if data.is_null() {
        return "none".to_owned();
    }
    let mut text = data["status"].as_str().unwrap().to_owned();
    match &data["response"]["sunoData"] {
        Value::Array(tracks) => {
            let ready = tracks
                .iter()
                .filter(|track| track["audioUrl"] != "")
                .count();
            text += &format!("[{ready}/{}]", tracks.len());
        }
        _ if data["response"].is_object() => text += "[null]",
        _ => {}
    }
    if !data["errorCode"].is_null() {
        text += &format!("!{}", data["errorCode"]);
    }
    text
}

/// What a scenario is chosen by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Header,
    Title,
    Setting,
}

/// The answer to a submit in a few letters, and the task id if there is one.
async fn submit(emulator: &Emulator, words: &str, by: By, url: &str) -> (String, Option<String>) {
    let (headers, title) = match by {
        By::Header => (vec![("x-emulator-scenario", words)], "Lantern".to_owned()),
        By::Title => (vec![], format!("[emulator:{words}] Lantern")),
        By::Setting => (vec![], "Lantern".to_owned()),
    };
    let body = submission(url, &title).to_string();
    let Ok(answer) = wire::post_with(emulator, SUBMIT, &headers, &body).await else {
        return ("cut".to_owned(), None);
    };
    if answer.header("content-type") == "text/html" {
        assert!(answer.text().contains("<html>"));
        return (format!("{}:page", answer.status.as_u16()), None);
    }
    let task_id = answer.json()["data"]["taskId"].as_str().map(str::to_owned);
    (
        format!("{}:{}", answer.status.as_u16(), answer.code()),
        task_id,
    )
}

#[tokio::test]
async fn every_word_of_a_header_shows_on_the_wire_as_it_should() {
    every_word_shows(By::Header).await;
}

#[tokio::test]
async fn every_word_of_a_title_shows_on_the_wire_as_it_should() {
    every_word_shows(By::Title).await;
}

#[tokio::test]
async fn every_word_that_stands_for_all_shows_on_the_wire_as_it_should() {
    every_word_shows(By::Setting).await;
}

async fn every_word_shows(by: By) {
    for row in ROWS {
        let receiver = Receiver::start().await;
        let config = Config::default()
            .with_driven_clock(1_780_000_000_000)
            .with_seed(7)
            .with_scenario(if by == By::Setting { row.words } else { "" });
        let emulator = Emulator::start(config).await.unwrap();
        let (answered, task_id) = submit(&emulator, row.words, by, &receiver.url()).await;
        let mut polls: Vec<String> = Vec::new();
        for _ in 0..125 {
            if let Some(task_id) = &task_id {
                let seen = poll(&emulator, task_id).await;
                if polls.last() != Some(&seen) {
                    polls.push(seen);
                }
            }
            emulator.advance(Duration::from_secs(2)).await.unwrap();
        }
        let posts: Vec<String> = receiver.received().iter().map(post).collect();
        let seen = (answered.as_str(), posts.join(" "), polls.join(" "));
        let expected = (row.submit, row.posts.to_owned(), row.polls.to_owned());
        assert_eq!(seen, expected, "{:?} by {by:?}", row.words);
    }
}

#[tokio::test]
async fn no_word_is_left_out_of_these_tests() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let answer = wire::get(&emulator, "/_emulator/words").await.json();
    let known: BTreeSet<String> = answer["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word["name"].as_str().unwrap().to_owned())
        .collect();
    let in_rows = ROWS
        .iter()
        .flat_map(|row| row.words.split(", "))
        .map(|word| {
            let name = word.split('=').next().unwrap();
            let base = name.split('-').next().unwrap();
            if known.contains(name) {
                name.to_owned()
            } else {
                base.to_owned()
            }
        });
    let elsewhere = ELSEWHERE.iter().map(|name| (*name).to_owned());
    let tested: BTreeSet<String> = in_rows
        .chain(elsewhere)
        .filter(|name| !name.is_empty())
        .collect();
    assert_eq!(tested, known);
}

#[tokio::test]
async fn the_codes_of_sunoapi_are_others() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_provider(Profile::SunoApi)
        .with_driven_clock(1_780_000_000_000)
        .without_rate_limits();
    let emulator = Emulator::start(config).await.unwrap();
    for (words, expected) in [
        ("rate-limit", "200:430"),
        ("refuse=405", "200:405"),
        ("no-credits", "200:429"),
        ("maintenance", "200:455"),
        ("server-error", "200:500"),
    ] {
        assert_eq!(
            submit(&emulator, words, By::Header, &receiver.url())
                .await
                .0,
            expected,
            "{words}"
        );
    }
    for words in ["fail", "fail=451", "fail=500"] {
        let words = format!("{words}, stages=none");
        submit(&emulator, &words, By::Header, &receiver.url()).await;
    }
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let mut posts: Vec<String> = receiver.received().iter().map(post).collect();
    posts.sort();
    assert_eq!(
        posts,
        ["error/400:null", "error/451:null", "error/500:null"]
    );
}

#[tokio::test]
async fn a_wrong_word_refuses_the_submit_and_says_why() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let body = submission("http://127.0.0.1:9/", "[emulator:drop-frist] Lantern");
    let answer = wire::post(&emulator, SUBMIT, &body).await.json();
    assert_eq!(answer["code"], 422);
    assert!(
        answer["msg"].as_str().unwrap().contains("drop-frist"),
        "{answer}"
    );
    let err = Emulator::start(Config::default().with_scenario("drop-frist"))
        .await
        .unwrap_err();
    assert!(
        err.to_string().starts_with("cannot read the scenario"),
        "{err}"
    );
}

#[tokio::test]
async fn the_header_goes_before_the_title_and_the_title_before_the_setting() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_scenario("stages=text")
        .without_rate_limits();
    let emulator = Emulator::start(config).await.unwrap();
    let run = async |title: &str, headers: &[(&str, &str)]| {
        let before = receiver.received().len();
        let body = submission(&receiver.url(), title).to_string();
        wire::post_with(&emulator, SUBMIT, headers, &body)
            .await
            .unwrap();
        emulator.advance(Duration::from_secs(300)).await.unwrap();
        receiver.stages()[before..].to_vec()
    };
    assert_eq!(run("Lantern", &[]).await, ["text"]);
    let title = "[emulator:stages=first] Lantern";
    assert_eq!(run(title, &[]).await, ["first"]);
    let header = [("x-emulator-scenario", "stages=complete")];
    assert_eq!(run(title, &header).await, ["complete"]);
    emulator.set_scenario("stages=text+first", Some(2)).unwrap();
    assert_eq!(run("Lantern", &[]).await, ["text", "first"]);
    assert_eq!(run(title, &[]).await, ["first"]);
    assert_eq!(run("Lantern", &[]).await, ["text", "first"]);
    assert_eq!(run("Lantern", &[]).await, ["text"]);
}

#[tokio::test]
async fn unknown_fields_stand_everywhere() {
    let receiver = Receiver::start().await;
    let config = Config::default().with_driven_clock(1_780_000_000_000);
    let emulator = Emulator::start(config.with_scenario("unknown-fields"))
        .await
        .unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    for callback in receiver.received() {
        let body = callback.json();
        assert!(body.get("traceId").is_some() && body["data"].get("progress").is_some());
        assert!(body["data"]["data"][0].get("mood").is_some());
    }
    let record = wire::record(&emulator, &task_id).await;
    assert!(record.get("progress").is_some());
    assert!(record["response"]["sunoData"][1].get("mood").is_some());
}
