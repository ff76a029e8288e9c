//! Old events are forgotten in steps, again and again, whatever the store says in between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::{
    Acceptance, BackgroundTask, ClaimRequest, Counts, IdempotencyStore, MemoryStore, PurgeReport,
    PurgeRequest, Retention, Settlement, StoreError, WorkerId,
};
use suno_testkit::wrapper::{Fault, Faults, Wrapped, Wrapper};

use crate::scene::{HandClock, delivery, pass};

const DAY: u64 = 86_400;

/// A store in memory that keeps what its purges came to.
type PurgedStore = Wrapped<Purges>;

#[derive(Debug, Default)]
struct Purges {
    store: MemoryStore,
    faults: Faults,
    purged: Mutex<Vec<PurgeReport>>,
    /// Says that there is more, whatever there is.
    endless: AtomicBool,
}

#[async_trait]
impl Wrapper for Purges {
    fn inner(&self) -> &dyn IdempotencyStore {
        &self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<PurgeReport, StoreError> {
        let mut purged = self.store.purge(request).await?;
        self.purged.lock().unwrap().push(purged);
        purged.more |= self.endless.load(Ordering::SeqCst);
        Ok(purged)
    }
}

impl Purges {
    /// Bodies and keys that were forgotten, step by step, since this was asked before.
    fn steps(&self) -> Vec<(u64, u64)> {
        let purged = std::mem::take(&mut *self.purged.lock().unwrap());
        purged.iter().map(|step| (step.bodies, step.keys)).collect()
    }
}

/// A store with this many handled events, and its retention.
async fn handled(events: usize) -> (Arc<PurgedStore>, Retention) {
    let store = Arc::new(PurgedStore::default());
    let deliveries: Vec<_> = (0..events)
        .map(|number| delivery(&format!("task-{number}"), "complete"))
        .collect();
    store.store.accept(&deliveries).await.unwrap();
    let request = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(60), events);
    let claims = store.store.claim(&request).await.unwrap().claims;
    assert_eq!(claims.len(), events);
    let done = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
    let request = ClaimRequest::new(WorkerId(1), 2, Duration::from_secs(60), 0);
    let request = request.with_settlements(done.collect());
    store.store.claim(&request).await.unwrap();
    (store.clone(), Retention::new(store))
}

/// Starts it, and waits until its first round must be over.
async fn start(retention: Retention) -> BackgroundTask {
    let running = retention.start();
    pass(60).await;
    running
}

#[tokio::test(start_paused = true)]
async fn everything_old_is_forgotten_in_bounded_steps() {
    let (store, retention) = handled(600).await;
    pass(31 * DAY).await;
    let running = start(retention).await;
    assert_eq!(store.steps(), [(250, 250), (250, 250), (100, 100)]);
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn bodies_go_before_keys_each_at_its_age() {
    let (store, retention) = handled(1).await;
    let running = start(retention.with_interval(Duration::from_secs(DAY))).await;
    let mut forgotten = Vec::new();
    for day in 0..32 {
        match store.steps()[..] {
            [(0, 0)] => {}
            ref steps => forgotten.push((day, steps.to_vec())),
        }
        pass(DAY).await;
    }
    assert_eq!(forgotten, [(14, vec![(1, 0)]), (30, vec![(0, 1)])]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn other_ages_and_another_interval_are_kept_to() {
    let (store, retention) = handled(1).await;
    let retention = retention
        .with_bodies_for(Duration::from_secs(600))
        .with_keys_for(Duration::from_secs(1_200))
        .with_interval(Duration::from_secs(600));
    let running = start(retention).await;
    assert_eq!(store.steps(), [(0, 0)]);
    pass(600).await;
    assert_eq!(store.steps(), [(1, 0)]);
    pass(600).await;
    assert_eq!(store.steps(), [(0, 1)]);
    running.stop().await;
}

/// A system clock that is set ahead by mistake must not make a repeated delivery a new event.
#[tokio::test(start_paused = true)]
async fn nothing_is_forgotten_because_the_system_clock_is_a_month_ahead() {
    let clock = HandClock::new();
    let store = Arc::new(MemoryStore::with_clock(clock.clone()));
    store.accept(&[delivery("a", "complete")]).await.unwrap();
    let request = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(60), 1);
    let ticket = store.claim(&request).await.unwrap().claims[0].ticket;
    let request = ClaimRequest::new(WorkerId(1), 2, Duration::from_secs(60), 0);
    let request = request.with_settlements(vec![(ticket, Settlement::Done)]);
    store.claim(&request).await.unwrap();
    clock.advance(31 * 86_400);
    let running = start(Retention::new(store.clone())).await;
    let again = store.accept(&[delivery("a", "complete")]).await.unwrap();
    assert_eq!(again, [Acceptance::Duplicate]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_asked_again_after_the_interval() {
    let (store, retention) = handled(1).await;
    pass(31 * DAY).await;
    store.faults.set("purge", Fault::FAILS);
    let running = start(retention).await;
    tokio::time::sleep(Retention::INTERVAL).await;
    assert_eq!(store.faults.times("purge"), 2);
    store.faults.mend();
    tokio::time::sleep(Retention::INTERVAL).await;
    assert_eq!(store.steps(), [(1, 1)]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_always_has_more_is_left_alone_until_the_next_round() {
    let (store, retention) = handled(0).await;
    store.endless.store(true, Ordering::SeqCst);
    let running = retention.start();
    tokio::time::sleep(Retention::INTERVAL / 2).await;
    let steps_max = usize::try_from(Retention::STEPS_MAX).unwrap();
    assert_eq!(store.faults.times("purge"), steps_max);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_round_after_the_step_that_is_under_way() {
    let (store, retention) = handled(0).await;
    store.endless.store(true, Ordering::SeqCst);
    let running = retention.start();
    pass(1).await;
    running.stop().await;
    let asked = store.faults.times("purge");
    assert!(asked < 1_000, "{asked}");
    tokio::time::sleep(Retention::INTERVAL).await;
    assert_eq!(store.faults.times("purge"), asked);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_store_that_hangs() {
    let (store, retention) = handled(0).await;
    store.faults.set("purge", Fault::HangsForEver);
    let running = start(retention).await;
    let stopped = tokio::time::timeout(Duration::from_secs(1), running.stop()).await;
    assert!(stopped.is_ok());
}
