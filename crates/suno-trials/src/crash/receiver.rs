//! Receivers of this program: with a defect on purpose, with a handler that exits the process, or
//! with a handler that writes to the file of the store or watches for other handlers.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use suno_callback::{
    Acceptance, CallbackHandler, ClaimRequest, Claims, Clock, Delivery, Event, HandlerError,
    IdempotencyStore, Pipeline, StoreError, SystemClock, Verification, async_trait, handler_fn,
};
use suno_testkit::callback::KEY;
use suno_testkit::wrapper::{Faults, Wrapped, Wrapper};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::options::Variant;
use super::songs::{Settling, Songs};
use crate::printing::{print_at_once, print_handled_since, print_listening};
use crate::stored::StorePlace;

/// The delay of the commit after the response.
const LATE: Duration = Duration::from_millis(20);

/// The way in which the handler settles an event for which it has written a row; `None` if it
/// writes none.
fn settling(variant: Variant) -> Option<Settling> {
    match variant {
        Variant::InTransaction => Some(Settling::WithTheRow),
        Variant::TwoTransactions => Some(Settling::AfterTheRow),
        Variant::AnswersEarly | Variant::HandlerKills | Variant::Watched | Variant::ShortLeases => {
            None
        }
    }
}

/// The handler exits the process for one event in this many.
const HANDLED_PER_KILL: u32 = 100;

/// The longest time that a watched handler takes.
const WATCHED_MAX: Duration = Duration::from_millis(20);

/// The longest time that one takes whose lease has ended: long enough for another receiver to begin.
const LAPSED_MAX: Duration = Duration::from_millis(150);

/// Receives until it is killed, and prints the handled events.
///
/// # Errors
///
/// Returns an error if it cannot listen or open the store.
pub(crate) async fn receive(variant: Variant, place: &StorePlace, running: &Path) -> Result<()> {
    let store = place.open().await?;
    match (variant, settling(variant)) {
        (_, Some(settling)) => {
            let file = place.as_file().context("the songs need a file")?;
            serve_until_stopped(store, Songs::open(file, settling)?).await
        }
        (Variant::AnswersEarly, _) => {
            let faults = Faults::default();
            let late = Arc::new(Wrapped(LateStore { store, faults }));
            serve_until_stopped(late, handler_fn(printed)).await
        }
        (Variant::Watched, _) => serve_until_stopped(store, watched_in(running, WATCHED_MAX)).await,
        (Variant::ShortLeases, _) => {
            let faults = Faults::default();
            let short = Arc::new(Wrapped(ShortLeases { store, faults }));
            serve_until_stopped(short, watched_in(running, LAPSED_MAX)).await
        }
        (_, None) => serve_until_stopped(store, handler_fn(printed_or_killed)).await,
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
    Ok(print_handled_since(&event, SystemClock.now())?)
}

fn watched_in(running: &Path, longest: Duration) -> impl CallbackHandler {
    let running = running.to_owned();
    handler_fn(move |event| watched(running.clone(), longest, event))
}

/// Holds the lock of a file with the name of the task, which ends with the process.
async fn watched(running: PathBuf, longest: Duration, event: Event) -> Result<(), HandlerError> {
    let began = SystemClock.now();
    let path = running.join(event.task_id().as_str());
    let file = File::create(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => print_at_once(&event)?,
        Err(TryLockError::Error(err)) => return Err(err.into()),
    }
    tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
    print_handled_since(&event, began)?;
    // While it is locked: a handler that opens the file later does not run at the same time.
    std::fs::remove_file(&path)?;
    Ok(())
}

async fn printed_or_killed(event: Event) -> Result<(), HandlerError> {
    if fastrand::u32(0..HANDLED_PER_KILL) == 0 {
        std::process::abort();
    }
    printed(event).await
}

#[derive(Debug)]
struct LateStore {
    store: Arc<dyn IdempotencyStore>,
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

/// Leases end at once, whatever the dispatcher asked for.
#[derive(Debug)]
struct ShortLeases {
    store: Arc<dyn IdempotencyStore>,
    faults: Faults,
}

#[async_trait]
impl Wrapper for ShortLeases {
    fn inner(&self) -> &dyn IdempotencyStore {
        &*self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims, StoreError> {
        let mut request = request.clone();
        let lease = std::mem::replace(&mut request.lease, Duration::from_millis(1));
        let mut claims = self.store.claim(&request).await?;
        claims
            .claims
            .iter_mut()
            .for_each(|claim| claim.holds_for = lease);
        Ok(claims)
    }
}
