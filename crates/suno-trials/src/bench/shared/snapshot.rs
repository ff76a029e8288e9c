//! Measures the cost of a transaction of another session that keeps an old snapshot open: rows that the
//! store deletes cannot be vacuumed until it ends.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use suno_callback::{Dispatcher, Event, HandlerError, IdempotencyStore, Inbox, handler_fn};
use suno_testkit::postgres::{TestSchema, URL_VARIABLE};
use tokio::time::{sleep, sleep_until};

use super::plain::connect;
use super::subject::{Run, Shared, histogram, record, task};
use crate::bench::bound;
use crate::bench::growth::delivery;
use crate::bench::load::BODY_BYTES;
use crate::bench::machine::{Program, describe};

/// The time that is measured before the snapshot, at its end, and after it.
const WINDOW: Duration = Duration::from_secs(8);
/// The time after the snapshot for vacuuming.
const VACUUM: Duration = Duration::from_secs(75);
/// The greatest ratio of the times from accepting to handling.
const RATIO_MAX: f64 = 1.3;

/// Measure how much later events are handled while another session keeps a snapshot open
///
/// A receiver accepts and handles events at an even rate. After a while, another connection begins a
/// transaction with REPEATABLE READ and keeps it open.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::bench) struct Options {
    /// Server, as postgres://USER@HOST/DATABASE; $SUNO_TEST_POSTGRES_URL if omitted
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Time for which the snapshot is open
    #[arg(long, value_parser = bound::seconds, default_value_t = 60.0)]
    seconds: f64,
    /// Number of events in a second
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    per_second: u32,
}

/// The medians of the time from accepting to handling, in milliseconds, and the dead rows at that time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Window {
    p50_millis: f64,
    p99_millis: f64,
    dead_rows: i64,
}

pub(in crate::bench) fn run(
    program: &Program,
    options: &Options,
    out: &mut dyn Write,
) -> Result<()> {
    let url = super::url(options.store.as_ref())?;
    let schema = TestSchema::new(&url);
    let rate = f64::from(options.per_second);
    let run = Run::new(
        Shared::Snapshot,
        &schema,
        1,
        BODY_BYTES,
        options.seconds,
        rate,
    );
    let windows: [Window; 3] = super::all(program, &url, &[run])?.remove(0);
    let [before, during, after] = windows;
    writeln!(out, "{}\n", describe(program.target())?)?;
    writeln!(
        out,
        "{} events a second; a snapshot is open for {} s. From accepting to handling:\n",
        options.per_second, options.seconds
    )?;
    writeln!(out, "| when | p50 ms | p99 ms | dead rows in `work` |")?;
    writeln!(out, "| --- | ---: | ---: | ---: |")?;
    let rows = [
        ("before the snapshot", before),
        ("at its end", during),
        ("after it ended and a vacuum", after),
    ];
    for (when, window) in rows {
        let Window {
            p50_millis,
            p99_millis,
            dead_rows,
        } = window;
        writeln!(
            out,
            "| {when} | {p50_millis:.2} | {p99_millis:.2} | {dead_rows} |"
        )?;
    }
    let ratio = during.p50_millis / before.p50_millis;
    let held = if ratio <= RATIO_MAX { "yes" } else { "no" };
    writeln!(
        out,
        "\nAt its end, of before: {ratio:.2} (goal <= {RATIO_MAX}: {held})"
    )?;
    Ok(())
}

/// Runs the receiver, and prints the three windows as JSON.
pub(super) async fn measure(run: &Run) -> Result<()> {
    ensure!(std::env::var(URL_VARIABLE).is_ok(), "no server is named");
    let store = run.store.open().await?;
    let begun: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let times = Arc::new(Mutex::new(histogram()?));
    let (accepted, handled) = (begun.clone(), times.clone());
    let handler = handler_fn(move |event: Event| {
        let task = event.task_id().as_str();
        let begun = accepted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(task);
        let mut times = handled.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = begun.map_or(Ok(()), |begun| record(&mut times, begun.elapsed()));
        async move { recorded.map_err(|err| HandlerError::give_up(err.to_string())) }
    });
    let dispatching = Dispatcher::new(Inbox::start(store.clone()), handler)
        .with_handlers_max(64)
        .start();
    let sending = tokio::spawn(send(run.clone(), store, begun));
    let window = async || {
        times.lock().unwrap_or_else(PoisonError::into_inner).reset();
        sleep(WINDOW).await;
        let (p50, p99, count) = {
            let times = times.lock().unwrap_or_else(PoisonError::into_inner);
            let millis = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
            (millis(0.5), millis(0.99), times.len())
        };
        ensure!(count > 0, "nothing was handled");
        let dead_rows = dead_rows(run).await?;
        Ok(Window {
            p50_millis: p50,
            p99_millis: p99,
            dead_rows,
        })
    };
    sleep(WINDOW).await;
    let before = window().await?;
    let other = connect(run).await?;
    other
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .await?;
    sleep(run.duration().saturating_sub(WINDOW)).await;
    let during = window().await?;
    other.batch_execute("COMMIT").await?;
    sleep(VACUUM).await;
    let after = window().await?;
    sending.abort();
    dispatching.stop().await;
    let windows = [before, during, after];
    writeln!(io::stdout(), "{}", serde_json::to_string(&windows)?)?;
    Ok(())
}

/// Accepts events at an even rate.
async fn send(
    run: Run,
    store: Arc<dyn IdempotencyStore>,
    begun: Arc<Mutex<HashMap<String, Instant>>>,
) -> Result<()> {
    let inbox = Inbox::start(store);
    let pause = Duration::from_secs_f64(1.0 / run.per_second);
    let mut due = tokio::time::Instant::now();
    loop {
        sleep_until(due).await;
        due += pause;
        let task = task();
        let delivery = delivery(&task, run.body_bytes)?;
        begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(task, Instant::now());
        let inbox = inbox.clone();
        tokio::spawn(async move { inbox.accept(delivery).await });
    }
}

/// The rows of `work` that are deleted and not vacuumed, as the server counts them.
async fn dead_rows(run: &Run) -> Result<i64> {
    let client = connect(run).await?;
    let sql =
        "SELECT n_dead_tup FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = 'work'";
    let schema = run.store.schema_name()?;
    let row = client.query_opt(sql, &[&schema]).await?;
    Ok(row.context("the store has no table `work`")?.get(0))
}
