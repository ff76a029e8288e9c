//! A session: one connection in the hands of one operation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use deadpool::managed::Object;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::error::Error;
use super::pool::{Connection, Manager};
use super::texts::Texts;

/// A connection that one operation uses. Clones are the same connection.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    lent: Arc<Lent>,
}

/// The loan of a connection. It goes back to the pool only if the operation has come to its end;
/// otherwise a statement may still be running on it.
#[derive(Debug)]
struct Lent {
    object: Option<Object<Manager>>,
    is_clean: AtomicBool,
    in_transaction: AtomicBool,
    unconfirmed_before: u64,
    texts: Arc<Texts>,
    named: bool,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && !*self.is_clean.get_mut()
        {
            drop(Object::take(object));
        }
    }
}

impl Session {
    pub(super) fn new(object: Object<Manager>, texts: Arc<Texts>, named: bool) -> Self {
        let unconfirmed_before = object.unconfirmed_commits.load(Ordering::Acquire);
        Self {
            lent: Arc::new(Lent {
                object: Some(object),
                is_clean: AtomicBool::new(false),
                in_transaction: AtomicBool::new(false),
                unconfirmed_before,
                texts,
                named,
            }),
        }
    }

    fn connection(&self) -> Result<&Connection, Error> {
        self.lent
            .object
            .as_deref()
            .ok_or(Error::Unavailable("the connection was given back"))
    }

    /// Runs a statement in one round trip and returns its rows.
    ///
    /// The first time on a connection the statement has no name; it is prepared after its answer, so
    /// that statements which are polled together are always sent in their order.
    pub(crate) async fn query(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let connection = self.connection()?;
        let text = self.lent.texts.text(sql);
        if !self.lent.named {
            return Ok(connection.client.query_typed(&text, parameters).await?);
        }
        let key = (sql.as_ptr() as usize, sql.len());
        let known = connection
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .cloned();
        if let Some(statement) = known {
            let values: Vec<&(dyn ToSql + Sync)> =
                parameters.iter().map(|(value, _)| *value).collect();
            return Ok(connection.client.query(&statement, &values).await?);
        }
        let rows = connection.client.query_typed(&text, parameters).await?;
        let types: Vec<Type> = parameters.iter().map(|(_, of)| of.clone()).collect();
        // In a failed transaction this fails too; the next use tries again.
        if let Ok(statement) = connection.client.prepare_typed(&text, &types).await {
            connection
                .statements
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(key, statement);
        }
        Ok(rows)
    }

    /// Runs statements without parameters, such as BEGIN and COMMIT, by the simple protocol.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.lent.in_transaction.store(true, Ordering::Release);
        let text = self.lent.texts.replace(sql);
        Ok(self.connection()?.client.batch_execute(&text).await?)
    }

    /// Forgets the prepared statements of this connection.
    pub(super) fn forget_statements(&self) {
        if let Ok(connection) = self.connection() {
            connection.forget_statements();
        }
    }

    /// Fails if a commit of this session did not wait for the synchronous standby.
    pub(super) fn check_commits(&self) -> Result<(), Error> {
        let now = self
            .connection()?
            .unconfirmed_commits
            .load(Ordering::Acquire);
        if now == self.lent.unconfirmed_before {
            return Ok(());
        }
        Err(Error::Unavailable(
            "the wait for the synchronous standby was cancelled, so the commit is on one server only",
        ))
    }

    /// Ends a transaction that may be open after an error of the server.
    pub(super) async fn roll_back(&self) -> Result<(), Error> {
        if self.lent.in_transaction.load(Ordering::Acquire) {
            self.connection()?.client.batch_execute("ROLLBACK").await?;
        }
        Ok(())
    }

    /// Lets the connection be used again.
    pub(super) fn set_clean(&self) {
        self.lent.is_clean.store(true, Ordering::Release);
    }
}
