//! What the operations of one store share, and how their transactions are run.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{StoreError, StoreErrorKind};

use crate::begin::LIMIT;
use crate::clock::{self, StoreClock};
use crate::connect::{Connections, Error, Session};
use crate::first_ready::FirstReady;
use crate::idle::Idle;
use crate::requests::LastRequests;
use crate::transaction::Tried;

/// How often an operation is tried again because the server's clock was set during it.
const CLOCK_TRIES_MAX: u32 = 3;
/// How often a settlement is tried while another transaction holds its event, and the pause in between.
const BUSY_TRIES_MAX: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What the operations of one store share.
pub(crate) struct Inner {
    pub(crate) connections: Connections,
    pub(crate) clock: StoreClock,
    pub(crate) requests: LastRequests,
    pub(crate) first_ready: FirstReady,
    pub(crate) idle: Idle,
    pub(crate) schema: String,
}

impl Inner {
    /// Runs a transaction, again if the server's clock was set during it.
    pub(crate) async fn run<T, F, W>(self: &Arc<Self>, mut work: F) -> Result<T, StoreError>
    where
        F: FnMut(Session, bool) -> W,
        W: Future<Output = Result<Tried<T>, Error>>,
    {
        let (mut clock_tries, mut busy_tries) = (0, 0);
        loop {
            let is_last_try = busy_tries >= BUSY_TRIES_MAX;
            let tried = self
                .connections
                .with(LIMIT, |session| work(session, is_last_try))
                .await?;
            match tried {
                Tried::Done(value) => {
                    self.note_time();
                    return Ok(value);
                }
                Tried::ClockMoved if clock_tries < CLOCK_TRIES_MAX => {
                    clock_tries += 1;
                    self.clock.correct(&self.connections).await?;
                }
                Tried::ClockMoved => {
                    let reason = "the clock of the database server does not stand still";
                    let err = StoreError::new(StoreErrorKind::Unavailable);
                    return Err(err.with_source(reason));
                }
                Tried::Busy => {
                    busy_tries += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
            }
        }
    }

    /// Writes the time to the database about once a second, without delaying the operation.
    fn note_time(self: &Arc<Self>) {
        if let Some(time) = self.clock.to_note() {
            let inner = Arc::clone(self);
            tokio::spawn(async move { clock::note(&inner.connections, time).await });
        }
    }

    /// Runs a transaction that may make events claimable.
    pub(crate) async fn run_and_wake<T, F, W>(self: &Arc<Self>, work: F) -> Result<T, StoreError>
    where
        F: FnMut(Session, bool) -> W,
        W: Future<Output = Result<Tried<T>, Error>>,
    {
        let done = self.run(work).await;
        self.idle.end();
        self.connections.notify();
        done
    }
}
