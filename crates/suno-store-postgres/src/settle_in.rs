//! Settles an event in the transaction of a handler.

use suno_callback::{SettleResult, StoreError, Ticket};
use tokio_postgres::Transaction;

use crate::PostgresStore;
use crate::columns::worker_column;
use crate::connect::Error;

/// Settles the event of a claim in a transaction of the handler's own, so that the handler's effect and
/// the end of the event are one commit. For a store in the schema `suno`; for one in another schema use
/// [`PostgresStore::settle_in`].
///
/// The transaction may be of any connection to the database of the store, with any isolation level. It
/// holds the event until it ends: the event cannot be claimed meanwhile, even if its lease ends. Nothing
/// else waits for it: not deliveries of the same event, and not extensions of its lease.
///
/// Commit only after [`SettleResult::Settled`]. After [`SettleResult::AlreadySettled`] or
/// [`SettleResult::Lost`] roll back: the effect exists already, or another worker has the event.
///
/// # With sqlx
///
/// Any other client runs the statement that this function runs, and compares the word that it returns:
/// `settled`, `already_settled` or `lost`.
///
/// ```sql
/// SELECT suno.settle_in_v1($1, $2, $3)
/// ```
///
/// The parameters are of the type `bigint`; [`settle_in_parameters`] returns them.
///
/// ```ignore
/// let (event, epoch, worker) = suno_store_postgres::settle_in_parameters(&ticket);
/// let word: String = sqlx::query_scalar("SELECT suno.settle_in_v1($1, $2, $3)")
///     .bind(event).bind(epoch).bind(worker)
///     .fetch_one(&mut *transaction)
///     .await?;
/// if word == "settled" {
///     transaction.commit().await?;
/// }
/// ```
///
/// # Errors
///
/// Returns [`StoreError`] if the statement failed. The transaction can only be rolled back then; the
/// event stays claimed until its lease ends.
pub async fn settle_in(
    transaction: &mut Transaction<'_>,
    ticket: &Ticket,
) -> Result<SettleResult, StoreError> {
    settle_in_schema(transaction, "suno", ticket).await
}

/// Returns the parameters of `settle_in_v1` for a ticket: the event, the epoch and the worker.
#[must_use]
pub fn settle_in_parameters(ticket: &Ticket) -> (i64, i64, i64) {
    let worker = worker_column(ticket.worker);
    (ticket.event.0, ticket.epoch.into(), worker)
}

impl PostgresStore {
    /// Settles the event of a claim in a transaction of the handler's own, like the function
    /// [`settle_in`].
    ///
    /// # Errors
    ///
    /// As for the function.
    pub async fn settle_in(
        &self,
        transaction: &mut Transaction<'_>,
        ticket: &Ticket,
    ) -> Result<SettleResult, StoreError> {
        settle_in_schema(transaction, self.schema(), ticket).await
    }
}

async fn settle_in_schema(
    transaction: &mut Transaction<'_>,
    schema: &str,
    ticket: &Ticket,
) -> Result<SettleResult, StoreError> {
    let name = schema.replace('"', "\"\"");
    let sql = format!("SELECT \"{name}\".settle_in_v1($1, $2, $3)");
    let (event, epoch, worker) = settle_in_parameters(ticket);
    let row = transaction
        .query_one(&sql, &[&event, &epoch, &worker])
        .await
        .map_err(Error::from)?;
    match row.try_get(0).map_err(Error::from)? {
        "settled" => Ok(SettleResult::Settled),
        "already_settled" => Ok(SettleResult::AlreadySettled),
        _ => Ok(SettleResult::Lost),
    }
}
