//! A durable idempotency store for [`suno_callback`] in PostgreSQL, shared by many receivers.
//!
//! Any number of processes on any number of hosts use one database. Each of them receives callbacks,
//! handles events, or does both.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use suno_callback::{Event, Pipeline, Verification, handler_fn};
//! use suno_store_postgres::{PostgresConfig, PostgresStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = PostgresConfig::parse("postgres://suno@db.example.com/songs?sslmode=verify-full")?;
//! let store = Arc::new(PostgresStore::connect(config).await?);
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
//! A handler that writes to the same database can end its event in its own transaction: see
//! [`settle_in`].
//!
//! # Durability
//!
//! A delivery is answered after its commit. How much that means is the server's setting: with
//! `fsync=on` it survives a power cut, and with a synchronous standby the loss of the server. The store
//! never lowers `synchronous_commit`. With asynchronous replication, a failover can lose the last commits,
//! and so deliveries that were answered with 200; the tasks are found again when the provider is asked
//! about them.
//!
//! # How it works
//!
//! The rules of the contract are in [`suno_callback::rules`] and not in SQL: an operation locks the rows
//! of its tasks, reads their events, applies the rules, and writes what has changed together with the
//! commit. That takes two or three round trips. What nearly every delivery and claim needs is done by the
//! SQL functions `accept_v1` and `claim_v1` in one round trip; they change nothing and say so if it is
//! anything else.
//!
//! Locks are taken in one order: tasks by their keys, then the rows of their events by number, then
//! intents, expected tasks and the quarantine. Claims wait for no one: they leave out what is locked.
//! Every statement has a time limit, and every operation one of 7 seconds in all.
//!
//! The schema is created by the first process that connects. The role needs to own it, or the right to
//! create it, and nothing else.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod adopt;
mod begin;
mod claim;
mod clock;
mod columns;
mod config;
mod connect;
mod extend;
mod first_ready;
mod history;
mod idle;
mod inner;
mod inspect;
mod intents;
mod ledger;
mod load;
mod operations;
mod plain;
mod plain_claim;
mod purge;
mod quarantine;
mod requests;
mod rows;
mod schema;
mod settle_in;
mod store;
mod transaction;
mod write;

pub use config::{ConfigError, PostgresConfig, Wake};
pub use history::PostgresHistory;
pub use settle_in::{settle_in, settle_in_parameters};
pub use store::PostgresStore;
pub use tokio_postgres;
