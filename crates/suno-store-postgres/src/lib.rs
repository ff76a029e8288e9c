//! A durable idempotency store in PostgreSQL, shared by many receivers.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod connect;

pub use config::{ConfigError, PostgresConfig, Wake};
pub use tokio_postgres;
