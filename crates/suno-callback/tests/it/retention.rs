//! Old events are forgotten in steps, again and again, whatever the store says in between.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_callback::{
    Accepted, Claim, ClaimRequest, Clock, Counts, Delivery, EventId, Held, IdempotencyStore, Inbox,
    Inspect, MemoryStore, Page, PurgeRequest, Purged, Quarantined, Receiver, Record, Redriven,
    Retention, Running, Settlement, StoreError, StoreErrorKind, Ticket, Verification,
};
use suno_types::TaskId;

use crate::scene::{HandClock, KEY, body, signed_at};

const DAY: i64 = 86_400;

/// A store in memory that keeps what was asked of its purge.
#[derive(Debug, Default)]
struct PurgedStore {
    store: MemoryStore,
    purged: Mutex<Vec<Purged>>,
    asked: AtomicUsize,
    down: AtomicBool,
    /// Says that there is more, whatever there is.
    endless: AtomicBool,
}

#[async_trait]
impl IdempotencyStore for PurgedStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        self.store.accept(deliveries).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        self.store.claim(request).await
    }

    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError> {
        self.store.extend(tickets, until).await
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        self.store.settle(settled).await
    }
}

#[async_trait]
impl Inspect for PurgedStore {
    async fn find(&self, task_id: &TaskId) -> Result<Vec<Record>, StoreError> {
        self.store.find(task_id).await
    }

    async fn list(&self, page: Page) -> Result<Vec<Record>, StoreError> {
        self.store.list(page).await
    }

    async fn quarantine(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        self.store.quarantine(page).await
    }

    async fn redrive(&self, event: EventId) -> Result<Redriven, StoreError> {
        self.store.redrive(event).await
    }

    async fn purge(&self, request: PurgeRequest) -> Result<Purged, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        }
        let mut purged = self.store.purge(request).await?;
        self.purged.lock().unwrap().push(purged);
        purged.more |= self.endless.load(Ordering::SeqCst);
        Ok(purged)
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.counts().await
    }
}

impl PurgedStore {
    /// Bodies and keys that were forgotten, step by step, since this was asked before.
    fn steps(&self) -> Vec<(u64, u64)> {
        let purged = std::mem::take(&mut *self.purged.lock().unwrap());
        purged.iter().map(|step| (step.bodies, step.keys)).collect()
    }
}

/// A store with this many handled events, a clock, and the retention of the store.
async fn handled(events: usize) -> (Arc<PurgedStore>, HandClock, Retention) {
    let (store, clock) = (Arc::new(PurgedStore::default()), HandClock::new());
    let receiver = Receiver::new(Inbox::start(store.clone()), Verification::webhook_key(KEY));
    let receiver = receiver.with_clock(clock.clone());
    for number in 0..events {
        let (task, now) = (format!("task-{number}"), clock.now().as_second());
        let request = signed_at(&task, now.unsigned_abs(), &body(&task, "complete"));
        assert_eq!(receiver.receive(request).await.status(), 200);
    }
    let request = ClaimRequest::new(clock.now(), Duration::from_secs(60), events);
    let claims = store.claim(request).await.unwrap();
    let done = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
    store.settle(&done.collect::<Vec<_>>()).await.unwrap();
    let retention = Retention::new(store.clone()).with_clock(clock.clone());
    (store, clock, retention)
}

/// Starts it, and waits until its first round must be over.
async fn start(retention: Retention) -> Running {
    let running = retention.start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    running
}

#[tokio::test(start_paused = true)]
async fn everything_old_is_forgotten_in_bounded_steps() {
    let (store, clock, retention) = handled(2_500).await;
    clock.advance(31 * DAY);
    let running = start(retention).await;
    assert_eq!(store.steps(), [(1_000, 1_000), (1_000, 1_000), (500, 500)]);
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn bodies_go_before_keys_each_at_its_age() {
    let (store, clock, retention) = handled(1).await;
    let running = start(retention).await;
    let next = async |days: i64| {
        clock.advance(days * DAY);
        tokio::time::sleep(Retention::INTERVAL).await;
        store.steps()
    };
    assert_eq!(next(14).await, [(0, 0), (0, 0)], "not older than 14 days");
    assert_eq!(next(1).await, [(1, 0)]);
    assert_eq!(next(15).await, [(0, 0)]);
    assert_eq!(next(1).await, [(0, 1)]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn other_ages_and_another_interval_are_kept_to() {
    let (store, clock, retention) = handled(1).await;
    let retention = retention
        .with_bodies_for(Duration::from_secs(60))
        .with_keys_for(Duration::from_secs(120))
        .with_interval(Duration::from_secs(600));
    let running = start(retention).await;
    assert_eq!(store.steps(), [(0, 0)]);
    clock.advance(61);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(store.steps(), [(1, 0)]);
    clock.advance(60);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(store.steps(), [(0, 1)]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_asked_again_after_the_interval() {
    let (store, clock, retention) = handled(1).await;
    clock.advance(31 * DAY);
    store.down.store(true, Ordering::SeqCst);
    let running = start(retention).await;
    tokio::time::sleep(Retention::INTERVAL).await;
    assert_eq!(store.asked.load(Ordering::SeqCst), 2);
    store.down.store(false, Ordering::SeqCst);
    tokio::time::sleep(Retention::INTERVAL).await;
    assert_eq!(store.steps(), [(1, 1)]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_always_has_more_is_left_alone_until_the_next_round() {
    let (store, _, retention) = handled(0).await;
    store.endless.store(true, Ordering::SeqCst);
    let running = retention.start();
    tokio::time::sleep(Retention::INTERVAL / 2).await;
    let steps_max = usize::try_from(Retention::STEPS_MAX).unwrap();
    assert_eq!(store.asked.load(Ordering::SeqCst), steps_max);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_round_after_the_step_that_is_under_way() {
    let (store, _, retention) = handled(0).await;
    store.endless.store(true, Ordering::SeqCst);
    let running = retention.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop().await;
    let asked = store.asked.load(Ordering::SeqCst);
    assert!(asked < 1_000, "{asked}");
    tokio::time::sleep(Retention::INTERVAL).await;
    assert_eq!(store.asked.load(Ordering::SeqCst), asked);
}
