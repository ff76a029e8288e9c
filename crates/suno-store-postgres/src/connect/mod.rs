//! Connections to the server: a pool with deadlines, and wake-ups between processes.

mod error;
mod pool;
mod session;
mod texts;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Pool, PoolError, Timeouts};
use suno_callback::StoreError;
use tokio_postgres::error::SqlState;

pub(crate) use error::Error;
pub(crate) use session::Session;

use crate::PostgresConfig;
use pool::Manager;
use texts::Texts;
use wake::Wakes;

/// For how long an operation waits for a free connection.
const POOL_WAIT: Duration = Duration::from_secs(2);
/// For how long opening a connection may take.
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// For how long checking an idle connection may take.
const CHECK_LIMIT: Duration = Duration::from_secs(1);
/// How often an operation is repeated after a deadlock or a serialisation failure.
const REPEATS_MAX: u32 = 5;

/// The connections of one store.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool<Manager>,
    texts: Arc<Texts>,
    named: bool,
    wakes: Wakes,
}

impl Connections {
    /// Opens the pool and one connection, so that wrong settings are found at once.
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, StoreError> {
        let pool = Pool::builder(Manager::new(config.server.clone()))
            .max_size(config.connections)
            .timeouts(Timeouts {
                wait: Some(POOL_WAIT),
                create: Some(OPEN_LIMIT),
                recycle: Some(CHECK_LIMIT),
            })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| Error::Unavailable("the pool cannot be built"))?;
        let connections = Self {
            inner: Arc::new(Inner {
                pool,
                texts: Arc::new(Texts::new(&config.schema)),
                named: config.named_statements,
                wakes: Wakes::default(),
            }),
        };
        connections.session().await?.set_clean();
        Ok(connections)
    }

    /// Runs an operation on a connection within `limit`.
    ///
    /// The operation is repeated after a deadlock or a serialisation failure, and once if its
    /// prepared statements are no longer valid. If the time is up or this future is dropped, the
    /// connection is closed, since the statement may still be running on it.
    pub(crate) async fn with<T, F, W>(&self, limit: Duration, mut work: F) -> Result<T, StoreError>
    where
        F: FnMut(Session) -> W,
        W: Future<Output = Result<T, Error>>,
    {
        let all = async {
            let mut repeats = 0;
            let mut cleared = false;
            loop {
                let session = self.session().await?;
                let result = work(session.clone()).await;
                let result = match result {
                    Ok(value) => session.check_commits().map(|()| value),
                    Err(err) => Err(err),
                };
                let err = match result {
                    Ok(value) => {
                        session.set_clean();
                        return Ok(value);
                    }
                    Err(err) => err,
                };
                if let Error::Postgres(cause) = &err
                    && let Some(code) = cause.code()
                {
                    let again = if is_stale_statement(cause, code) {
                        session.forget_statements();
                        !std::mem::replace(&mut cleared, true)
                    } else if is_conflict(code) && repeats < REPEATS_MAX {
                        repeats += 1;
                        true
                    } else {
                        false
                    };
                    if session.roll_back().await.is_ok() {
                        session.set_clean();
                    }
                    if again {
                        continue;
                    }
                }
                return Err(err);
            }
        };
        match tokio::time::timeout(limit, all).await {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(Error::Unavailable("the server did not answer in time").into()),
        }
    }

    /// Wakes workers that wait, in this process and in others.
    pub(crate) fn notify(&self) {
        self.inner.wakes.notify();
    }

    /// Returns when there may be something to claim, or after `at_most`.
    pub(crate) async fn wait(&self, at_most: Duration) {
        self.inner.wakes.wait(at_most).await;
    }

    async fn session(&self) -> Result<Session, Error> {
        let object = self.inner.pool.get().await.map_err(|err| match err {
            PoolError::Backend(err) => err,
            _ => Error::Unavailable("no connection became free in time"),
        })?;
        Ok(Session::new(
            object,
            Arc::clone(&self.inner.texts),
            self.inner.named,
        ))
    }
}

fn is_conflict(code: &SqlState) -> bool {
    *code == SqlState::T_R_DEADLOCK_DETECTED || *code == SqlState::T_R_SERIALIZATION_FAILURE
}

fn is_stale_statement(err: &tokio_postgres::Error, code: &SqlState) -> bool {
    let routine = err
        .as_db_error()
        .and_then(tokio_postgres::error::DbError::routine);
    *code == SqlState::INVALID_SQL_STATEMENT_NAME
        || *code == SqlState::DUPLICATE_PSTATEMENT
        || (*code == SqlState::FEATURE_NOT_SUPPORTED && routine == Some("RevalidateCachedQuery"))
}
