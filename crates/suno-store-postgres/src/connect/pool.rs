//! The pool: when a connection is used again, and when all of them are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::time::timeout;

use super::connection::{Connection, Seen};
use super::dial::Dialer;
use super::error::Error;

/// For how long a check may take.
const CHECK_LIMIT: Duration = Duration::from_secs(1);

/// Opens and checks connections for the pool.
#[derive(Debug)]
pub(super) struct Manager {
    dialer: Arc<Dialer>,
    /// For how long a connection may be idle before it is checked: half-open ones look like good
    /// ones.
    idle_unchecked_max: Duration,
    /// Grows when the server was replaced or restarted: older connections are closed.
    servers: AtomicU64,
    /// Grows when a connection did not answer: the others are checked before they are used.
    suspicions: AtomicU64,
    /// Grows when prepared statements became invalid: they are forgotten.
    schemas: AtomicU64,
}

impl Manager {
    pub(super) fn new(dialer: Arc<Dialer>, idle_unchecked_max: Duration) -> Self {
        Self {
            dialer,
            idle_unchecked_max,
            servers: AtomicU64::new(0),
            suspicions: AtomicU64::new(0),
            schemas: AtomicU64::new(0),
        }
    }

    fn now(&self) -> Seen {
        Seen {
            servers: self.servers.load(Ordering::Acquire),
            suspicions: self.suspicions.load(Ordering::Acquire),
            schemas: self.schemas.load(Ordering::Acquire),
        }
    }

    /// Closes every connection that is not newer than `seen`, when it is next to be used.
    pub(super) fn replace_all(&self, seen: Seen) {
        grow(&self.servers, seen.servers);
    }

    /// Checks every connection before it is used again.
    pub(super) fn suspect_all(&self, seen: Seen) {
        grow(&self.suspicions, seen.suspicions);
    }

    /// Forgets the prepared statements of every connection.
    pub(super) fn forget_statements(&self, seen: Seen) {
        grow(&self.schemas, seen.schemas);
    }

    /// Whether a connection would be closed instead of used.
    pub(super) fn is_outdated(&self, connection: &Connection) -> bool {
        connection.seen.servers != self.now().servers
    }
}

/// Adds one unless somebody has done so since `seen`: one event is often reported by many connections.
fn grow(counter: &AtomicU64, seen: u64) {
    let _ = counter.compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire);
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = Error;

    async fn create(&self) -> Result<Connection, Error> {
        let seen = self.now();
        let mut connection = self.dialer.open("").await?;
        connection.seen = seen;
        Ok(connection)
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        metrics: &Metrics,
    ) -> RecycleResult<Error> {
        let now = self.now();
        if connection.client.is_closed() || self.is_outdated(connection) {
            return Err(RecycleError::message("the connection has ended"));
        }
        let is_suspect = connection.seen.suspicions != now.suspicions;
        if is_suspect || metrics.last_used() > self.idle_unchecked_max {
            let answer = timeout(CHECK_LIMIT, connection.client.check_connection()).await;
            if !matches!(answer, Ok(Ok(()))) {
                // The rest of the pool is probably cut off, too. Checking all of it would take
                // longer than an operation has.
                self.replace_all(connection.seen);
                return Err(RecycleError::message("the connection does not answer"));
            }
        }
        if connection.seen.schemas != now.schemas {
            connection.forget_statements();
        }
        connection.seen = now;
        Ok(())
    }
}
