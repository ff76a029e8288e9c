//! This project's side of a world: store, receiver, dispatcher and reconciler, which can be killed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use suno_callback::serve::serve;
use suno_callback::{
    CallbackHandler, Dispatcher, Event, EventFilter, EventId, EventState, HandlerError,
    IdempotencyStore, Inbox, ListRequest, Receiver, Reconciler, Round, StateName, Verification,
    handler_fn,
};
use suno_client::Client;
use suno_store_sqlite::SqliteStore;
use suno_testkit::clock::HandClock;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::options::Broken;

/// The number of attempts of an event: handlers fail on purpose, and records are late.
const ATTEMPTS_MAX: u32 = 40;
/// One in this many handler calls fails.
const FAILURES: u64 = 12;
/// The time limit for the threads of a receiver to end.
const END: Duration = Duration::from_secs(5);
/// The real time to wait before checking again whether any event is being handled.
const LOOK: Duration = Duration::from_millis(1);
/// The real time without changes after which no event is being handled: longer than a store takes
/// to notice a step of the clock.
const QUIET: Duration = Duration::from_millis(150);
/// The maximum number of checks.
const LOOKS_MAX: u32 = 20_000;

/// The calls of the handlers, and the events that they accepted.
#[derive(Debug, Clone, Default)]
pub(super) struct Handled(Arc<Mutex<Vec<Event>>>);

impl Handled {
    fn push(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.clone()
    }
}

/// The data that survives a kill.
#[derive(Debug, Clone)]
pub(super) struct Outside {
    pub(super) file: PathBuf,
    pub(super) address: SocketAddr,
    pub(super) webhook_key: String,
    pub(super) client: Client,
    pub(super) clock: HandClock,
    pub(super) handled: Handled,
    pub(super) broken: Option<Broken>,
}

/// A running receiver on its own runtime, so that a kill ends all of it at any point.
pub(super) struct Ours {
    runtime: Runtime,
    pub(super) store: Arc<SqliteStore>,
    reconciler: Reconciler,
    broken: Option<Broken>,
}

impl Ours {
    pub(super) async fn start(outside: &Outside) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let store = Arc::new(open(outside)?);
        let setting_up = {
            let (outside, store) = (outside.clone(), store.clone());
            runtime.spawn(async move { set_up(outside, store).await })
        };
        match setting_up.await.context("the receiver panicked").flatten() {
            Ok(reconciler) => Ok(Self {
                runtime,
                store,
                reconciler,
                broken: outside.broken,
            }),
            Err(err) => {
                runtime.shutdown_background();
                Err(err)
            }
        }
    }

    /// Ends everything at once, at any point.
    pub(super) async fn kill(self) -> Result<()> {
        // Waits for the threads, so that no socket is listening when this returns.
        let ending = tokio::task::spawn_blocking(|| self.runtime.shutdown_timeout(END));
        ending.await.context("the receiver does not end")
    }

    /// Waits until no event is being handled and none could be.
    pub(super) async fn settle_down(&self) -> Result<()> {
        let mut before = Vec::new();
        let mut unchanged_since = Instant::now();
        for _ in 0..LOOKS_MAX {
            let active = self.active_events().await?;
            if active.is_empty() {
                return Ok(());
            }
            if active != before {
                (before, unchanged_since) = (active, Instant::now());
            } else if unchanged_since.elapsed() >= QUIET {
                // The claims of a killed process, and the events that wait for them.
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!("handling does not come to an end")
    }

    /// Returns the events that are or could be claimed, with their numbers of attempts.
    async fn active_events(&self) -> Result<Vec<(EventId, u32)>> {
        let mut active = Vec::new();
        for state in [StateName::Ready, StateName::Claimed, StateName::Waiting] {
            let request = ListRequest::first(u32::MAX, EventFilter::in_state(state));
            let records = self.store.list(&request).await?.records.into_iter();
            let records = records.filter(|record| {
                record.state.is_claimable() || matches!(record.state, EventState::Claimed { .. })
            });
            active.extend(records.map(|record| (record.id, record.attempts)));
        }
        Ok(active)
    }

    /// Asks the provider about every task that is due.
    pub(super) async fn reconcile(&self) -> Result<Vec<Round>> {
        let mut rounds = Vec::new();
        if self.broken == Some(Broken::Unreconciled) {
            return Ok(rounds);
        }
        loop {
            let round = self.reconciler.round().await?;
            rounds.push(round);
            if round.asked < Reconciler::TASKS_MAX {
                return Ok(rounds);
            }
        }
    }
}

fn open(outside: &Outside) -> Result<SqliteStore> {
    SqliteStore::open_with_clock(&outside.file, outside.clock.clone())
        .context("cannot open the store")
}

async fn set_up(outside: Outside, store: Arc<SqliteStore>) -> Result<Reconciler> {
    let inbox = Inbox::start(store.clone());
    let receiver = Receiver::new(
        inbox.clone(),
        Verification::webhook_key(&outside.webhook_key),
    )
    .with_clock(outside.clock.clone());
    let listener = TcpListener::bind(outside.address)
        .await
        .context("cannot listen where the receiver was before")?;
    tokio::spawn(serve(listener, receiver, std::future::pending()));
    let reconciler =
        Reconciler::new(inbox.clone(), outside.client.clone()).with_clock(outside.clock.clone());
    match outside.broken {
        Some(Broken::Unconfirmed) => dispatch(inbox, handler(&outside)),
        _ => dispatch(inbox, reconciler.confirm(handler(&outside))),
    }
    Ok(reconciler)
}

fn dispatch(inbox: Inbox, handler: impl CallbackHandler) {
    let running = Dispatcher::new(inbox, handler)
        .with_attempts_max(ATTEMPTS_MAX)
        .start();
    // Ends with its runtime.
    tokio::spawn(async move {
        let _running = running;
        std::future::pending::<()>().await;
    });
}

/// Accepts events, and sometimes fails.
fn handler(outside: &Outside) -> impl CallbackHandler + use<> {
    let handled = outside.handled.clone();
    let calls = AtomicU64::new(0);
    handler_fn(move |event: Event| {
        let fails = calls.fetch_add(1, Ordering::Relaxed) % FAILURES == FAILURES - 1;
        if !fails {
            handled.push(event);
        }
        async move {
            match fails {
                true => Err(HandlerError::retry_after(
                    Duration::from_secs(3),
                    "on purpose",
                )),
                false => Ok(()),
            }
        }
    })
}
