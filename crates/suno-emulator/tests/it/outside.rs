//! Callbacks to other machines are not sent unless that is asked for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use suno_emulator::{Activity, AttemptOutcome, Config, Emulator, TaskEnding};

use crate::wire;

const OUTSIDE: &str = "https://example.com/suno-callback?token=canary";

fn config() -> Config {
    Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(2)
}

#[tokio::test]
async fn a_callback_to_another_host_is_recorded_and_counts_as_delivered() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::clone(&seen);
    let config = config().with_observer(move |activity| {
        if let Activity::Attempt(attempt) = activity {
            observed.lock().unwrap().push(attempt.outcome.clone());
        }
    });
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, OUTSIDE, "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let attempts = emulator.attempts();
    let names: Vec<&str> = attempts
        .iter()
        .map(|attempt| attempt.callback.as_str())
        .collect();
    assert_eq!(names, ["text", "first", "complete"], "none is sent twice");
    for attempt in &attempts {
        assert_eq!(attempt.outcome, AttemptOutcome::Withheld);
        assert!(attempt.outcome.is_delivered());
        assert!(attempt.body.starts_with(b"{") && attempt.answer.is_empty());
        assert_eq!(attempt.url, OUTSIDE);
        assert!(attempt.signature.is_some());
    }
    assert_eq!(
        *seen.lock().unwrap(),
        [(); 3].map(|()| AttemptOutcome::Withheld)
    );
    // The provider would show CALLBACK_EXCEPTION if they had failed.
    assert_eq!(wire::record(&emulator, &task_id).await["status"], "SUCCESS");
    assert_eq!(
        emulator.task(&task_id).unwrap().ending,
        TaskEnding::Complete
    );
    let shown = wire::get(&emulator, "/_emulator/attempts").await.json();
    assert_eq!(shown["attempts"][0]["outcome"], "withheld");
}

#[tokio::test]
async fn it_is_sent_when_that_is_asked_for() {
    let config = config().with_deliver_outside(true).with_retry_pauses(&[]);
    let emulator = Emulator::start(config).await.unwrap();
    // Reserved for documentation: nobody is called.
    wire::submit(
        &emulator,
        "http://nobody.invalid/callback",
        "[emulator:stages=complete] A",
    )
    .await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let [attempt] = &emulator.attempts()[..] else {
        panic!("one attempt")
    };
    assert!(
        matches!(attempt.outcome, AttemptOutcome::Failed { .. }),
        "{attempt:?}"
    );
}
