//! A store in PostgreSQL: its options, and how it is opened.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use suno_callback::{IdempotencyStore, StoreError};
use suno_store_postgres::{ConfigError, PostgresConfig, PostgresStore, Wake};

use super::WithHistory;
use super::url::without_passwords;
use crate::failure::Failure;

/// The options of a store in PostgreSQL.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// File with the password for PostgreSQL, which is read for each new connection
    #[arg(long, value_name = "FILE", help_heading = super::Arguments::HEADING)]
    store_password_file: Option<PathBuf>,
    /// Schema of PostgreSQL that holds the store; each schema is a store of its own [default: suno]
    #[arg(long, value_name = "NAME", help_heading = super::Arguments::HEADING)]
    store_schema: Option<String>,
    /// Number of connections to PostgreSQL for work; up to two more wait for and send wake-ups
    #[arg(long, value_name = "COUNT", help_heading = super::Arguments::HEADING,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    store_connections: Option<u16>,
    /// Connect through a pooler in transaction mode, such as pgbouncer: no LISTEN, no named statements
    #[arg(long, help_heading = super::Arguments::HEADING)]
    store_pooler: bool,
}

impl Arguments {
    /// Returns the first of these options that was given.
    pub(super) fn first(&self) -> Option<&'static str> {
        [
            (self.store_password_file.is_some(), "--store-password-file"),
            (self.store_schema.is_some(), "--store-schema"),
            (self.store_connections.is_some(), "--store-connections"),
            (self.store_pooler, "--store-pooler"),
        ]
        .into_iter()
        .find_map(|(is_given, option)| is_given.then_some(option))
    }

    /// Connects to the store, whose schema is made if it does not exist.
    pub(super) async fn open(&self, url: &str) -> Result<Arc<dyn IdempotencyStore>, Failure> {
        Ok(Arc::new(self.connect(url).await?))
    }

    /// Connects to the store and its history.
    pub(super) async fn open_with_history(&self, url: &str) -> Result<WithHistory, Failure> {
        let store = self.connect(url).await?;
        Ok(WithHistory {
            history: Arc::new(store.history()),
            store: Arc::new(store),
        })
    }

    async fn connect(&self, url: &str) -> Result<PostgresStore, Failure> {
        let shown = shown(url);
        let what = || format!("cannot open the store {shown}");
        let config = self.config(url);
        let config = config.map_err(|err| Failure::usage(err).context(what()))?;
        let connected = PostgresStore::connect(config).await;
        connected.map_err(|err| failure(err).context(what()))
    }

    fn config(&self, url: &str) -> Result<PostgresConfig, ConfigError> {
        // As libpq does: what the URL does not say is taken from PGPASSWORD, PGUSER and so on.
        let variable = |name: &str| std::env::var(name).ok();
        let mut config = PostgresConfig::parse_with_environment(url, variable)?;
        if let Some(file) = &self.store_password_file {
            config = config.with_password_file(file);
        }
        if let Some(schema) = &self.store_schema {
            config = config.with_schema(schema);
        }
        if let Some(connections) = self.store_connections {
            config = config.with_connections(connections.into());
        }
        if self.store_pooler {
            config = config.with_wake(Wake::Poll).with_named_statements(false);
        }
        Ok(config)
    }
}

/// Returns what may be shown of a URL. A parameter with a wrong name may be the password.
fn shown(url: &str) -> Cow<'_, str> {
    let before_query = url.split_once('?').map_or(url, |(before, _)| before);
    without_passwords(before_query)
}

/// A server that cannot be reached may be there for the next attempt; anything else must be corrected.
fn failure(err: StoreError) -> Failure {
    match err.is_retryable() {
        true => Failure::failed(err),
        false => Failure::usage(err),
    }
}
