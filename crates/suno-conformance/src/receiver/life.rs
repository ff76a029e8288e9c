//! One life of a receiver: from its start to the end of its process.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Request;
use jiff::Timestamp;
use suno_callback::{
    Clock, Dispatcher, Event, IdempotencyStore, Inbox, MemoryStore, Receiver, Token, Verification,
    handler_fn,
};
use suno_store_sqlite::SqliteStore;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::watched::{HandledLog, WatchedStore};
use super::{ExpectedAnswer, Input, PATH, Step};

/// The time limit for handling.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store for events.
#[derive(Debug)]
pub(super) enum StoreKind {
    Memory,
    Sqlite(PathBuf),
}

impl StoreKind {
    fn open(&self) -> Result<Box<dyn IdempotencyStore>> {
        Ok(match self {
            Self::Memory => Box::new(MemoryStore::new()),
            Self::Sqlite(path) => Box::new(SqliteStore::open(path)?),
        })
    }
}

/// A clock that is set by the case.
#[derive(Debug, Clone, Default)]
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap_or_default()
    }
}

/// A receiver, its dispatcher and their store. It has its own runtime, so that dropping it ends
/// everything that it started.
pub(super) struct Life {
    receiver: Receiver,
    dispatcher: Dispatcher,
    store: Arc<WatchedStore>,
    clock: SetClock,
    runtime: Runtime,
}

impl Life {
    pub(super) fn begin(input: &Input, store: &StoreKind, seen: &HandledLog) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let _entered = runtime.enter();
        let store = Arc::new(WatchedStore::new(store.open()?, seen.clone()));
        let inbox = Inbox::start(store.clone());
        let clock = SetClock::default();
        let mut receiver = Receiver::new(inbox.clone(), verification(input)?)
            .with_path(PATH)
            .with_clock(clock.clone());
        if let Some(bytes_max) = input.body_bytes_max {
            receiver = receiver.with_body_bytes_max(bytes_max);
        }
        let seen = seen.clone();
        let handler = handler_fn(move |event: Event| {
            seen.note_handled(event);
            async { Ok(()) }
        });
        Ok(Self {
            receiver,
            dispatcher: Dispatcher::new(inbox, handler),
            store,
            clock,
            runtime,
        })
    }

    pub(super) fn set_clock(&self, unix_seconds: u32) {
        self.clock.0.store(unix_seconds.into(), Ordering::SeqCst);
    }

    /// Delivers one request.
    pub(super) fn receive(&self, step: &Step) -> Result<ExpectedAnswer> {
        let mut request = Request::builder().method(&*step.method).uri(&*step.path);
        for (name, value) in &step.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Bytes::from(step.body.0.clone()))
            .context("the request cannot be built")?;
        let response = self.runtime.block_on(self.receiver.receive(request));
        let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        };
        Ok(ExpectedAnswer {
            status: response.status().as_u16(),
            headers: response.headers().iter().map(header).collect(),
            body: response.body().to_vec(),
        })
    }

    /// Returns the number of bodies that are kept raw.
    pub(super) fn quarantined(&self) -> Result<u64> {
        Ok(self.runtime.block_on(self.store.counts())?.quarantined)
    }

    /// Handles every event that can be handled.
    pub(super) fn handle_all(&self) -> Result<()> {
        self.runtime.block_on(async {
            let mut idle = std::pin::pin!(self.store.idle().notified());
            idle.as_mut().enable();
            let running = self.dispatcher.clone().start();
            let waited = timeout(PATIENCE, idle).await;
            running.stop().await;
            waited.with_context(|| format!("handling did not end within {PATIENCE:?}"))
        })
    }
}

fn verification(input: &Input) -> Result<Verification> {
    let mut verification = Verification::dangerous_none();
    for key in &input.keys {
        verification = verification.with_webhook_key(&key.text);
    }
    for token in input.token.iter().chain(&input.other_tokens) {
        verification = verification.with_token(Token::new(token)?);
    }
    if let Some(place) = &input.token_in {
        verification = verification.with_token_in(place.parse()?);
    }
    Ok(verification)
}
