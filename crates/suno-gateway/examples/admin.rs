//! Receives callbacks on port 3000 and serves health, metrics, an API and a page on port 3001: open
//! `http://127.0.0.1:3001/` in a browser.
//!
//! ```text
//! SUNO_WEBHOOK_KEY=… cargo run -p suno-gateway --features admin --example admin
//! curl http://127.0.0.1:3001/v1/stats
//! curl -N -H 'Accept: text/event-stream' http://127.0.0.1:3001/v1/events
//! ```

use std::sync::Arc;

use suno_callback::history::{History, HistoryWriter, MemoryHistory};
use suno_callback::{Event, MemoryStore, Observer, Pipeline, Verification, handler_fn};
use suno_gateway::admin::{Admin, AdminToken, Feed, Health};
use suno_gateway::metrics::{Metrics, Scraper};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let key = std::env::var("SUNO_WEBHOOK_KEY")?;
    // In production: a durable store, such as the one in suno-store-sqlite.
    let store = Arc::new(MemoryStore::new());

    // Each of them is told what the pipeline does.
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let health = Arc::new(Health::new(store.clone()));
    let feed = Arc::new(Feed::new());
    let history: Arc<dyn History> = Arc::new(MemoryHistory::new());
    let (writer, writing) = HistoryWriter::start(history.clone());
    let observers: Vec<Arc<dyn Observer>> = vec![
        metrics.clone(),
        health.clone(),
        feed.clone(),
        Arc::new(writer),
    ];

    let handler = handler_fn(async |event: Event| {
        tracing::info!(key = %event.key(), "handled");
        Ok(())
    });
    let pipeline = Pipeline::builder(store.clone(), handler, Verification::webhook_key(&key))
        .with_observer(observers)
        .start()?;
    health.set_monitor(pipeline.monitor());

    let mut admin = Admin::new(store.clone())
        .with_metrics(Scraper::new(store, metrics))
        .with_health(health.clone())
        .with_feed(feed)
        .with_history(history)
        .with_page();
    if let Ok(token) = std::env::var("SUNO_ADMIN_TOKEN") {
        admin = admin.with_token(AdminToken::new(&token)?);
    }
    let admin = admin.bind(([127, 0, 0, 1], 3001).into()).await?;
    let (stop, mut stopped) = watch::channel(false);
    let admin = tokio::spawn(admin.run(async move {
        // The sender is dropped only after it has told the stop.
        let _ = stopped.wait_for(|is_stopped| *is_stopped).await;
    }));

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let stopping = async {
        let _ = tokio::signal::ctrl_c().await;
        // First, so that a load balancer sends no more callbacks. The admin address answers until
        // the end.
        health.set_stopping();
    };
    pipeline.serve(listener, stopping).await;
    pipeline.stop().await;
    writing.stop().await;
    stop.send_replace(true);
    admin.await?;
    Ok(())
}
