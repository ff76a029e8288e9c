//! Receivers of this program: with a defect on purpose, with a handler that exits the process, or
//! with a handler that writes to the file of the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use suno_callback::{
    Acceptance, CallbackHandler, Delivery, Event, HandlerError, IdempotencyStore, Pipeline,
    StoreError, Verification, async_trait, handler_fn,
};
use suno_store_sqlite::SqliteStore;
use suno_testkit::callback::KEY;
use suno_testkit::wrapper::{Faults, Wrapped, Wrapper};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::options::Variant;
use super::songs::{Settling, Songs};
use crate::printing::{print_handled, print_listening};

/// The delay of the commit after the response.
const LATE: Duration = Duration::from_millis(20);

/// The way in which the handler settles an event for which it has written a row; `None` if it
/// writes none.
fn settling(variant: Variant) -> Option<Settling> {
    match variant {
        Variant::InTransaction => Some(Settling::WithTheRow),
        Variant::TwoTransactions => Some(Settling::AfterTheRow),
        Variant::AnswersEarly | Variant::HandlerKills => None,
    }
}

/// The handler exits the process for one event in this many.
const HANDLED_PER_KILL: u32 = 100;

/// Receives until it is killed, and prints the handled events.
///
/// # Errors
///
/// Returns an error if it cannot listen or open the store.
pub(crate) async fn receive(variant: Variant, file: &Path) -> Result<()> {
    let store = Arc::new(SqliteStore::open(file)?);
    match settling(variant) {
        Some(settling) => serve_until_stopped(store, Songs::open(file, settling)?).await,
        None if variant == Variant::AnswersEarly => {
            let faults = Faults::default();
            let late = Arc::new(Wrapped(LateStore { store, faults }));
            serve_until_stopped(late, handler_fn(printed)).await
        }
        None => serve_until_stopped(store, handler_fn(printed_or_killed)).await,
    }
}

async fn serve_until_stopped(
    store: Arc<dyn IdempotencyStore>,
    handler: impl CallbackHandler,
) -> Result<()> {
    let pipeline = Pipeline::builder(store, handler, Verification::webhook_key(KEY))
        .dispatcher(|dispatcher| dispatcher.with_lease(Duration::from_secs(1)))
        .start()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    print_listening(address)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async {
        terminate.recv().await;
    };
    pipeline.serve(listener, stop).await;
    pipeline.stop().await;
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

#[derive(Debug)]
struct LateStore {
    store: Arc<SqliteStore>,
    faults: Faults,
}

#[async_trait]
impl Wrapper for LateStore {
    fn inner(&self) -> &dyn IdempotencyStore {
        &*self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>, StoreError> {
        let (store, late) = (self.store.clone(), deliveries.to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            let _ = store.accept(&late).await;
        });
        Ok(vec![Acceptance::New; deliveries.len()])
    }
}
