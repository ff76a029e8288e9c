//! Live and ready.

use std::sync::Arc;

use suno_callback::{IdempotencyStore, Observer, Pipeline, Verification, handler_fn};
use suno_gateway::admin::{Admin, Health};
use suno_gateway::metrics::{Metrics, Scraper};

use super::{Running, store};

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
