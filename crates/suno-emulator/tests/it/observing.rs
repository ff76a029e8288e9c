//! What an observer is told.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use suno_emulator::{Activity, AttemptOutcome, Config, Emulator, SubmitActivity};

use crate::receiver::{Receiver, Reply};
use crate::wire;

const START_MS: u64 = 1_780_000_000_000;

/// An emulator with a driven clock, and the activities that it reports.
async fn observed(config: Config) -> (Emulator, Arc<Mutex<Vec<Activity>>>) {
    let activities = Arc::new(Mutex::new(Vec::new()));
    let seen = activities.clone();
    let config = config
        .with_driven_clock(START_MS)
        .with_observer(move |activity| seen.lock().unwrap().push(activity.clone()));
    (Emulator::start(config).await.unwrap(), activities)
}

fn submits(activities: &[Activity]) -> Vec<SubmitActivity> {
    let submits = activities.iter().filter_map(|activity| match activity {
        Activity::Submit(submit) => Some(submit.clone()),
        _ => None,
    });
    submits.collect()
}

#[tokio::test]
async fn every_attempt_is_reported_once_after_its_submit_however_few_are_kept() {
    let receiver = Receiver::with_script(&[Reply::Status(503)]).await;
    let config = Config::default().with_attempts_kept_max(1);
    let (emulator, activities) = observed(config).await;
    let title = "[emulator:drop-first, early] Lantern";
    let task_id = wire::submit(&emulator, &receiver.url(), title).await;
    emulator.advance(Duration::from_secs(900)).await.unwrap();
    let activities = activities.lock().unwrap().clone();

    let submits = submits(&activities[..1]);
    assert_eq!(submits[0].task_id.as_ref(), Some(&task_id));
    assert_eq!(submits[0].callback_url, Some(receiver.url()));
    assert_eq!((submits[0].status, submits[0].code), (Some(200), Some(200)));
    let attempts = activities[1..].iter().map(|activity| match activity {
        Activity::Attempt(attempt) => {
            assert_eq!((&attempt.task_id, attempt.attempts_max), (&task_id, 4));
            let is_dropped = attempt.outcome == AttemptOutcome::Dropped;
            (attempt.callback.as_str(), attempt.number, is_dropped)
        }
        other => panic!("{other:?}"),
    });
    let expected = [
        ("text", 1, false),
        ("text", 2, false),
        ("first", 0, true),
        ("complete", 1, false),
    ];
    assert_eq!(attempts.collect::<Vec<_>>(), expected);
    assert_eq!(emulator.attempts().len(), 1);
}

#[tokio::test]
async fn a_refused_submit_is_reported_with_its_code() {
    let (emulator, activities) = observed(Config::default()).await;
    let url = format!("{}/api/v1/generate/add-instrumental", emulator.base_url());
    let body = wire::submission("http://127.0.0.1:9/callback", "Lantern").to_string();
    let headers = [("authorization", "Bearer of-someone-else")];
    let sent = wire::send(http::Method::POST, &url, &headers, body).await;
    assert_eq!(sent.unwrap().code(), 401);
    for words in ["no-such-word", "cut", "html-502"] {
        let title = format!("[emulator:{words}] Lantern");
        let body = wire::submission("http://127.0.0.1:9/callback", &title).to_string();
        let key = format!("Bearer {}", emulator.api_key());
        let headers = [("authorization", &*key)];
        let _ = wire::send(http::Method::POST, &url, &headers, body).await;
    }
    let submits = submits(&activities.lock().unwrap());
    let answers = submits.iter().map(|submit| {
        let is_taken = submit.task_id.is_some();
        (submit.status, submit.code, is_taken)
    });
    let expected = [
        (Some(200), Some(401), false),
        (Some(200), Some(422), false),
        (None, None, true),
        (Some(502), None, false),
    ];
    assert_eq!(answers.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_observer_may_ask_the_emulator() {
    let receiver = Receiver::start().await;
    let cell = Arc::new(OnceLock::<Emulator>::new());
    let counts = Arc::new(Mutex::new(Vec::new()));
    let (asked, seen) = (cell.clone(), counts.clone());
    let config = Config::default()
        .with_driven_clock(START_MS)
        .with_observer(move |_| {
            let emulator = asked.get().unwrap();
            seen.lock().unwrap().push(emulator.attempts().len());
        });
    let emulator = Emulator::start(config).await.unwrap();
    cell.set(emulator).unwrap();
    let emulator = cell.get().unwrap();
    wire::submit(emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(900)).await.unwrap();
    assert_eq!(*counts.lock().unwrap(), [0, 1, 2, 3]);
}

#[tokio::test]
async fn neither_the_url_nor_the_keys_are_in_what_is_logged_of_an_activity() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_api_key("canary-api")
        .with_webhook_key("canary-webhook");
    let (emulator, activities) = observed(config).await;
    let url = format!("{}/canary-token", receiver.url());
    wire::submit(&emulator, &url, "[emulator:] canary-title").await;
    emulator.advance(Duration::from_secs(900)).await.unwrap();
    let logged = format!("{:?}", activities.lock().unwrap());
    assert_eq!(logged.matches("task_id").count(), 4);
    assert!(!logged.contains("canary"), "{logged}");
}
