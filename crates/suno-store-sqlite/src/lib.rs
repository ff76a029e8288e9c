//! A durable idempotency store for [`suno_callback`] in one SQLite file.
//!
//! Every commit is synced to disk before it is answered (WAL with `synchronous=FULL`). One thread
//! writes; other processes can use the same file at the same time.
//!
//! ```
//! use std::sync::Arc;
//!
//! use suno_callback::{Event, Pipeline, Verification, handler_fn};
//! use suno_store_sqlite::SqliteStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("suno.db");
//! let store = Arc::new(SqliteStore::open(&path)?);
//! let handler = handler_fn(async |event: Event| {
//!     println!("{}", event.key());
//!     Ok(())
//! });
//! let verification = Verification::webhook_key("whk_demo_key");
//! let pipeline = Pipeline::builder(store, handler, verification).start()?;
//! // Serve `pipeline.receiver()`.
//! pipeline.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! * `bundled` (default): compiles SQLite in, which needs a C compiler. Without it, the SQLite of the
//!   system is linked, which must be 3.37 or later and at least what the version of [`rusqlite`] in use
//!   asks for (3.45.3 for the newest). Prefer 3.51.3 or later, which cannot corrupt a file that several
//!   connections write (the [WAL-reset bug](https://www.sqlite.org/wal.html#walresetbug), very rare).
//!
//! # Several processes
//!
//! Processes take turns by the lock of the file. One that is stopped within a transaction, by a signal
//! or a debugger, keeps the lock: the others answer 503, which the provider repeats, until it goes on or
//! ends. Where that is too much, use a database server.
//!
//! # Beside other users of SQLite
//!
//! A program can contain only one version of `libsqlite3-sys`. This crate accepts `rusqlite` 0.32 to
//! 0.43, and cargo chooses the version that fits sqlx (0.8 or later), diesel (2.2 or later) or the
//! program's own `rusqlite`. Use `suno_store_sqlite::rusqlite` in code that shares a transaction with the
//! store.
//!
//! If cargo still reports two packages that link to `sqlite3`, the other crate needs a version outside
//! this range: update it. An older `rusqlite` bundles an older SQLite: 3.46.0 beside sqlx 0.8.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod adopt;
mod claim;
mod clock;
mod conflicts;
mod error;
mod file;
mod grant;
mod history;
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

pub use history::SqliteHistory;
pub use queue::begin;
pub use rusqlite;
pub use settle::settle_in;
pub use store::SqliteStore;
