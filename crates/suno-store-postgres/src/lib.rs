//! A durable idempotency store in PostgreSQL, shared by many receivers.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
// Parts of the integration tests are parts of the unit tests, too.
extern crate self as suno_store_postgres;

mod config;
mod connect;

pub use config::{ConfigError, PostgresConfig, Wake};
pub use tokio_postgres;
