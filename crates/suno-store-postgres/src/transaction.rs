//! Transactions: how they begin and end, and how often they are tried.

use std::time::Duration;

use tokio_postgres::Row;

use crate::clock::StoreClock;
use crate::columns::Micros;
use crate::connect::{Error, Session};
use crate::write::{Changes, Sending};

/// The time limit of an operation. It is less than what a receiver has for an answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(7);

/// Begins a transaction that writes. Nothing depends on the settings of the role or the database.
///
/// Every statement reads a few rows by an index. The planner does not know the lengths of the arrays, and
/// may not know the sizes of the tables after a burst: it must not read whole tables, nor compile a plan
/// for some 100 ms, for a statement of 1 ms.
pub(crate) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '3s';
    SET LOCAL statement_timeout = '6s'; SET LOCAL jit = off; SET LOCAL enable_seqscan = off;
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// Begins a transaction that reads one state of the store.
pub(crate) const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '6s'; SET LOCAL jit = off";

/// Returns the store's time.
pub(crate) const NOW: &str = "SELECT {schema}.clock()";

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
