//! Faults of submits, polls and downloads that last for some times, and rate limits.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::receiver::Receiver;
use crate::wire::{self, SUBMIT, submission};

const START_MS: u64 = 1_780_000_000_000;
const NOWHERE: &str = "http://127.0.0.1:9/callback";

async fn driven(config: Config) -> Emulator {
    Emulator::start(config.with_driven_clock(START_MS))
        .await
        .unwrap()
}

async fn credits(emulator: &Emulator) -> Value {
    wire::get(emulator, "/api/v1/chat/credit").await.json()["data"].clone()
}

#[tokio::test]
async fn a_fault_of_the_submit_ends_after_so_many_times() {
    let emulator = driven(Config::default().without_rate_limits()).await;
    let codes = async |title: &str| {
        let mut codes = Vec::new();
        for _ in 0..3 {
            codes.push(
                wire::post(&emulator, SUBMIT, &submission(NOWHERE, title))
                    .await
                    .code(),
            );
        }
        codes
    };
    assert_eq!(
        codes("[emulator:rate-limit=2] Lantern").await,
        [429, 429, 200]
    );
    assert_eq!(
        codes("[emulator:rate-limit=2] Quarry").await,
        [429, 429, 200]
    );
    assert_eq!(
        codes("[emulator:rate-limit=2] Lantern").await,
        [200, 200, 200]
    );
    assert_eq!(
        codes("[emulator:maintenance] Lantern").await,
        [455, 455, 455]
    );
}

#[tokio::test]
async fn faults_of_submits_and_of_polls_follow_each_other() {
    let emulator = driven(Config::default().without_rate_limits()).await;
    let words = "html-502=1, rate-limit=2, cut=1, poll-502, poll-cut=2, poll-rate-limit";
    let body = submission(NOWHERE, &format!("[emulator:{words}] Lantern")).to_string();
    let seen = |answer: Result<wire::Answer, hyper::Error>| match answer {
        Ok(answer) if answer.status != StatusCode::OK => answer.status.as_u16().to_string(),
        Ok(answer) => answer.code().to_string(),
        Err(_) => "cut".to_owned(),
    };
    let mut submits = Vec::new();
    for _ in 0..6 {
        submits.push(seen(wire::post_with(&emulator, SUBMIT, &[], &body).await));
    }
    assert_eq!(submits, ["502", "429", "429", "cut", "200", "200"]);
    // The one that was cut is there too: this is what a client that tries again is charged for.
    let tasks = emulator.tasks();
    assert_eq!(tasks.len(), 3);
    assert!(tasks.iter().all(|task| task.title == tasks[0].title));
    let path = format!("/api/v1/generate/record-info?taskId={}", tasks[1].task_id);
    let url = format!("{}{path}", emulator.base_url());
    let bearer = format!("Bearer {}", emulator.api_key());
    let mut polls = Vec::new();
    for _ in 0..5 {
        let headers = [("authorization", bearer.as_str())];
        polls.push(seen(wire::send(Method::GET, &url, &headers, "").await));
    }
    assert_eq!(polls, ["502", "cut", "cut", "429", "200"]);
}

#[tokio::test]
async fn a_slow_poll_tells_late_what_was_so_when_it_came() {
    let receiver = Receiver::start().await;
    let emulator = driven(Config::default().with_scenario("poll-slow=1")).await;
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    let begun = Instant::now();
    // The poll that comes first is the slow one; the other is answered at once.
    let mut one = std::pin::pin!(wire::record(&emulator, &task_id));
    let mut two = std::pin::pin!(wire::record(&emulator, &task_id));
    let (quick, slow) = tokio::select! {
        quick = &mut one => (quick, two),
        quick = &mut two => (quick, one),
    };
    assert_eq!(quick["status"], "PENDING");
    assert!(begun.elapsed() < Duration::from_secs(1));
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(slow.await["status"], "PENDING");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    emulator.advance(Duration::from_secs(1)).await.unwrap();
    assert_eq!(wire::record(&emulator, &task_id).await["status"], "SUCCESS");
}

#[tokio::test]
async fn only_a_task_that_was_taken_is_paid() {
    let emulator = driven(Config::default().with_credits(100)).await;
    let send = async |words: &str| {
        let body = submission(NOWHERE, "Lantern").to_string();
        let headers = [("x-emulator-scenario", words)];
        let _ = wire::post_with(&emulator, SUBMIT, &headers, &body).await;
        (credits(&emulator).await, emulator.tasks().len())
    };
    for words in ["html-502", "http=500", "refuse=400", "no-credits"] {
        assert_eq!(send(words).await, (json!(100), 0), "{words}");
    }
    assert_eq!(send("html-502-taken").await, (json!(88), 1));
    assert_eq!(send("cut").await, (json!(76), 2));
}

#[tokio::test]
async fn a_failure_with_531_gives_the_credits_back_once() {
    let receiver = Receiver::start().await;
    let emulator = driven(Config::default().with_credits(100)).await;
    for words in ["fail=531, duplicate", "fail=501"] {
        let title = format!("[emulator:{words}] Lantern");
        wire::submit(&emulator, &receiver.url(), &title).await;
    }
    assert_eq!(credits(&emulator).await, json!(76));
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(credits(&emulator).await, json!(88));
    let status = wire::get(&emulator, "/_emulator/status").await.json();
    assert_eq!(status["counts"]["credits_refunded"], 12);
    assert_eq!(status["counts"]["credits_spent"], 24);
}

#[tokio::test]
async fn a_slow_answer_comes_late_and_the_task_is_taken_at_once() {
    let emulator = driven(Config::default().with_scenario("slow-answer=1")).await;
    let begun = Instant::now();
    let body = submission(NOWHERE, "Lantern");
    let answer = wire::post(&emulator, SUBMIT, &body);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        _ = &mut answer => panic!("it was answered at once"),
        () = async {
            while emulator.tasks().is_empty() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    assert_eq!(answer.await.code(), 200);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn twenty_submits_in_ten_seconds_are_taken() {
    for (profile, code) in [(Profile::Kie, 429), (Profile::SunoApi, 430)] {
        let emulator = driven(Config::default().with_provider(profile)).await;
        let submit = async || {
            wire::post(
                &emulator,
                SUBMIT,
                &submission(NOWHERE, "[emulator:stages=none]"),
            )
            .await
        };
        for _ in 0..20 {
            assert_eq!(submit().await.code(), 200);
        }
        let refused = submit().await;
        assert_eq!((refused.status, refused.code()), (StatusCode::OK, code));
        assert_eq!(refused.header("retry-after"), "");
        emulator.advance(Duration::from_millis(9999)).await.unwrap();
        assert_eq!(submit().await.code(), code);
        emulator.advance(Duration::from_millis(1)).await.unwrap();
        assert_eq!(submit().await.code(), 200);
    }
}

#[tokio::test]
async fn a_task_may_be_polled_three_times_a_second() {
    let emulator = driven(Config::default()).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(wire::submit(&emulator, NOWHERE, "[emulator:stages=none]").await);
    }
    let poll = async |id: &str| {
        wire::get(
            &emulator,
            &format!("/api/v1/generate/record-info?taskId={id}"),
        )
        .await
        .code()
    };
    for id in &ids {
        assert_eq!([poll(id).await, poll(id).await, poll(id).await], [200; 3]);
        assert_eq!(poll(id).await, 429);
    }
    emulator.advance(Duration::from_secs(1)).await.unwrap();
    assert_eq!(poll(&ids[0]).await, 200);
    for _ in 0..9 {
        assert_eq!(
            poll("unknown").await,
            200,
            "what does not exist is not limited"
        );
    }
}

/// The finished tracks of a task with these words.
async fn tracks(words: &str) -> (Emulator, Value) {
    let receiver = Receiver::start().await;
    let emulator = driven(Config::default().with_scenario(words)).await;
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let record = wire::record(&emulator, &task_id).await;
    (emulator, record["response"]["sunoData"].clone())
}

async fn fetch(url: &Value, range: &str) -> Result<wire::Answer, hyper::Error> {
    wire::send(Method::GET, url.as_str().unwrap(), &[("range", range)], "").await
}

#[tokio::test]
async fn a_dead_stream_answers_200_with_nothing() {
    let (_emulator, tracks) = tracks("dead-stream").await;
    for name in ["streamAudioUrl", "sourceStreamAudioUrl"] {
        let answer = fetch(&tracks[0][name], "").await.unwrap();
        assert_eq!(
            (answer.status, answer.body.len()),
            (StatusCode::OK, 0),
            "{name}"
        );
    }
    let audio = fetch(&tracks[0]["audioUrl"], "").await.unwrap();
    assert!(audio.body.len() > 1000, "the audio itself lives on");
}

#[tokio::test]
async fn downloads_can_be_empty_missing_or_without_ranges() {
    let (_emulator, of_empty) = tracks("empty-audio=2").await;
    for expected in [true, true, false] {
        let answer = fetch(&of_empty[0]["audioUrl"], "").await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body.is_empty(), expected);
    }
    let (_emulator, of_missing) = tracks("missing-audio").await;
    for expected in [StatusCode::NOT_FOUND, StatusCode::OK] {
        assert_eq!(
            fetch(&of_missing[0]["audioUrl"], "").await.unwrap().status,
            expected
        );
    }
    let (_emulator, of_whole) = tracks("no-ranges").await;
    let answer = fetch(&of_whole[0]["audioUrl"], "bytes=100-").await.unwrap();
    assert_eq!(
        (answer.status, answer.header("accept-ranges")),
        (StatusCode::OK, "")
    );
    assert!(answer.body.starts_with(b"RIFF"));
}

#[tokio::test]
async fn a_download_that_breaks_off_can_be_resumed() {
    let (emulator, tracks) = tracks("cut-audio=2").await;
    let url = &tracks[0]["audioUrl"];
    assert!(fetch(url, "").await.is_err(), "it breaks off");
    // What arrived before the break is seen one level lower.
    let (length, begun) = raw(&emulator, url).await;
    assert!(
        begun.len() >= length / 4 && begun.len() < length,
        "{} of {length}",
        begun.len()
    );
    let rest = fetch(url, &format!("bytes={}-", begun.len()))
        .await
        .unwrap();
    assert_eq!(rest.status, StatusCode::PARTIAL_CONTENT);
    let whole = fetch(url, "").await.unwrap().body;
    assert_eq!([&begun[..], &rest.body[..]].concat(), whole);
}

/// Sends a GET by hand and returns the announced length and the bytes that came.
async fn raw(emulator: &Emulator, url: &Value) -> (usize, Vec<u8>) {
    let path = url
        .as_str()
        .unwrap()
        .strip_prefix(emulator.base_url())
        .unwrap();
    let mut stream = tokio::net::TcpStream::connect(emulator.addr())
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: emulator\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The connection may be reset, after which what was read so far stays.
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    (length.parse().unwrap(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn a_part_is_given_only_to_who_has_the_rest_of_the_same_file() {
    let (_emulator, tracks) = tracks("").await;
    let url = tracks[0]["audioUrl"].as_str().unwrap();
    let tag = fetch(&tracks[0]["audioUrl"], "")
        .await
        .unwrap()
        .header("etag")
        .to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2);
    for (if_range, expected) in [(tag.as_str(), 206), ("\"another\"", 200)] {
        let headers = [("range", "bytes=10-"), ("if-range", if_range)];
        let answer = wire::send(Method::GET, url, &headers, "").await.unwrap();
        assert_eq!(answer.status, expected);
    }
}
