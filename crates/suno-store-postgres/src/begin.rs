//! How transactions begin.

use std::time::Duration;

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
