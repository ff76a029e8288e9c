//! A table of songs in the file of the store, with the handler that writes a row for each event.
//!
//! No column is unique, so that an effect that is applied twice leaves two rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use suno_callback::{CallbackHandler, Event, HandlerError, SettleResult, Ticket, async_trait};
use suno_store_sqlite::rusqlite::{self, Connection};
use suno_store_sqlite::{begin, settle_in};

use crate::printing::print_handled;

/// The time limit for waiting for the store, which writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between the row and the settlement if they use separate transactions: long enough for
/// kills to occur in between.
const GAP: Duration = Duration::from_millis(2);

/// The transaction in which the handler settles an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settling {
    /// The transaction that writes the row.
    WithTheRow,
    /// A second transaction.
    AfterTheRow,
}

/// The handler.
pub(super) struct Songs {
    connection: Arc<Mutex<Connection>>,
    settling: Settling,
}

impl Songs {
    /// Opens the file of a store, which must exist, and adds the table.
    pub(super) fn open(file: &Path, settling: Settling) -> Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS songs (task_id TEXT NOT NULL);",
        )?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            settling,
        })
    }

    async fn keep(&self, event: &Event) -> Result<(), HandlerError> {
        let (connection, settling) = (self.connection.clone(), self.settling);
        let (task_id, ticket) = (event.task_id().to_string(), event.ticket());
        let keeping = tokio::task::spawn_blocking(move || {
            // A transaction that is dropped without a commit is rolled back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            keep(&mut connection, settling, &task_id, &ticket)
        });
        keeping.await??;
        event.set_settled();
        Ok(print_handled(event)?)
    }
}

/// Writes a row and settles the event.
fn keep(
    connection: &mut Connection,
    settling: Settling,
    task_id: &str,
    ticket: &Ticket,
) -> Result<(), HandlerError> {
    let mut transaction = begin(connection)?;
    transaction.execute("INSERT INTO songs (task_id) VALUES (?1)", [task_id])?;
    if settling == Settling::AfterTheRow {
        transaction.commit()?;
        std::thread::sleep(GAP);
        transaction = begin(connection)?;
    }
    match settle_in(&transaction, ticket)? {
        SettleResult::Settled => Ok(transaction.commit()?),
        // Another handler has the event: the row must be rolled back.
        settled => Err(HandlerError::retry(format!("not settled: {settled:?}"))),
    }
}

/// Returns the number of rows of each task.
pub(super) fn rows(file: &Path) -> Result<BTreeMap<String, u32>> {
    let connection = Connection::open(file)?;
    let mut statement =
        connection.prepare("SELECT task_id, count(*) FROM songs GROUP BY task_id")?;
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[async_trait]
impl CallbackHandler for Songs {
    async fn on_complete(&self, event: &Event) -> Result<(), HandlerError> {
        self.keep(event).await
    }

    async fn on_failed(&self, event: &Event) -> Result<(), HandlerError> {
        self.keep(event).await
    }
}
