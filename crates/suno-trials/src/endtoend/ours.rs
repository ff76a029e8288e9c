//! Our side of a world: store, receiver, dispatcher and reconciler, which can be killed.

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

/// How often an event is tried: handlers fail on purpose, and records are late.
const ATTEMPTS_MAX: u32 = 40;
/// One of so many handlings fails.
const FAILURES: u64 = 12;
/// How long the threads of a receiver may take to end.
const END: Duration = Duration::from_secs(5);
/// How long to wait, in real time, before looking again whether anything is being handled.
const LOOK: Duration = Duration::from_millis(1);
/// For how long, in real time, nothing must have changed until nothing is being handled: longer than a
/// store takes to notice that the clock was stepped.
const QUIET: Duration = Duration::from_millis(150);
/// How often to look at most.
const LOOKS_MAX: u32 = 20_000;

/// What handlers were told, and took.
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

/// What outlives a kill.
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

/// A receiver at work, on a runtime of its own, so that a kill ends all of it wherever it is.
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

    /// Ends everything at once, wherever it is.
    pub(super) async fn kill(self) -> Result<()> {
        // Waits for the threads, so that nobody listens any more when this returns.
        let ending = tokio::task::spawn_blocking(|| self.runtime.shutdown_timeout(END));
        ending.await.context("the receiver does not end")
    }

    /// Waits until nothing is being handled and nothing could be.
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
                // The claims of a process that was killed, and the events that wait for them.
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        anyhow::bail!("handling does not come to an end")
    }

    /// The events that are claimed or could be, with how often they were attempted.
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

    /// Asks about everything that is due.
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
    // It ends with its runtime.
    tokio::spawn(async move {
        let _running = running;
        std::future::pending::<()>().await;
    });
}

/// Takes what it is told, and fails now and then.
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
