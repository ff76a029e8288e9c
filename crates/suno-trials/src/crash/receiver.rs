//! Receivers of our own: with a fault on purpose, with a handler that ends the process, or with a
//! handler that writes into the file of the store.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use suno_callback::serve::serve;
use suno_callback::{
    Accepted, CallbackHandler, Delivery, Dispatcher, Event, HandlerError, IdempotencyStore, Inbox,
    Receiver, StoreError, Verification, async_trait, handler_fn,
};
use suno_store_sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::songs::{Settling, Songs};
use super::subject::KEY;
use crate::altered::{Alteration, AlteredStore};

/// How long the commit comes after the answer.
const LATE: Duration = Duration::from_millis(20);

/// How a receiver differs from `suno listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Variant {
    /// It answers 200 before the commit, which must be caught.
    AnswersEarly,
    /// Its handler ends the process now and then; nothing may be lost.
    HandlerKills,
    /// Its handler writes a row and settles the event in one transaction: one row for each event.
    InTransaction,
    /// Its handler writes a row and settles the event in a second transaction, which must be caught.
    TwoTransactions,
}

impl Variant {
    /// How the handler settles an event for which it has written a row.
    fn settling(self) -> Option<Settling> {
        match self {
            Self::InTransaction => Some(Settling::WithTheRow),
            Self::TwoTransactions => Some(Settling::AfterTheRow),
            Self::AnswersEarly | Self::HandlerKills => None,
        }
    }

    /// True if the handler writes a row for each event.
    pub(super) fn writes_songs(self) -> bool {
        self.settling().is_some()
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswersEarly => "answers-early",
            Self::HandlerKills => "handler-kills",
            Self::InTransaction => "in-transaction",
            Self::TwoTransactions => "two-transactions",
        })
    }
}

/// How many events are handled for one that ends the process.
const HANDLED_PER_KILL: u32 = 100;

/// Receives until it is killed, and prints what it handles.
///
/// # Errors
///
/// If it cannot listen or open the store.
pub async fn receive(variant: Variant, file: &Path) -> Result<()> {
    let store = Arc::new(SqliteStore::open(file)?);
    match variant.settling() {
        Some(settling) => serve_until_stopped(store, Songs::open(file, settling)?).await,
        None if variant == Variant::AnswersEarly => {
            let late = Arc::new(AlteredStore(LateStore { store }));
            serve_until_stopped(late, handler_fn(printed)).await
        }
        None => serve_until_stopped(store, handler_fn(printed_or_killed)).await,
    }
}

async fn serve_until_stopped(
    store: Arc<dyn IdempotencyStore>,
    handler: impl CallbackHandler,
) -> Result<()> {
    let inbox = Inbox::start(store);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    print(&format!(
        r#"{{"event":"listening","url":"http://{address}{}"}}"#,
        Receiver::PATH
    ))?;
    let dispatcher = Dispatcher::new(inbox.clone(), handler)
        .with_lease(Duration::from_secs(1))
        .start();
    let receiver = Receiver::new(inbox, Verification::webhook_key(KEY));
    let mut terminate = signal(SignalKind::terminate())?;
    serve(listener, receiver, async {
        terminate.recv().await;
    })
    .await;
    dispatcher.stop().await;
    Ok(())
}

async fn printed(event: Event) -> Result<(), HandlerError> {
    Ok(print_handled(&event)?)
}

async fn printed_or_killed(event: Event) -> Result<(), HandlerError> {
    if fastrand::u32(0..HANDLED_PER_KILL) == 0 {
        std::process::abort();
    }
    printed(event).await
}

pub(super) fn print_handled(event: &Event) -> io::Result<()> {
    print(&format!(
        r#"{{"event":"handled","task_id":"{}"}}"#,
        event.task_id()
    ))
}

fn print(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

#[derive(Debug)]
struct LateStore {
    store: Arc<SqliteStore>,
}

#[async_trait]
impl Alteration for LateStore {
    fn store(&self) -> &dyn IdempotencyStore {
        &*self.store
    }

    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let (store, late) = (self.store.clone(), deliveries.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            let _ = store.accept(&late).await;
        });
        Ok(vec![Accepted::New; deliveries.len()])
    }
}
