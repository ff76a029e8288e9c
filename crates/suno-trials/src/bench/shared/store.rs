//! Our store: accepting alone, and with a dispatcher that handles everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::try_join_all;
use suno_callback::{Dispatcher, Event, HandlerError, IdempotencyStore, Inbox, handler_fn};

use super::subject::{Figures, Run, figures, histogram, record, task};
use crate::bench::growth::delivery;
use crate::stored::unsettled_in;

/// Accepts, and does nothing else.
pub(super) async fn accept(run: &Run) -> Result<Figures> {
    let store = run.store.open().await?;
    send(run, &store).await
}

/// Accepts while a dispatcher claims, handles (doing nothing) and settles. Counts what was handled.
pub(super) async fn handle(run: &Run) -> Result<Figures> {
    let store = run.store.open().await?;
    let handler = handler_fn(|_: Event| async { Ok::<_, HandlerError>(()) });
    let dispatching = Dispatcher::new(Inbox::start(store.clone()), handler)
        .with_handlers_max(run.callers.max(Dispatcher::HANDLERS_MAX))
        .start();
    let mut figures = send(run, &store).await?;
    figures.open = unsettled_in(&*store).await?;
    let accepted = figures.per_second * run.duration().as_secs_f64();
    figures.per_second *= 1.0 - figures.open as f64 / accepted.max(1.0);
    dispatching.stop().await;
    Ok(figures)
}

async fn send(run: &Run, store: &Arc<dyn IdempotencyStore>) -> Result<Figures> {
    let inbox = Inbox::start(store.clone());
    let begun = Instant::now();
    let until = begun + run.duration();
    let callers = (0..run.callers).map(|place| {
        let (inbox, run) = (inbox.clone(), run.clone());
        async move {
            let mut latencies = histogram()?;
            let mut due = begun + pause(&run).mul_f64(place as f64 / run.callers as f64);
            while Instant::now() < until {
                tokio::time::sleep_until(due.into()).await;
                let delivery = delivery(&task(), run.body_bytes)?;
                let started = due.max(begun);
                let started = match run.per_second > 0.0 {
                    true => started,
                    false => Instant::now(),
                };
                inbox.accept(delivery).await?;
                record(&mut latencies, started.elapsed())?;
                due += pause(&run);
            }
            anyhow::Ok(latencies)
        }
    });
    let mut all = histogram()?;
    for latencies in try_join_all(callers).await? {
        all.add(latencies)?;
    }
    Ok(figures(&all, begun.elapsed(), 0))
}

/// Returns the pause of a caller between two deliveries; none if it sends as fast as it is answered.
fn pause(run: &Run) -> Duration {
    match run.per_second > 0.0 {
        true => Duration::from_secs_f64(run.callers as f64 / run.per_second),
        false => Duration::ZERO,
    }
}
