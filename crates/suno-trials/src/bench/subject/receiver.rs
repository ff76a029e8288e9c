//! The receiver of this workspace.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use suno_callback::{
    Event, IdempotencyStore, Inbox, MemoryStore, Pipeline, Receiver, Verification, handler_fn,
};
use suno_store_sqlite::SqliteStore;
use tokio::net::TcpListener;

use suno_testkit::callback::KEY;

/// The number of handlers that run at the same time: each claim is a transaction, which
/// they share.
const HANDLERS_MAX: usize = 256;

/// The store of a subject, if it has one.
pub(in crate::bench) fn store_file(dir: &Path) -> PathBuf {
    dir.join("suno.db")
}

pub(super) async fn serve_memory(listener: TcpListener) -> Result<()> {
    serve(listener, Inbox::start(Arc::new(MemoryStore::new()))).await
}

pub(super) async fn serve_sqlite(listener: TcpListener, dir: &Path) -> Result<()> {
    serve(listener, Inbox::start(sqlite(dir)?)).await
}

pub(super) async fn serve_handled(listener: TcpListener, dir: &Path) -> Result<()> {
    let handler = handler_fn(|_: Event| async { Ok(()) });
    let pipeline = Pipeline::builder(sqlite(dir)?, handler, Verification::webhook_key(KEY))
        .dispatcher(|dispatcher| dispatcher.with_handlers_max(HANDLERS_MAX))
        .start()?;
    pipeline.serve(listener, std::future::pending()).await;
    Ok(())
}

pub(super) fn sqlite(dir: &Path) -> Result<Arc<dyn IdempotencyStore>> {
    Ok(Arc::new(SqliteStore::open(store_file(dir))?))
}

async fn serve(listener: TcpListener, inbox: Inbox) -> Result<()> {
    let receiver = Receiver::new(inbox, Verification::webhook_key(KEY));
    suno_callback::serve::serve(listener, receiver, std::future::pending()).await;
    Ok(())
}
