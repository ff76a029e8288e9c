//! Several commits at the same time, where the store can run them.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use suno_callback::{
    Acceptance, Clock, Delivery, IdempotencyStore, Inbox, MemoryStore, StoreError,
};
use suno_testkit::wrapper::{Faults, Wrapped, Wrapper};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::scene::{HandClock, body};

/// A store that takes a while for each batch, and writes down what it was given.
#[derive(Debug)]
struct Slow {
    store: MemoryStore,
    faults: Faults,
    at_once: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    running: usize,
    running_max: usize,
    tasks: HashSet<String>,
    /// Tasks that were in two commits at the same time.
    twice: Vec<String>,
    /// The stages of each task in the order in which they were committed.
    stages: BTreeMap<String, Vec<String>>,
}

#[async_trait]
impl Wrapper for Slow {
    fn inner(&self) -> &dyn IdempotencyStore {
        &self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn accepts_at_once(&self) -> usize {
        self.at_once
    }

    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>, StoreError> {
        let tasks: HashSet<String> = deliveries
            .iter()
            .filter_map(|delivery| Some(delivery.task_id()?.to_string()))
            .collect();
        {
            let seen = &mut *self.seen.lock().unwrap();
            seen.running += 1;
            seen.running_max = seen.running_max.max(seen.running);
            seen.twice.extend(seen.tasks.intersection(&tasks).cloned());
            seen.tasks.extend(tasks.iter().cloned());
        }
        sleep(Duration::from_millis(10)).await;
        let accepted = self.store.accept(deliveries).await;
        let seen = &mut *self.seen.lock().unwrap();
        seen.running -= 1;
        seen.tasks.retain(|task| !tasks.contains(task));
        for delivery in deliveries {
            let text = String::from_utf8(delivery.raw.to_vec()).unwrap();
            let stage = text.split("callbackType\":\"").nth(1).unwrap();
            let stage = stage.split('"').next().unwrap().to_owned();
            let task = delivery.task_id().unwrap().to_string();
            seen.stages.entry(task).or_default().push(stage);
        }
        accepted
    }
}

/// Sends stages of 20 tasks, a millisecond apart, and tells what the store has seen.
async fn seen(at_once: usize, stages: &[&str]) -> Seen {
    let store = Arc::new(Wrapped(Slow {
        store: MemoryStore::new(),
        faults: Faults::default(),
        at_once,
        seen: Mutex::default(),
    }));
    let inbox = Inbox::start(store.clone());
    let mut accepting = JoinSet::new();
    for task in 0..20 {
        for word in stages {
            let raw = Bytes::from(body(&format!("task-{task}"), word));
            let delivery = Delivery::decode(raw, HandClock::new().now());
            let inbox = inbox.clone();
            accepting.spawn(async move { inbox.accept(delivery).await });
            sleep(Duration::from_millis(1)).await;
        }
    }
    while let Some(accepted) = accepting.join_next().await {
        assert_eq!(accepted.unwrap().unwrap(), Acceptance::New);
    }
    std::mem::take(&mut *store.seen.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_store_gets_as_many_batches_at_once_as_it_says() {
    for (at_once, expected) in [(0, 1), (1, 1), (3, 3), (100, 8)] {
        assert_eq!(
            seen(at_once, &["text"]).await.running_max,
            expected,
            "{at_once}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_is_never_in_two_commits_at_once_and_its_deliveries_keep_their_order() {
    let seen = seen(4, &["text", "first", "complete"]).await;
    assert!(seen.twice.is_empty(), "{:?}", seen.twice);
    assert_eq!(seen.stages.len(), 20);
    for (task, stages) in &seen.stages {
        assert_eq!(*stages, ["text", "first", "complete"], "{task}");
    }
}
