//! Callbacks (`PROTOCOL.md 2`).

use std::time::Duration;

use serde_json::{Value, json};
use suno_emulator::{AttemptOutcome, Config, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::receiver::{Receiver, Reply};
use crate::wire;

const START_MS: u64 = 1_780_000_000_000;

fn config() -> Config {
    Config::default()
        .with_driven_clock(START_MS)
        .with_seed(7)
        .with_retry_pauses(&[Duration::from_secs(1); 3])
        .with_answer_timeout(Duration::from_millis(200))
}

/// Lets one task live to its end.
async fn live(config: Config, receiver: &Receiver) -> (Emulator, String) {
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    (emulator, task_id)
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_task_posts_text_first_and_complete_in_the_observed_form() {
    let receiver = Receiver::start().await;
    let (emulator, task_id) = live(config(), &receiver).await;
    assert_eq!(receiver.stages(), ["text", "first", "complete"]);
    let callbacks = receiver.received();
    for callback in &callbacks {
        assert_eq!(
            (callback.method.as_str(), callback.path.as_str()),
            ("POST", "/callback")
        );
        assert_eq!(callback.header("content-type"), Some("application/json"));
        let body = callback.json();
        assert_eq!(keys(&body), ["code", "data", "msg"]);
        assert_eq!(keys(&body["data"]), ["callbackType", "data", "task_id"]);
        assert_eq!(
            (&body["code"], &body["data"]["task_id"]),
            (&json!(200), &json!(task_id))
        );
        assert_eq!(body["data"]["data"].as_array().unwrap().len(), 2);
        // The members come in alphabetical order on the wire, not only after parsing.
        assert_eq!(callback.body, body.to_string());
    }
    let tracks = |index: usize| callbacks[index].json()["data"]["data"].clone();
    for track in tracks(0).as_array().unwrap() {
        assert_eq!(track["audio_url"], "");
        assert!(
            track["stream_audio_url"]
                .as_str()
                .unwrap()
                .starts_with(emulator.base_url())
        );
    }
    let first = tracks(1);
    assert_ne!(first[0]["audio_url"], "");
    assert_eq!(first[1]["audio_url"], "");
    for absent in ["duration", "source_audio_url"] {
        assert!(
            first[0].get(absent).is_some() && first[1].get(absent).is_none(),
            "{absent}"
        );
    }
    for track in tracks(2).as_array().unwrap() {
        assert_eq!(
            keys(track),
            [
                "audio_url",
                "createTime",
                "duration",
                "id",
                "image_url",
                "model_name",
                "prompt",
                "source_audio_url",
                "source_image_url",
                "source_stream_audio_url",
                "stream_audio_url",
                "tags",
                "title"
            ]
        );
        assert!(track["createTime"].is_u64());
    }
    assert_eq!(
        callbacks[1].json()["msg"],
        "First audio generated successfully."
    );
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_with_the_same_body_and_a_fresh_timestamp() {
    let receiver = Receiver::with_script(&[Reply::Status(500), Reply::Close]).await;
    let (emulator, task_id) = live(config(), &receiver).await;
    assert_eq!(
        receiver.stages(),
        ["text", "text", "text", "first", "complete"]
    );
    let callbacks = receiver.received();
    assert_eq!(callbacks[0].body, callbacks[1].body);
    assert_eq!(callbacks[0].body, callbacks[2].body);
    let timestamps: Vec<u64> = callbacks[..3]
        .iter()
        .map(|callback| {
            callback
                .header("x-webhook-timestamp")
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert_eq!(
        [timestamps[1] - timestamps[0], timestamps[2] - timestamps[1]],
        [1, 1]
    );
    let attempts = emulator.attempts();
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 1]);
    assert_eq!(
        attempts[0].outcome,
        AttemptOutcome::Answered { status: 500 }
    );
    assert!(matches!(attempts[1].outcome, AttemptOutcome::Failed { .. }));
    assert_eq!(wire::record(&emulator, &task_id).await["status"], "SUCCESS");
}

#[tokio::test]
async fn after_three_failed_retries_there_is_silence_and_the_record_says_so() {
    let receiver = Receiver::with_script(&[Reply::Status(503); 50]).await;
    let (emulator, task_id) = live(config(), &receiver).await;
    assert_eq!(receiver.stages(), ["text", "text", "text", "text"]);
    let record = wire::record(&emulator, &task_id).await;
    assert_eq!(record["status"], "CALLBACK_EXCEPTION");
    let tracks = record["response"]["sunoData"].as_array().unwrap();
    assert!(
        tracks.iter().all(|track| track["audioUrl"] != ""),
        "the song is there all the same"
    );
    let dropped: Vec<String> = emulator
        .attempts()
        .into_iter()
        .filter(|attempt| attempt.outcome == AttemptOutcome::Dropped)
        .map(|attempt| attempt.callback)
        .collect();
    assert_eq!(dropped, ["first", "complete"]);
}

#[tokio::test]
async fn later_stages_can_be_sent_after_a_failed_one() {
    let receiver = Receiver::with_script(&[Reply::Status(503); 4]).await;
    let config = config().with_later_stages_after_failure(true);
    let (emulator, task_id) = live(config, &receiver).await;
    assert_eq!(
        receiver.stages(),
        ["text", "text", "text", "text", "first", "complete"]
    );
    assert_eq!(
        wire::record(&emulator, &task_id).await["status"],
        "CALLBACK_EXCEPTION"
    );
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_timed_out() {
    let receiver = Receiver::with_script(&[Reply::Silence]).await;
    let (emulator, _) = live(config(), &receiver).await;
    assert_eq!(receiver.stages(), ["text", "text", "first", "complete"]);
    assert_eq!(emulator.attempts()[0].outcome, AttemptOutcome::TimedOut);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::with_script(&[Reply::Status(302)]).await;
    let (emulator, _) = live(config(), &receiver).await;
    assert_eq!(
        emulator.attempts()[0].outcome,
        AttemptOutcome::Answered { status: 302 }
    );
    assert_eq!(receiver.stages()[..2], ["text", "text"]);
}

#[tokio::test]
async fn nobody_at_the_url_is_a_failed_attempt() {
    let emulator = Emulator::start(config()).await.unwrap();
    let receiver = Receiver::start().await;
    let closed = receiver.url();
    drop(receiver);
    for url in [closed.as_str(), "not a url", "https://127.0.0.1:1/callback"] {
        wire::submit(&emulator, url, "Lantern").await;
    }
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let attempts = emulator.attempts();
    assert_eq!(
        attempts.iter().filter(|attempt| attempt.number > 0).count(),
        12
    );
    assert!(
        attempts
            .iter()
            .all(|attempt| !attempt.outcome.is_delivered())
    );
}

#[tokio::test]
async fn a_url_with_letters_of_other_scripts_is_called() {
    let receiver = Receiver::start().await;
    let emulator = Emulator::start(config()).await.unwrap();
    let url = format!("{}/лампа and more?token=ü", receiver.url());
    wire::submit(&emulator, &url, "[emulator:stages=text] Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let [callback] = &receiver.received()[..] else {
        panic!("{:?}", emulator.attempts())
    };
    assert_eq!(
        callback.path,
        "/callback/%D0%BB%D0%B0%D0%BC%D0%BF%D0%B0%20and%20more"
    );
}

#[tokio::test]
async fn headers_are_spelt_as_on_the_pages() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let config = Config::default()
        .with_user_agent("okhttp/4.9.3")
        .with_speed(1_000_000.0);
    let emulator = Emulator::start(config).await.unwrap();
    wire::submit(&emulator, &url, "Lantern").await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    for line in [
        "X-Webhook-Timestamp: ",
        "X-Webhook-Signature: ",
        "User-Agent: okhttp/4.9.3\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }
}

#[tokio::test]
async fn only_so_many_callbacks_are_on_their_way_at_once() {
    let first_answered = async |deliveries| {
        let receiver = Receiver::with_script(&[Reply::Silence]).await;
        let config = Config::default()
            .with_speed(1000.0)
            .with_answer_timeout(Duration::from_millis(300))
            .with_deliveries_at_once_max(deliveries)
            .with_retry_pauses(&[])
            .with_scenario("stages=complete");
        let emulator = Emulator::start(config).await.unwrap();
        wire::submit(&emulator, &receiver.url(), "Lantern").await;
        wire::submit(&emulator, &receiver.url(), "Quarry").await;
        emulator.idle().await;
        emulator.attempts()[0].outcome.clone()
    };
    assert_eq!(first_answered(1).await, AttemptOutcome::TimedOut);
    assert_eq!(
        first_answered(2).await,
        AttemptOutcome::Answered { status: 200 }
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut taken = [0; 1024];
        stream.read_exact(&mut taken[..16]).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(&taken).await.is_ok() {}
    });
    let config = config().with_answer_timeout(Duration::from_secs(10));
    let emulator = Emulator::start(config).await.unwrap();
    wire::submit(&emulator, &url, "[emulator:stages=text] Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(
        emulator.attempts()[0].outcome,
        AttemptOutcome::Answered { status: 200 }
    );
    assert_eq!(emulator.attempts().len(), 1);
}

#[tokio::test]
async fn the_demo_ends_within_seconds() {
    let receiver = Receiver::start().await;
    let emulator = Emulator::start(Config::default().with_speed(200.0))
        .await
        .unwrap();
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    tokio::time::timeout(Duration::from_secs(5), emulator.idle())
        .await
        .unwrap();
    assert_eq!(receiver.stages(), ["text", "first", "complete"]);
    assert!(
        emulator.advance(Duration::ZERO).await.is_err(),
        "this clock runs by itself"
    );
}
