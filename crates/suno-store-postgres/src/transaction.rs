//! Transactions: how they begin and end, and how often they are tried.

use std::time::Duration;

use tokio_postgres::Row;

use crate::clock::StoreClock;
use crate::columns::Micros;
use crate::connect::{Error, Session};
use crate::write::{Changes, Sending};

/// The end of one try of a transaction.
#[derive(Debug)]
pub(crate) enum Tried<T> {
    /// It is committed, or has written nothing.
    Done(T),
    /// It was rolled back because the server's clock was set.
    ClockMoved,
    /// It was rolled back because another transaction holds something that it needs.
    Busy,
}

/// Reads the time in the first column of the first row, and checks it.
pub(crate) fn time(
    clock: &StoreClock,
    rows: &[Row],
    sent: Duration,
) -> Result<Option<Duration>, Error> {
    let row = rows.first().ok_or(Error::Damaged("`meta` has no row"))?;
    let time: Micros = row.try_get(0)?;
    Ok(clock.check(time, sent))
}

/// Ends a transaction without effect.
pub(crate) async fn roll_back<T>(session: &Session, tried: Tried<T>) -> Result<Tried<T>, Error> {
    session.batch("ROLLBACK").await?;
    Ok(tried)
}

/// Writes what has changed, and commits. Returns only after every statement has succeeded: COMMIT alone
/// also succeeds in a transaction that failed.
pub(crate) async fn commit(session: &Session, changes: &Changes) -> Result<(), Error> {
    commit_with(session, changes, Vec::new()).await?;
    Ok(())
}

/// Writes what has changed and more, and commits. Returns the rows of the further statements.
pub(crate) async fn commit_with<'a>(
    session: &'a Session,
    changes: &'a Changes,
    further: Vec<Sending<'a>>,
) -> Result<Vec<Vec<Row>>, Error> {
    let mut statements = changes.send(session);
    let first_further = statements.len();
    statements.extend(further);
    statements.push(Box::pin(async move {
        session.batch("COMMIT").await?;
        Ok(Vec::new())
    }));
    let mut results = futures_util::future::join_all(statements).await;
    // The first error is the cause of the others.
    let failed = results.iter().position(Result::is_err);
    if let Some(failed) = failed {
        results.swap_remove(failed)?;
    }
    let results: Result<Vec<_>, _> = results.into_iter().skip(first_further).collect();
    results
}
