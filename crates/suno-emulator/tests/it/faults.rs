//! Faults of signatures and of order, looked at closely.

use std::time::Duration;

use suno_emulator::{Config, Emulator, signature};

use crate::receiver::{Received, Receiver, Reply};
use crate::wire;

const START_MS: u64 = 1_780_000_000_000;
const KEY: &str = "whk_of_this_test";

/// Lets one task with these words live to its end.
async fn live(words: &str, script: &[Reply]) -> (Emulator, Vec<Received>, String) {
    let receiver = Receiver::with_script(script).await;
    let config = Config::default()
        .with_driven_clock(START_MS)
        .with_webhook_key(KEY)
        .with_seed(11)
        .with_scenario(words);
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(900)).await.unwrap();
    (emulator, receiver.received(), task_id)
}

/// Whether the signature fits, and how many seconds after the start it was made.
fn signed(callback: &Received, task_id: &str) -> Option<(bool, i64)> {
    let timestamp = callback.header("x-webhook-timestamp")?;
    let fits = callback.header("x-webhook-signature")? == signature(KEY, task_id, timestamp);
    let seconds: i64 = timestamp.parse().unwrap();
    Some((fits, seconds - (START_MS / 1000) as i64))
}

#[tokio::test]
async fn a_bad_signature_is_one_that_another_key_made() {
    let (_, received, task_id) = live("bad-signature", &[]).await;
    assert_eq!(received.len(), 3);
    for callback in &received {
        assert!(!signed(callback, &task_id).unwrap().0);
    }
}

#[tokio::test]
async fn a_bad_signature_can_be_mended_by_the_retry() {
    let (_, received, task_id) = live("bad-signature=1", &[Reply::Status(401)]).await;
    let fits: Vec<bool> = received
        .iter()
        .map(|callback| signed(callback, &task_id).unwrap().0)
        .collect();
    // The receiver refused the first attempt of `text`, and took the bad first ones of the others.
    assert_eq!(fits, [false, true, false, false]);
}

#[tokio::test]
async fn a_stale_timestamp_is_an_hour_old_and_rightly_signed() {
    let (_, received, task_id) = live("stale-timestamp", &[]).await;
    assert_eq!(received.len(), 3);
    for callback in &received {
        let (fits, seconds) = signed(callback, &task_id).unwrap();
        assert!(
            fits && (-3600..-3400).contains(&seconds),
            "{fits} {seconds}"
        );
    }
}

#[tokio::test]
async fn a_missing_signature_leaves_no_header() {
    let (_, received, _) = live("no-signature", &[]).await;
    assert_eq!(received.len(), 3);
    for callback in &received {
        assert_eq!(callback.header("x-webhook-signature"), None);
        assert_eq!(callback.header("x-webhook-timestamp"), None);
    }
}

#[tokio::test]
async fn a_forged_body_stands_under_the_signature_of_the_callback_before_it() {
    let (_, received, task_id) = live("forge", &[]).await;
    let [text, forged, .., complete] = &received[..] else {
        panic!("{received:?}")
    };
    assert_eq!(
        forged.header("x-webhook-signature"),
        text.header("x-webhook-signature")
    );
    assert_eq!(
        forged.header("x-webhook-timestamp"),
        text.header("x-webhook-timestamp")
    );
    assert!(signed(forged, &task_id).unwrap().0);
    let (forged, complete) = (forged.json(), complete.json());
    assert_eq!(forged["data"]["task_id"], task_id.as_str());
    assert_eq!(
        forged["data"]["callbackType"],
        complete["data"]["callbackType"]
    );
    assert_ne!(
        forged["data"]["data"][0]["audio_url"],
        complete["data"]["data"][0]["audio_url"]
    );
}

#[tokio::test]
async fn what_becomes_of_a_forgery_is_not_the_providers_business() {
    let replies = [Reply::Status(200), Reply::Status(401)];
    let (emulator, received, task_id) = live("forge", &replies).await;
    let stages: Vec<String> = received.iter().map(Received::stage).collect();
    assert_eq!(stages, ["text", "complete", "first", "complete"]);
    assert_eq!(wire::record(&emulator, &task_id).await["status"], "SUCCESS");
}

#[tokio::test]
async fn an_early_callback_is_there_before_the_submit_is_answered() {
    for speed in [1.0, 1000.0] {
        let receiver = Receiver::start().await;
        let config = Config::default()
            .with_speed(speed)
            .with_scenario("early, stages=text");
        let emulator = Emulator::start(config).await.unwrap();
        let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
        let received = receiver.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].json()["data"]["task_id"], task_id.as_str());
    }
}

#[tokio::test]
async fn a_delayed_callback_comes_so_much_later() {
    let times = async |words| {
        let (emulator, ..) = live(words, &[]).await;
        let attempts = emulator.attempts();
        attempts
            .iter()
            .map(|attempt| attempt.unix_ms)
            .collect::<Vec<u64>>()
    };
    let (usual, delayed) = (times("").await, times("delay=500").await);
    assert_eq!(
        delayed,
        usual.iter().map(|ms| ms + 500_000).collect::<Vec<u64>>()
    );
}

#[tokio::test]
async fn a_callback_is_never_sent_before_its_time() {
    let times = async |words| {
        let (emulator, ..) = live(words, &[]).await;
        let attempts = emulator.attempts().into_iter();
        attempts
            .map(|attempt| (attempt.callback, attempt.unix_ms))
            .collect::<Vec<_>>()
    };
    let usual = times("").await;
    let end_ms = usual[2].1;
    let expected = ["complete", "first", "text"].map(|post| (post.to_owned(), end_ms));
    assert_eq!(times("reorder").await, expected);
}

#[tokio::test]
async fn a_dropped_callback_is_filed_although_it_never_left() {
    let (emulator, received, _) = live("drop-first", &[]).await;
    assert_eq!(received.len(), 2);
    let attempts = emulator.attempts();
    let posts: Vec<&str> = attempts
        .iter()
        .map(|attempt| attempt.callback.as_str())
        .collect();
    assert_eq!(posts, ["text", "first", "complete"]);
    assert_eq!((attempts[1].number, attempts[0].number), (0, 1));
}

#[tokio::test]
async fn a_callback_can_be_delivered_again() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_driven_clock(START_MS)
        .without_rate_limits();
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    assert!(
        emulator.deliver_again(&task_id, "text").is_err(),
        "it has not been due"
    );
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    emulator.deliver_again(&task_id, "complete").unwrap();
    emulator.advance(Duration::ZERO).await.unwrap();
    assert_eq!(receiver.stages(), ["text", "first", "complete", "complete"]);
    let received = receiver.received();
    assert_eq!(received[2].body, received[3].body);
    assert!(emulator.deliver_again("0000", "complete").is_err());
}

#[tokio::test]
async fn only_so_many_callbacks_of_a_task_wait() {
    let receiver = Receiver::start().await;
    let config = Config::default().with_driven_clock(START_MS);
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let asked = (0..300)
        .take_while(|_| emulator.deliver_again(&task_id, "text").is_ok())
        .count();
    assert_eq!(asked, 256);
    emulator.advance(Duration::ZERO).await.unwrap();
    assert_eq!(receiver.received().len(), 3 + 256);
}

#[tokio::test]
async fn what_was_on_its_way_at_a_reset_is_forgotten() {
    let receiver = Receiver::with_script(&[Reply::Silence]).await;
    let config = Config::default()
        .with_speed(1000.0)
        .with_seed(3)
        .with_answer_timeout(Duration::from_millis(300))
        .with_scenario("stages=complete");
    let emulator = Emulator::start(config).await.unwrap();
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    while receiver.received().is_empty() {
        tokio::task::yield_now().await;
    }
    emulator.reset();
    // The new task has the number of the forgotten one, whose attempt times out meanwhile.
    wire::submit(&emulator, &receiver.url(), "Quarry").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    emulator.idle().await;
    let attempts = emulator.attempts();
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert!(attempts[0].outcome.is_delivered());
    assert_eq!(receiver.received().len(), 2);
}

#[tokio::test]
async fn random_tasks_differ_and_repeat_with_the_seed() {
    let run = async |seed| {
        let receiver = Receiver::start().await;
        let config = Config::default()
            .with_driven_clock(START_MS)
            .with_seed(seed)
            .with_scenario("random")
            .without_rate_limits();
        let emulator = Emulator::start(config).await.unwrap();
        for _ in 0..30 {
            wire::submit(&emulator, &receiver.url(), "Lantern").await;
        }
        emulator.advance(Duration::from_secs(2000)).await.unwrap();
        receiver.stages()
    };
    let one = run(1).await;
    assert_eq!(one, run(1).await);
    assert_ne!(one, run(2).await);
}
