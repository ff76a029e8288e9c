//! A session: one connection in the hands of one operation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool::managed::Object;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::connection::{Connection, Seen};
use super::error::Error;
use super::pool::Manager;
use super::texts::Texts;

/// A connection that one operation uses. Clones are the same connection.
///
/// Statements are sent in the order in which they are first polled, without waiting for each other: poll
/// them together with `try_join!(biased; …)` to have them in one round trip.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    loan: Arc<Loan>,
}

/// The loan of a connection. It goes back to the pool only if the operation has come to its end;
/// otherwise a statement may still be running on it, and it is closed.
#[derive(Debug)]
struct Loan {
    /// Present until the loan ends.
    object: Option<Object<Manager>>,
    is_clean: AtomicBool,
    may_be_in_transaction: AtomicBool,
    has_failed: AtomicBool,
    unconfirmed_before: u64,
    texts: Arc<Texts>,
    uses_names: bool,
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(object) = self.object.take()
            && !*self.is_clean.get_mut()
        {
            drop(Object::take(object));
        }
    }
}

impl Session {
    pub(super) fn new(object: Object<Manager>, texts: Arc<Texts>, uses_names: bool) -> Self {
        let unconfirmed_before = object.unconfirmed_commits();
        Self {
            loan: Arc::new(Loan {
                object: Some(object),
                is_clean: AtomicBool::new(false),
                may_be_in_transaction: AtomicBool::new(false),
                has_failed: AtomicBool::new(false),
                unconfirmed_before,
                texts,
                uses_names,
            }),
        }
    }

    fn connection(&self) -> Result<&Connection, Error> {
        self.loan
            .object
            .as_deref()
            .ok_or(Error::Unavailable("the connection was given back"))
    }

    /// Runs a statement in one round trip and returns its rows. The parameters must have built-in types:
    /// others would need a prepared statement to look them up.
    ///
    /// The first time on a connection the statement has no name. It is prepared after its answer, not
    /// before: the statements that are polled with it would overtake it.
    pub(crate) async fn query(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let result = self.run(sql, parameters).await;
        if result.is_err() {
            self.loan.has_failed.store(true, Ordering::Release);
        }
        result
    }

    async fn run(
        &self,
        sql: &'static str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let connection = self.connection()?;
        let address = (sql.as_ptr() as usize, sql.len());
        let text = self.loan.texts.text(sql);
        if !self.loan.uses_names {
            return Ok(connection.client.query_typed(&text, parameters).await?);
        }
        if let Some(statement) = connection.statement(address) {
            let values: Vec<&(dyn ToSql + Sync)> =
                parameters.iter().map(|(value, _)| *value).collect();
            return Ok(connection.client.query(&statement, &values).await?);
        }
        let rows = connection.client.query_typed(&text, parameters).await?;
        let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
        // In a failed transaction this fails too; the next use tries again.
        if let Ok(statement) = connection.client.prepare_typed(&text, &types).await {
            connection.keep_statement(address, statement);
        }
        Ok(rows)
    }

    /// Runs statements without parameters, such as BEGIN and COMMIT, by the simple protocol.
    ///
    /// After a statement of this session has failed, only ROLLBACK is sent: a statement whose parameters
    /// could not be sent does not fail the transaction on the server, and COMMIT would commit the rest.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Error> {
        let rolls_back = sql.starts_with("ROLLBACK");
        if self.loan.has_failed.load(Ordering::Acquire) && !rolls_back {
            return Err(Error::Unavailable(
                "an earlier statement of the transaction failed",
            ));
        }
        self.loan
            .may_be_in_transaction
            .store(true, Ordering::Release);
        let text = self.loan.texts.replace(sql);
        let result = self.connection()?.client.batch_execute(&text).await;
        if result.is_err() || rolls_back {
            let has_failed = result.is_err();
            self.loan.has_failed.store(has_failed, Ordering::Release);
        }
        Ok(result?)
    }

    /// What the pool had seen when it lent the connection.
    pub(super) fn seen(&self) -> Seen {
        self.connection().map(|it| it.seen).unwrap_or_default()
    }

    /// Fails if a commit of this session did not wait for the synchronous standby.
    pub(super) fn check_commits(&self) -> Result<(), Error> {
        if self.connection()?.unconfirmed_commits() == self.loan.unconfirmed_before {
            return Ok(());
        }
        Err(Error::Unavailable(
            "the wait for the synchronous standby was cancelled, so the commit may be on one server only",
        ))
    }

    /// Ends a transaction that may be open after an error of the server.
    pub(super) async fn roll_back(&self) -> Result<(), Error> {
        if self.loan.may_be_in_transaction.load(Ordering::Acquire) {
            self.connection()?.client.batch_execute("ROLLBACK").await?;
        }
        Ok(())
    }

    /// Lets the connection be used again.
    pub(super) fn set_clean(&self) {
        self.loan.is_clean.store(true, Ordering::Release);
    }
}
