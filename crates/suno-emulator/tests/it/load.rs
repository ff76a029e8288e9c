//! Many tasks: what is kept is bounded, and none is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use suno_emulator::{Config, Emulator};

use crate::receiver::Receiver;
use crate::wire::{self, Client};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_with_random_faults_leave_a_bounded_memory() {
    const TASKS: usize = 10_000;
    const BATCH: usize = 500;
    let receiver = Receiver::start_forgetful().await;
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(1)
        .with_scenario("random")
        .with_credits(1_000_000)
        .with_tasks_kept_max(1200)
        .with_attempts_kept_max(1000)
        .without_rate_limits();
    let emulator = Emulator::start(config).await.unwrap();
    let mut client = Client::connect(&emulator).await;
    let mut ids = BTreeSet::new();
    for _ in 0..TASKS / BATCH {
        for _ in 0..BATCH {
            ids.insert(client.submit(&receiver.url(), "Lantern").await);
        }
        emulator.advance(Duration::from_secs(3000)).await.unwrap();
    }
    assert_eq!(ids.len(), TASKS);
    let status = wire::get(&emulator, "/_emulator/status").await.json();
    let counts = &status["counts"];
    assert_eq!(counts["tasks"], TASKS);
    assert_eq!(counts["tasks_kept"], 1200);
    assert_eq!(counts["tasks_finished"], 1200);
    assert_eq!(counts["attempts_kept"], 1000);
    assert_eq!(emulator.attempts().len(), 1000);
    let page = wire::get(&emulator, "/_emulator/tasks?limit=5000")
        .await
        .json();
    assert_eq!(
        page["tasks"].as_array().unwrap().len(),
        1000,
        "a page has a bound"
    );
    let attempts = counts["attempts"].as_u64().unwrap();
    let received = receiver.count() as u64;
    assert!(
        attempts > 20_000 && received <= attempts,
        "{received} of {attempts}"
    );
    // The last two batches are there in full, the rest are of the one before.
    let kept: BTreeSet<u64> = ids_of(&emulator).into_keys().collect();
    assert!((9001..=10_000).all(|number| kept.contains(&number)));
    assert!(
        kept.iter().all(|number| *number > 8500),
        "the longest finished went first"
    );
}

fn ids_of(emulator: &Emulator) -> BTreeMap<u64, String> {
    emulator
        .tasks()
        .into_iter()
        .map(|task| (task.number, task.task_id))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_at_once_are_all_delivered_in_real_time() {
    const TASKS: usize = 1000;
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_speed(60.0)
        .with_credits(1_000_000)
        .without_rate_limits();
    let emulator = Emulator::start(config).await.unwrap();
    let mut client = Client::connect(&emulator).await;
    let mut ids = BTreeSet::new();
    for _ in 0..TASKS {
        ids.insert(client.submit(&receiver.url(), "Lantern").await);
    }
    tokio::time::timeout(Duration::from_secs(30), emulator.idle())
        .await
        .unwrap();
    let mut stages: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for callback in receiver.received() {
        let task_id = callback.json()["data"]["task_id"]
            .as_str()
            .unwrap()
            .to_owned();
        stages.entry(task_id).or_default().push(callback.stage());
    }
    assert_eq!(stages.keys().cloned().collect::<BTreeSet<_>>(), ids);
    for (task_id, stages) in stages {
        assert_eq!(stages, ["text", "first", "complete"], "{task_id}");
    }
    assert!(
        emulator
            .attempts()
            .iter()
            .all(|attempt| attempt.outcome.is_delivered())
    );
}

#[tokio::test]
async fn a_task_that_is_not_finished_is_never_forgotten() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_driven_clock(0)
        .with_tasks_kept_max(2);
    let emulator = Emulator::start(config).await.unwrap();
    let first = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    let second = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    let body = wire::submission(&receiver.url(), "Lantern");
    let refused = wire::post(&emulator, wire::SUBMIT, &body).await;
    assert_eq!(refused.code(), 455, "there is no place");
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let third = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    let kept: Vec<String> = ids_of(&emulator).into_values().collect();
    assert_eq!(kept.len(), 2);
    assert!(kept.contains(&third) && (kept.contains(&first) != kept.contains(&second)));
    let credits = wire::get(&emulator, "/api/v1/chat/credit").await.json();
    assert_eq!(credits["data"], 10_000 - 36);
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_a_place() {
    let config = Config::default().with_connections_max(2);
    let emulator = Emulator::start(config).await.unwrap();
    let one = Client::connect(&emulator).await;
    let mut two = Client::connect(&emulator).await;
    // Both places are taken as soon as both connections were used.
    two.get("/api/v1/chat/credit").await;
    let mut one = one;
    one.get("/api/v1/chat/credit").await;
    let mut third = std::pin::pin!(wire::get(&emulator, "/api/v1/chat/credit"));
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut third).await;
    assert!(waited.is_err(), "there are only two places");
    drop(one);
    assert_eq!(third.await.code(), 200);
}
