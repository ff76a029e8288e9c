//! One connection: its client, the task that reads from it, and what it remembers.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, Statement};

/// The server's function that waits for a synchronous standby. Its warnings mean that a commit is not
/// where it should be although it is reported as a success; their texts are translated.
const STANDBY_WAIT: &str = "SyncRepWaitForLSN";

/// The limits of a session. They end what this process has forgotten, after it has given up itself: the
/// store's own clock decides, and is the only one that bounds a commit.
const LIMITS: &str = "
    SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
           pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
           pg_catalog.set_config('statement_timeout', '8s', false),
           pg_catalog.set_config('lock_timeout', '5s', false),
           pg_catalog.set_config('idle_in_transaction_session_timeout', '10s', false)";

/// Limits that not every server has: each may fail. They make the server notice that this process or its
/// host is gone, and release its locks.
const OPTIONAL_LIMITS: &[&str] = &[
    "SET client_connection_check_interval = '1s'",
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3",
    "SET tcp_user_timeout = '8s'",
];

const STATE: &str = "
    SELECT pg_catalog.pg_is_in_recovery(),
           pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on',
           pg_catalog.current_setting('synchronous_commit'),
           pg_catalog.current_setting('fsync')";

/// One connection with its task, which reads all that the server sends. Dropping it closes it at once,
/// whatever is still running on it; the server is not asked to cancel anything.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    statements: Mutex<HashMap<TextAddress, Statement>>,
    unconfirmed_commits: Arc<AtomicU64>,
    notifications: Option<mpsc::Receiver<String>>,
    task: JoinHandle<()>,
    /// What the pool had seen when it last found this connection good.
    pub(super) seen: Seen,
}

/// The counters of a pool, as one connection has last seen them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) servers: u64,
    pub(super) suspicions: u64,
    pub(super) schemas: u64,
}

/// The place of a text of this program, which stands for the text.
pub(super) type TextAddress = (usize, usize);

/// How many notifications are kept for a listener. More mean no more than these.
const NOTIFICATIONS_MAX: usize = 16;

impl Connection {
    /// Starts the task of a new connection.
    pub(super) fn start<S, T>(
        client: Client,
        mut connection: tokio_postgres::Connection<S, T>,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let unconfirmed_commits = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&unconfirmed_commits);
        let (sender, notifications) = mpsc::channel(NOTIFICATIONS_MAX);
        let task = tokio::spawn(async move {
            loop {
                match poll_fn(|cx| connection.poll_message(cx)).await {
                    // A warning about a commit is read before the answer to it, so that the
                    // counter is right when the caller looks.
                    Some(Ok(AsyncMessage::Notice(notice))) => note(&notice, &counter),
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        // Always read on, also if nobody listens: a session that is not
                        // drained stops vacuum in the whole database.
                        let _ = sender.try_send(notification.payload().to_owned());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(err)) => {
                        let reason = super::error::described(&err);
                        tracing::debug!(reason, "a connection to the database has ended");
                        return;
                    }
                    None => return,
                }
            }
        });
        Self {
            client,
            statements: Mutex::default(),
            unconfirmed_commits,
            notifications: Some(notifications),
            task,
            seen: Seen::default(),
        }
    }

    /// Asks the server about itself, and sets limits for the session if nothing shares it.
    pub(super) async fn greet(&self, sets_limits: bool) -> Result<Greeting, tokio_postgres::Error> {
        let state = self.client.query_typed(STATE, &[]);
        let rows = if sets_limits {
            let optional = OPTIONAL_LIMITS
                .iter()
                .map(|sql| self.client.batch_execute(sql));
            let optional = futures_util::future::join_all(optional);
            let limits = self.client.query_typed(LIMITS, &[]);
            let (rows, limits, _) = tokio::join!(biased; state, limits, optional);
            limits?;
            rows?
        } else {
            state.await?
        };
        let mut greeting = Greeting::default();
        if let Some(row) = rows.first() {
            greeting.is_replica = row.try_get(0)?;
            greeting.is_read_only = row.try_get(1)?;
            greeting.synchronous_commit = row.try_get(2)?;
            greeting.fsync = row.try_get(3)?;
        }
        Ok(greeting)
    }

    /// Returns the payloads of the notifications; only once.
    pub(super) fn take_notifications(&mut self) -> Option<mpsc::Receiver<String>> {
        self.notifications.take()
    }

    /// How many commits did not wait for the synchronous standby although they had to.
    pub(super) fn unconfirmed_commits(&self) -> u64 {
        self.unconfirmed_commits.load(Ordering::Acquire)
    }

    pub(super) fn statement(&self, text: TextAddress) -> Option<Statement> {
        self.locked_statements().get(&text).cloned()
    }

    pub(super) fn keep_statement(&self, text: TextAddress, statement: Statement) {
        self.locked_statements().insert(text, statement);
    }

    pub(super) fn forget_statements(&self) {
        self.locked_statements().clear();
    }

    fn locked_statements(&self) -> std::sync::MutexGuard<'_, HashMap<TextAddress, Statement>> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Notes a notice of the server. Its text is not logged: it may quote a row.
fn note(notice: &DbError, unconfirmed_commits: &AtomicU64) {
    if notice.routine() == Some(STANDBY_WAIT) {
        unconfirmed_commits.fetch_add(1, Ordering::AcqRel);
    }
    tracing::trace!(code = notice.code().code(), "the database sent a notice");
}

/// What the server says about itself.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    pub(super) is_replica: bool,
    pub(super) is_read_only: bool,
    synchronous_commit: String,
    fsync: String,
}

impl Greeting {
    /// Returns why a commit would not survive a crash of the server.
    pub(super) fn danger(&self) -> Option<&'static str> {
        if self.fsync == "off" {
            Some("fsync is off in the database server")
        } else if self.synchronous_commit == "off" {
            Some("synchronous_commit is off in the database")
        } else {
            None
        }
    }
}
