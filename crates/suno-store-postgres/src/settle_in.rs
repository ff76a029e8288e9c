//! Settles an event in the transaction of a handler.

use suno_callback::{SettleResult, StoreError, Ticket};
use tokio_postgres::Transaction;

use crate::columns::worker_column;
use crate::connect::Error;

/// Settles the event of a claim in a transaction of the handler's own, so that the handler's effect and
/// the end of the event are one commit. `schema` is that of the store, `suno` unless it was configured.
///
/// The transaction may be of any connection to the database of the store. Its isolation level does not
/// matter. It holds the event until it ends: nobody else can claim it meanwhile, even if its lease ends.
///
/// Commit only after [`SettleResult::Settled`]. After [`SettleResult::AlreadySettled`] or
/// [`SettleResult::Lost`] roll back: the effect exists already, or another worker has the event.
///
/// # Errors
///
/// Returns [`StoreError`] if the statement failed; the transaction can only be rolled back then.
pub async fn settle_in(
    transaction: &mut Transaction<'_>,
    schema: &str,
    ticket: &Ticket,
) -> Result<SettleResult, StoreError> {
    let sql = format!(
        "SELECT \"{}\".settle_in_v1($1, $2, $3)",
        schema.replace('"', "\"\"")
    );
    let (epoch, worker) = (i64::from(ticket.epoch), worker_column(ticket.worker));
    let row = transaction
        .query_one(&sql, &[&ticket.event.0, &epoch, &worker])
        .await
        .map_err(Error::from)?;
    match row.try_get(0).map_err(Error::from)? {
        "settled" => Ok(SettleResult::Settled),
        "already_settled" => Ok(SettleResult::AlreadySettled),
        _ => Ok(SettleResult::Lost),
    }
}
