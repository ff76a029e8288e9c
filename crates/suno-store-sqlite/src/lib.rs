//! A durable idempotency store for [`suno_callback`] in one SQLite file.
//!
//! Every commit is synced to disk before it is answered (WAL with `synchronous=FULL`). One thread
//! writes; other processes can use the same file at the same time.
//!
//! ```
//! use std::sync::Arc;
//!
//! use suno_callback::Inbox;
//! use suno_store_sqlite::SqliteStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("suno.db");
//! let store = SqliteStore::open(&path)?;
//! let inbox = Inbox::start(Arc::new(store));
//! # let _ = inbox;
//! # Ok(())
//! # }
//! ```

mod accept;
mod claim;
mod clock;
mod error;
mod file;
mod grant;
mod inspect;
mod keys;
mod lease;
mod ledger;
mod operations;
mod purge;
mod queue;
mod requests;
mod row;
mod schema;
mod settle;
mod siblings;
mod state;
mod store;
mod thread;
mod watch;
mod work;

pub use queue::begin;
pub use rusqlite;
pub use settle::settle_in;
pub use store::SqliteStore;
