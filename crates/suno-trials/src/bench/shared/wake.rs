//! How soon an event is handled that another instance of the store has accepted, on an idle system.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use suno_callback::{Dispatcher, Event, HandlerError, IdempotencyStore, Inbox, handler_fn};
use suno_store_postgres::Wake;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::subject::{Figures, Run, Shared, figures, histogram, record, task};
use crate::bench::growth::delivery;

/// The longest wait for an event to be handled.
const HANDLED_MAX: Duration = Duration::from_secs(10);
/// The pause between two events is up to this much, at random, so that it is in step with nothing.
const PAUSE_MAX: Duration = Duration::from_millis(60);

pub(super) async fn measure(run: &Run) -> Result<Figures> {
    let wake = match run.subject() {
        Shared::Poll => Wake::Poll,
        _ => Wake::Listen,
    };
    let accepting = run.store.open_shared(wake).await?;
    let handling = run.store.open_shared(wake).await?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = handler_fn(move |_: Event| {
        let told = tell.send(Instant::now());
        async move { told.map_err(|_| HandlerError::give_up("nobody listens")) }
    });
    let dispatching = Dispatcher::new(Inbox::start(Arc::new(handling)), handler).start();
    let mut latencies = histogram()?;
    let begun = Instant::now();
    while begun.elapsed() < run.duration() {
        sleep(PAUSE_MAX.mul_f64(fastrand::f64())).await;
        let delivery = delivery(&task(), run.body_bytes)?;
        accepting.accept(std::slice::from_ref(&delivery)).await?;
        let accepted = Instant::now();
        let handled = timeout(HANDLED_MAX, told.recv()).await;
        let handled = handled.ok().flatten().context("an event was not handled")?;
        record(&mut latencies, handled.saturating_duration_since(accepted))?;
    }
    dispatching.stop().await;
    Ok(figures(&latencies, begun.elapsed(), 0))
}
