//! Inspects the file of a store.

use std::path::Path;

use anyhow::{Context, Result};
use suno_callback::IdempotencyStore;
use suno_store_sqlite::SqliteStore;

/// Returns the number of events that are not settled: ready, claimed, or waiting for a
/// retry.
pub(crate) fn unsettled(file: &Path) -> Result<u64> {
    let store = SqliteStore::open(file)?;
    let counts = block_on(async { store.counts().await })??;
    Ok(counts.ready + counts.claimed + counts.waiting)
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("the async runtime could not start")?;
    Ok(runtime.block_on(future))
}
