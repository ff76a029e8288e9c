//! The pool: what one connection keeps, how it is opened, and when it is used again.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement};

use super::error::Error;

/// For how long a connection may be idle before it is checked.
const IDLE_UNCHECKED_MAX: Duration = Duration::from_secs(5);

/// One connection with its task, which reads all that the server sends.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    /// The prepared statements by the address of their text.
    pub(super) statements: Mutex<HashMap<(usize, usize), Statement>>,
    /// How many commits did not wait for the synchronous standby although they had to.
    pub(super) unconfirmed_commits: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    async fn open(config: &tokio_postgres::Config) -> Result<Self, Error> {
        let (client, mut connection) = config.connect(NoTls).await?;
        let unconfirmed_commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&unconfirmed_commits);
        let task = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message
                    && notice.routine() == Some("SyncRepWaitForLSN")
                {
                    counter.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        Ok(Self {
            client,
            statements: Mutex::default(),
            unconfirmed_commits,
            task,
        })
    }

    pub(super) fn forget_statements(&self) {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Opens and checks connections for the pool.
#[derive(Debug)]
pub(super) struct Manager {
    config: tokio_postgres::Config,
}

impl Manager {
    pub(super) fn new(config: tokio_postgres::Config) -> Self {
        Self { config }
    }
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        Connection::open(&self.config).await
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        metrics: &Metrics,
    ) -> RecycleResult<Error> {
        if connection.client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        if metrics.last_used() > IDLE_UNCHECKED_MAX {
            connection
                .client
                .check_connection()
                .await
                .map_err(|err| RecycleError::Backend(err.into()))?;
        }
        Ok(())
    }
}
