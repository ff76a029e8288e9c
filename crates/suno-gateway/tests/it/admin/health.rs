//! Live and ready.

use std::sync::Arc;

use suno_callback::{
    Delivery, IdempotencyStore, Inbox, MemoryStore, Observer, Pipeline, Verification, handler_fn,
};
use suno_gateway::admin::{Admin, Health};
use suno_gateway::metrics::{Metrics, Scraper};

use suno_testkit::wrapper::{Fault, Faults, Wrapped, Wrapper};
use tokio::time::advance;

use super::{Running, now, store};
use crate::scene::{TASK, callback};

#[tokio::test]
async fn a_process_is_ready_from_the_start_of_its_pipeline_to_the_beginning_of_its_stop() {
    let store = store();
    let health = Arc::new(Health::new(store.clone()));
    let scraper = Scraper::new(store.clone(), Arc::new(Metrics::new("1")));
    let admin = Admin::new(store.clone())
        .with_health(health.clone())
        .with_metrics(scraper);
    let running = Running::start(admin).await;
    let status = async |path: &str| running.get(path).await.status;
    assert_eq!(
        (status("/livez").await, status("/readyz").await),
        (200, 503)
    );
    let metrics = running.get("/metrics").await;
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    assert_eq!(metrics.headers["content-type"], kind);
    assert!(metrics.body.contains("suno_build_info{version=\"1\"} 1\n"));

    let observers: Vec<Arc<dyn Observer>> = vec![health.clone()];
    let handler = handler_fn(async |_| Ok(()));
    let verification = Verification::webhook_key("whk_health");
    let pipeline = Pipeline::builder(store.clone(), handler, verification)
        .with_observer(observers)
        .start()
        .unwrap();
    health.set_monitor(pipeline.monitor());
    assert_eq!(
        (status("/livez").await, status("/readyz").await),
        (200, 200)
    );
    let before = store.counts().await.unwrap();
    let verbose = running.get("/readyz?verbose").await;
    for part in [
        "inbox",
        "dispatcher",
        "retention",
        "started",
        "not stopping",
        "commits",
        "store",
    ] {
        assert!(
            verbose.body.contains(&format!("[+] {part}\n")),
            "{verbose:?}"
        );
    }
    assert_eq!(store.counts().await.unwrap(), before);

    health.set_stopping();
    assert_eq!(
        (status("/livez").await, status("/readyz").await),
        (200, 503)
    );
    pipeline.stop().await;
    assert_eq!(status("/livez").await, 200);
    running.stop().await;
}

#[tokio::test]
async fn a_dispatcher_that_has_ended_makes_a_process_neither_live_nor_ready() {
    let store = store();
    let health = Arc::new(Health::new(store.clone()));
    let handler = handler_fn(async |_| Ok(()));
    let verification = Verification::webhook_key("whk_health");
    let pipeline = Pipeline::builder(store, handler, verification)
        .start()
        .unwrap();
    health.set_monitor(pipeline.monitor());
    assert!(health.is_live() && health.is_ready().await);
    pipeline.stop().await;
    assert!(!health.is_live() && !health.is_ready().await);
    let report = health.live_report().lines();
    assert!(report.contains("[-] dispatcher\n"), "{report}");
}

/// A store that can fail.
#[derive(Debug, Default)]
struct Faulty {
    store: MemoryStore,
    faults: Faults,
}

impl Wrapper for Faulty {
    fn inner(&self) -> &dyn IdempotencyStore {
        &self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_written_makes_a_process_unready_but_not_dead() {
    let store = Arc::new(Wrapped(Faulty::default()));
    let health = Arc::new(Health::new(store.clone()));
    let observers: Vec<Arc<dyn Observer>> = vec![health.clone()];
    let handler = handler_fn(async |_| Ok(()));
    let verification = Verification::webhook_key("whk_health");
    let pipeline = Pipeline::builder(store.clone(), handler, verification)
        .start()
        .unwrap();
    health.set_monitor(pipeline.monitor());
    assert!(health.is_ready().await);
    for fault in [Fault::FAILS, Fault::HangsForEver] {
        store.faults.set("withdraw", fault);
        advance(Health::WRITTEN_FOR).await;
        assert!(!health.is_ready().await && health.is_live());
        let before = store.faults.times("withdraw");
        assert!(!health.is_ready().await);
        assert_eq!(
            store.faults.times("withdraw"),
            before,
            "asked once in a while"
        );
        store.faults.mend();
        advance(Health::WRITTEN_FOR).await;
        assert!(health.is_ready().await);
    }
    pipeline.stop().await;

    // Commits that fail count for a while, so that a process without callbacks recovers.
    let inbox = Inbox::start_observed(store.clone(), Arc::new(observers));
    let delivery = Delivery::decode(callback(TASK, "complete", "x").into(), now());
    let commits = async || {
        let report = health.ready_report().await;
        report.parts.contains(&("commits", true))
    };
    store.faults.set("accept", Fault::FAILS);
    inbox.accept(delivery.clone()).await.unwrap_err();
    assert!(!commits().await);
    advance(Health::COMMIT_FAILURE_COUNTS_FOR).await;
    assert!(commits().await);
    inbox.accept(delivery.clone()).await.unwrap_err();
    store.faults.mend();
    inbox.accept(delivery).await.unwrap();
    assert!(commits().await);
}
