//! Connections to the server: a pool with deadlines, and wake-ups between processes.

mod connection;
mod dial;
mod error;
mod pool;
mod session;
mod sqlstate;
#[cfg(test)]
mod tests;
mod texts;
mod tls;
mod waking;

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Pool, PoolError, Timeouts};
use suno_callback::StoreError;
use tokio::time::timeout;

pub(crate) use error::Error;
pub(crate) use session::Session;

use crate::PostgresConfig;
use connection::Seen;
use dial::Dialer;
use pool::Manager;
use sqlstate::Action;
use texts::Texts;
use waking::Wakes;

/// How often an operation is repeated after deadlocks and serialisation failures.
const REPEATS_MAX: u32 = 5;
/// The longest pause before the first of these repetitions. It doubles with each.
const REPEAT_PAUSE: Duration = Duration::from_millis(4);

/// Times of the pool.
#[derive(Debug, Clone, Copy)]
struct Timings {
    /// For how long an operation waits for a free connection.
    pool_wait: Duration,
    /// For how long a connection may be idle before it is checked.
    idle_unchecked_max: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            pool_wait: Duration::from_secs(2),
            idle_unchecked_max: Duration::from_secs(5),
        }
    }
}

/// The connections of one store. Clones are the same connections.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: Pool<Manager>,
    texts: Arc<Texts>,
    uses_names: bool,
    wakes: Wakes,
}

/// Which repetitions an operation has had.
#[derive(Debug, Default)]
struct Repetitions {
    conflicts: u32,
    locks: u32,
    statements: u32,
    servers: u32,
}

impl PostgresConfig {
    /// Opens one connection, checks that the server can be written to, and closes it. Creates nothing.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the settings are wrong, or no host accepts the connection. Its source
    /// says which of them and why.
    pub async fn check_connection(&self) -> Result<(), StoreError> {
        Connections::check(self).await
    }
}

impl Connections {
    /// Opens the pool and one connection, so that wrong settings are found at once.
    pub(crate) async fn open(config: &PostgresConfig) -> Result<Self, StoreError> {
        Self::open_with(config, Timings::default()).await
    }

    async fn open_with(config: &PostgresConfig, timings: Timings) -> Result<Self, StoreError> {
        config.check()?;
        let dialer = Arc::new(Dialer::new(config));
        let pool = Pool::builder(Manager::new(
            Arc::clone(&dialer),
            timings.idle_unchecked_max,
        ))
        .max_size(config.connections)
        .timeouts(Timeouts {
            wait: Some(timings.pool_wait),
            create: Some(dialer.limit()),
            // The manager bounds it.
            recycle: None,
        })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|_| Error::Unavailable("the pool of connections cannot be built"))?;
        let connections = Self {
            inner: Arc::new(Inner {
                pool,
                texts: Arc::new(Texts::new(&config.schema)),
                uses_names: config.named_statements,
                wakes: Wakes::start(config.wake, &config.schema, &dialer),
            }),
        };
        connections.session().await?.set_clean();
        Ok(connections)
    }

    /// Runs an operation on a connection within `limit`, which must be below the answer budget.
    ///
    /// The operation is repeated if it certainly had no effect: after a deadlock or a serialisation
    /// failure, and once each after a lock that was not granted, after prepared statements became invalid,
    /// and after the server became read-only. If the time is up or this future is dropped, the connection is
    /// closed, since a statement may still be running on it; its effect is unknown.
    pub(crate) async fn with<T, F, W>(&self, limit: Duration, work: F) -> Result<T, StoreError>
    where
        F: FnMut(Session) -> W,
        W: Future<Output = Result<T, Error>>,
    {
        let mut lent = None;
        match timeout(limit, self.repeated(work, &mut lent)).await {
            Ok(result) => Ok(result?),
            Err(_) => {
                if let Some(seen) = lent {
                    self.inner.pool.manager().suspect_all(seen);
                }
                Err(Error::Unavailable("the server did not answer in time").into())
            }
        }
    }

    async fn repeated<T, F, W>(&self, mut work: F, lent: &mut Option<Seen>) -> Result<T, Error>
    where
        F: FnMut(Session) -> W,
        W: Future<Output = Result<T, Error>>,
    {
        let mut repetitions = Repetitions::default();
        loop {
            let session = self.session().await?;
            *lent = Some(session.seen());
            let result = work(session.clone()).await;
            let err = match result.and_then(|value| session.check_commits().map(|()| value)) {
                Ok(value) => {
                    session.set_clean();
                    return Ok(value);
                }
                Err(err) => err,
            };
            self.react(&err, session.seen());
            if err.leaves_connection() && session.roll_back().await.is_ok() {
                session.set_clean();
            }
            drop(session);
            let Some(pause) = repetitions.next(err.action()) else {
                return Err(err);
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Does what an error says about the other connections.
    fn react(&self, err: &Error, seen: Seen) {
        let manager = self.inner.pool.manager();
        match err.action() {
            Action::Forget => manager.forget_statements(seen),
            Action::Replace | Action::Reconnect => {
                manager.replace_all(seen);
                self.inner
                    .pool
                    .retain(|connection, _| !manager.is_outdated(connection));
            }
            Action::Repeat | Action::RepeatOnce | Action::Fail => {}
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

    /// Opens a connection outside of the pool, and closes it.
    pub(crate) async fn check(config: &PostgresConfig) -> Result<(), StoreError> {
        config.check()?;
        drop(Dialer::new(config).open("").await?);
        Ok(())
    }

    async fn session(&self) -> Result<Session, Error> {
        let object = self.inner.pool.get().await.map_err(|err| match err {
            PoolError::Backend(err) => err,
            PoolError::Timeout(deadpool::managed::TimeoutType::Wait) => Error::Unavailable(
                "no connection became free in time: the server is slow, or with_connections is too low",
            ),
            _ => Error::Unavailable("no connection could be opened in time"),
        })?;
        Ok(Session::new(
            object,
            Arc::clone(&self.inner.texts),
            self.inner.uses_names,
        ))
    }
}

impl Repetitions {
    /// Counts a repetition, and returns the pause before it, or nothing if there is none.
    fn next(&mut self, action: Action) -> Option<Duration> {
        let (counter, max) = match action {
            Action::Repeat => (&mut self.conflicts, REPEATS_MAX),
            Action::RepeatOnce => (&mut self.locks, 1),
            Action::Forget => (&mut self.statements, 1),
            Action::Replace => (&mut self.servers, 1),
            Action::Reconnect | Action::Fail => return None,
        };
        if *counter == max {
            return None;
        }
        *counter += 1;
        let longest = REPEAT_PAUSE * 2_u32.pow(self.conflicts);
        Some(longest.mul_f64(fastrand::f64()))
    }
}
