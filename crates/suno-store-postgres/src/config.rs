//! How to reach the server, and how the store uses it.

use std::fmt;

use suno_callback::{StoreError, StoreErrorKind};

/// How the processes of one store wake each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wake {
    /// By LISTEN and NOTIFY. If the server does not deliver notifications, the store polls.
    #[default]
    Listen,
    /// By looking again each second.
    Poll,
}

/// The settings of a [`PostgresStore`](crate): the server, the schema and the connections.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(crate) server: tokio_postgres::Config,
    pub(crate) schema: String,
    pub(crate) wake: Wake,
    pub(crate) named_statements: bool,
    pub(crate) connections: usize,
}

impl PostgresConfig {
    /// Parses a `postgres://` URL or libpq's `key=value` text.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the text is malformed.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let server = text.parse::<tokio_postgres::Config>().map_err(|_| {
            StoreError::new(StoreErrorKind::Refused)
                .with_source("the settings of the connection cannot be read")
        })?;
        Ok(Self {
            server,
            schema: "suno".to_owned(),
            wake: Wake::default(),
            named_statements: true,
            connections: 8,
        })
    }

    /// Sets the schema in which the store keeps its tables.
    #[must_use]
    pub fn with_schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Sets how processes wake each other.
    #[must_use]
    pub fn with_wake(mut self, wake: Wake) -> Self {
        self.wake = wake;
        self
    }

    /// Sets whether statements are prepared by name.
    #[must_use]
    pub fn with_named_statements(mut self, named_statements: bool) -> Self {
        self.named_statements = named_statements;
        self
    }

    /// Sets the largest number of connections for work.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("schema", &self.schema)
            .field("wake", &self.wake)
            .field("named_statements", &self.named_statements)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
