//! A durable idempotency store in PostgreSQL, shared by many receivers.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod claim;
mod clock;
mod columns;
mod config;
mod connect;
mod extend;
mod idle;
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
pub use settle_in::{settle_in, settle_in_parameters};
pub use store::PostgresStore;
pub use tokio_postgres;
