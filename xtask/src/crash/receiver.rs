//! Receivers of our own: one that breaks the first promise on purpose, and one whose handler ends the
//! process.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use suno_callback::serve::serve;
use suno_callback::{
    Accepted, Claim, ClaimRequest, Delivery, Dispatcher, Event, Held, IdempotencyStore, Inbox,
    Receiver, Settlement, StoreError, Ticket, Verification, handler_fn,
};
use suno_store_sqlite::SqliteStore;
use tokio::net::TcpListener;

use super::subject::KEY;

/// How long the commit comes after the answer.
const LATE: Duration = Duration::from_millis(20);

/// What is wrong with a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Fault {
    /// It answers 200 before the commit, which must be caught.
    AnswersEarly,
    /// Its handler ends the process now and then, of which nothing may be lost.
    HandlerKills,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswersEarly => "answers-early",
            Self::HandlerKills => "handler-kills",
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
pub async fn receive(fault: Fault, file: &Path) -> Result<()> {
    let store = Arc::new(SqliteStore::open(file)?);
    let store: Arc<dyn IdempotencyStore> = match fault {
        Fault::AnswersEarly => Arc::new(LateStore { store }),
        Fault::HandlerKills => store,
    };
    let inbox = Inbox::start(store);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    print(&format!(
        r#"{{"event":"listening","url":"http://{address}{}"}}"#,
        Receiver::PATH
    ))?;
    let handler = handler_fn(move |event: Event| {
        if fault == Fault::HandlerKills && fastrand::u32(0..HANDLED_PER_KILL) == 0 {
            std::process::abort();
        }
        let line = format!(r#"{{"event":"handled","task_id":"{}"}}"#, event.task_id());
        async move { Ok(print(&line)?) }
    });
    let dispatcher = Dispatcher::new(inbox.clone(), handler)
        .with_lease(Duration::from_secs(1))
        .start();
    let receiver = Receiver::new(inbox, Verification::webhook_key(KEY));
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    serve(listener, receiver, async {
        terminate.recv().await;
    })
    .await;
    dispatcher.stop().await;
    Ok(())
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
impl IdempotencyStore for LateStore {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let (store, late) = (self.store.clone(), deliveries.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            let _ = store.accept(&late).await;
        });
        Ok(vec![Accepted::New; deliveries.len()])
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        self.store.claim(request).await
    }

    async fn extend(
        &self,
        tickets: &[Ticket],
        until: jiff::Timestamp,
    ) -> Result<Vec<Held>, StoreError> {
        self.store.extend(tickets, until).await
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        self.store.settle(settled).await
    }
}
