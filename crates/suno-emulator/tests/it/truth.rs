//! What an emulator knows of its tasks, to compare with what a client made of them.

use std::time::Duration;

use suno_emulator::{AttemptOutcome, Config, Emulator, TaskEnding};

use crate::receiver::{Receiver, Reply};
use crate::wire;

const START_MS: u64 = 1_780_000_000_000;

fn config() -> Config {
    Config::default()
        .with_driven_clock(START_MS)
        .with_seed(7)
        .without_rate_limits()
}

#[tokio::test]
async fn an_ending_is_the_true_one_whatever_was_posted() {
    let receiver = Receiver::start().await;
    let emulator = Emulator::start(config()).await.unwrap();
    let rows = [
        ("", TaskEnding::Complete, 12),
        ("drop", TaskEnding::Complete, 12),
        ("one-track", TaskEnding::Complete, 12),
        ("forge-error, forge", TaskEnding::Complete, 12),
        ("late-tracks", TaskEnding::Complete, 12),
        ("late-tracks=5000", TaskEnding::Open, 12),
        ("end-status=DONE", TaskEnding::Complete, 12),
        ("stages=text+first", TaskEnding::Open, 12),
        ("fail=413", TaskEnding::Failed { code: 413 }, 12),
        ("fail=531, drop", TaskEnding::Failed { code: 531 }, 0),
        (
            "fail, shape=says-complete",
            TaskEnding::Failed { code: 501 },
            12,
        ),
        ("pending-error", TaskEnding::Failed { code: 501 }, 12),
    ];
    let mut ids = Vec::new();
    for (words, ..) in rows {
        let title = format!("[emulator:{words}] Lantern");
        let task_id = wire::submit(&emulator, &receiver.url(), &title).await;
        let task = emulator.task(&task_id).unwrap();
        assert_eq!((task.ending, task.credits_paid), (TaskEnding::Open, 12.0));
        assert_eq!((task.title, task.words), (title, words.to_owned()));
        ids.push(task_id);
    }
    emulator.advance(Duration::from_secs(900)).await.unwrap();
    for (task_id, (words, ending, credits)) in ids.iter().zip(rows) {
        let task = emulator.task(task_id).unwrap();
        assert_eq!(
            (task.ending, task.credits_paid),
            (ending, f64::from(credits)),
            "{words}"
        );
    }
    assert_eq!(emulator.task("0000"), None);
}

#[tokio::test]
async fn the_words_that_were_drawn_are_told_and_do_the_same_again() {
    let receiver = Receiver::start().await;
    let emulator = Emulator::start(config()).await.unwrap();
    for index in 0..40 {
        let title = format!("[emulator:random] Song {index}");
        wire::submit(&emulator, &receiver.url(), &title).await;
    }
    emulator.advance(Duration::from_secs(3000)).await.unwrap();
    let tasks = emulator.tasks();
    let drawn = tasks
        .iter()
        .filter(|task| task.words.contains(", "))
        .count();
    assert!(drawn > 20, "{drawn}");
    let posts = |emulator: &Emulator, task_id: &str| -> Vec<String> {
        let attempts = emulator.attempts().into_iter();
        let of_task = attempts.filter(|attempt| attempt.task_id == task_id);
        of_task.map(|attempt| attempt.callback).collect()
    };
    let again = Emulator::start(config()).await.unwrap();
    for task in &tasks {
        let words = task.words.strip_prefix("random").unwrap();
        let title = format!("[emulator:{words}] {}", task.number);
        let task_id = wire::submit(&again, &receiver.url(), &title).await;
        again.advance(Duration::from_secs(3000)).await.unwrap();
        assert_eq!(
            posts(&again, &task_id),
            posts(&emulator, &task.task_id),
            "{words}"
        );
    }
}

#[tokio::test]
async fn a_forged_callback_is_marked() {
    let receiver = Receiver::start().await;
    let words = "forge, forge-error, forge-ids, unknown-type, duplicate";
    let emulator = Emulator::start(config().with_scenario(words))
        .await
        .unwrap();
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(900)).await.unwrap();
    let attempts = emulator.attempts();
    let forged = attempts.iter().filter(|attempt| attempt.is_forged);
    let mut posts: Vec<&str> = forged.map(|attempt| attempt.callback.as_str()).collect();
    posts.dedup();
    assert_eq!(posts, ["forged-complete", "forged-error", "forged-ids"]);
    assert_eq!(attempts.len(), 14);
}

#[tokio::test]
async fn an_attempt_has_the_answer_and_how_long_it_took() {
    let receiver = Receiver::with_script(&[Reply::Status(503), Reply::Silence]).await;
    let real = Config::default()
        .with_speed(1000.0)
        .with_answer_timeout(Duration::from_millis(200))
        .with_scenario("stages=text");
    let emulator = Emulator::start(real).await.unwrap();
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.idle().await;
    let attempts = emulator.attempts();
    let answers: Vec<&[u8]> = attempts.iter().map(|attempt| &attempt.answer[..]).collect();
    let received: &[u8] = b"{\"status\":\"received\"}";
    assert_eq!(answers, [received, b"", received]);
    assert_eq!(attempts[1].outcome, AttemptOutcome::TimedOut);
    let took = attempts[1].duration;
    assert!((200..2000).contains(&took.as_millis()), "{took:?}");
    assert!(attempts[0].duration > Duration::ZERO);
    let path = "/_emulator/attempts?limit=1";
    let listed = &wire::get(&emulator, path).await.json()["attempts"][0];
    assert_eq!(listed["answer"], "{\"status\":\"received\"}");
    assert!(listed["duration_ms"].as_f64().unwrap() > 0.0);
}

#[tokio::test]
async fn a_long_answer_is_kept_in_part() {
    let receiver = Receiver::with_script(&[Reply::Long(100_000)]).await;
    let emulator = Emulator::start(config().with_scenario("stages=text"))
        .await
        .unwrap();
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let [attempt] = &emulator.attempts()[..] else {
        panic!("{:?}", emulator.attempts())
    };
    assert_eq!(attempt.answer.len(), 4096);
    assert_eq!(
        attempt.duration,
        Duration::ZERO,
        "a driven clock stands still"
    );
}
