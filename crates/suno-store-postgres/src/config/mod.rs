//! How to reach the server, and how the store uses it.

mod error;
mod host;
mod names;
mod parse;
mod password;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;
use std::path::PathBuf;

pub use error::ConfigError;
pub(crate) use host::{Host, HostName};
pub(crate) use password::{PasswordSource, Secret};
pub(crate) use settings::{
    ChannelBinding, Roots, Settings, SslMode, Target, TlsSettings, TlsVersions,
};

/// The number of connections for work that a store opens at most, unless it is set.
const CONNECTIONS: usize = 8;
/// The largest number of connections for work.
const CONNECTIONS_MAX: usize = 100;

/// How the processes of one store wake each other when there is work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Wake {
    /// By LISTEN and NOTIFY, which need two more connections. If the server does not deliver
    /// notifications, as behind a pooler in transaction mode, the store says so once and polls.
    #[default]
    Listen,
    /// By looking for work each second. For poolers in transaction mode, and for servers without LISTEN.
    Poll,
}

/// The server and the schema of a store, and how it uses its connections.
///
/// ```
/// use suno_store_postgres::{PostgresConfig, Wake};
///
/// # fn main() -> Result<(), suno_store_postgres::ConfigError> {
/// let config = PostgresConfig::parse(
///     "postgres://suno@db1.example.org,db2.example.org/app?sslmode=verify-full",
/// )?
/// .with_password_file("/run/secrets/postgres")
/// .with_schema("inbox");
///
/// // Behind a pooler in transaction mode:
/// let config = PostgresConfig::parse("host=pooler.example.org port=6432 dbname=app user=suno")?
///     .with_wake(Wake::Poll)
///     .with_named_statements(false);
/// # Ok(())
/// # }
/// ```
///
/// # Settings
///
/// The names and values are those of libpq. What differs:
///
/// * `host`: several are tried in their order; one that begins with `/` is the folder of a Unix socket.
///   Without a host, the server is on `localhost`.
/// * `sslmode`: a certificate is always verified, unlike in libpq.
///   * `verify-full`: TLS; the certificate must be trusted and name the host.
///   * `require`: the same as `verify-full`.
///   * `verify-ca`: TLS; the certificate must be trusted by the file of `sslrootcert`, whatever it names.
///   * `prefer` (default): TLS as with `require` if that succeeds, otherwise plain text, which is logged
///     once. On a loopback address, plain text first. An attacker in the network can force plain text: use
///     `verify-full` where that matters.
///   * `allow`: plain text first; TLS if the server refuses that.
///   * `disable`: plain text. Unix sockets are always plain.
/// * `sslrootcert`: a file with the only trusted certificates, or `system` (default): what the operating
///   system trusts. `sslcert` and `sslkey` are PEM files, without a password.
/// * `target_session_attrs`: `read-write` (default), `primary` or `any`. The store writes, so that replicas
///   are of no use to it.
/// * `connect_timeout`: seconds for all attempts to open one connection together; 5 unless set, at most 60.
/// * `tcp_user_timeout`: milliseconds; 5,000 unless set. `keepalives_idle`: seconds; 10 unless set.
/// * `passfile` is read only if it is named. `application_name` is `suno` unless set.
/// * `options`, `service`, `require_auth`, `requirepeer`, `sslcrl` and Kerberos are rejected, each with the
///   reason, and so is every name that is unknown.
///
/// # Secrets
///
/// `Debug`, `Display`, errors and logs of this crate show no password and no contents of rows. The driver
/// does: at the level `debug`, the target `tokio_postgres` logs the parameters of statements, which are the
/// bodies of callbacks. Leave it at `info`.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(crate) settings: Settings,
    pub(crate) schema: String,
    pub(crate) wake: Wake,
    pub(crate) named_statements: bool,
    pub(crate) connections: usize,
}

impl PostgresConfig {
    /// Parses a `postgres://` URL or libpq's `key=value` text. Reads nothing else: no environment
    /// variable, no file.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the text is malformed, or a setting is unknown or not supported. The
    /// error names the setting, never its value.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::parse_with_environment(text, |_| None)
    }

    /// Parses a text as [`parse`](Self::parse) does, and takes libpq's environment variables (`PGHOST`,
    /// `PGUSER`, `PGPASSWORD`, …) for what it does not say. An empty text means the environment alone.
    ///
    /// ```
    /// use suno_store_postgres::PostgresConfig;
    ///
    /// # fn main() -> Result<(), suno_store_postgres::ConfigError> {
    /// let config = PostgresConfig::parse_with_environment("dbname=app", |name| {
    ///     std::env::var(name).ok()
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] as [`parse`](Self::parse) does, also for a variable.
    pub fn parse_with_environment(
        text: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut pairs = parse::pairs(text)?;
        for (name, setting) in parse::VARIABLES {
            if !pairs.contains_key(*setting)
                && let Some(value) = variable(name)
            {
                pairs.insert((*setting).to_owned(), value);
            }
        }
        Ok(Self {
            settings: Settings::from_pairs(pairs)?,
            schema: "suno".to_owned(),
            wake: Wake::default(),
            named_statements: true,
            connections: CONNECTIONS,
        })
    }

    /// Sets the schema in which the store keeps its tables and functions; `suno` unless set. It must
    /// have 1 to 63 bytes.
    #[must_use]
    pub fn with_schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Reads the password from a file, without the line break at its end. The file is read again for each
    /// new connection, so that a password can be rotated while the store runs.
    #[must_use]
    pub fn with_password_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.password = PasswordSource::File(path.into());
        self
    }

    /// Sets how processes wake each other.
    #[must_use]
    pub fn with_wake(mut self, wake: Wake) -> Self {
        self.wake = wake;
        self
    }

    /// Sets whether statements are prepared by name and limits are set for whole sessions (default). A
    /// pooler in transaction mode needs `false`: then each statement is parsed each time, and limits are
    /// set for each transaction.
    #[must_use]
    pub fn with_named_statements(mut self, named_statements: bool) -> Self {
        self.named_statements = named_statements;
        self
    }

    /// Sets the largest number of connections for work, from 1 to 100; 8 unless set. With [`Wake::Listen`]
    /// there are two more.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.clamp(1, CONNECTIONS_MAX);
        self
    }

    /// Checks what the `with_…` methods were given.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        settings::check_schema(&self.schema)
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("server", &format_args!("{self}"))
            .field("sslmode", &self.settings.ssl_mode)
            .field("schema", &self.schema)
            .field("wake", &self.wake)
            .field("named_statements", &self.named_statements)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Shows the user, the hosts and the database as a URL without a password.
impl fmt::Display for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
