//! The settings of a connection.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::host::{Host, HostName};
use super::password::PasswordSource;

/// The longest identifier of PostgreSQL, in bytes. It cuts longer ones, so that two could become one.
const IDENTIFIER_BYTES_MAX: usize = 63;

/// When TLS is used and what it must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Which certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    System,
    File(PathBuf),
}

/// The versions of TLS that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsVersions {
    Both,
    Only12,
    Only13,
}

/// The settings of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsSettings {
    pub(crate) roots: Roots,
    /// The certificate and the key of this client.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    pub(crate) versions: TlsVersions,
    pub(crate) sends_name: bool,
    /// Whether TLS starts without asking the server for it in its own protocol.
    pub(crate) is_direct: bool,
}

/// Whether the password must be bound to the TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// Which servers may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Any,
    ReadWrite,
    Primary,
}

/// The settings of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// At least one.
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: Option<String>,
    pub(crate) database: Option<String>,
    pub(crate) password: PasswordSource,
    pub(crate) application_name: String,
    pub(crate) ssl_mode: SslMode,
    pub(crate) tls: TlsSettings,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) connect_timeout: Duration,
    pub(crate) tcp_user_timeout: Duration,
    /// The idle time before a probe, the time between probes, and their number.
    pub(crate) keepalives: Option<(Duration, Duration, u32)>,
    pub(crate) target: Target,
    pub(crate) is_balanced: bool,
}

/// Checks the name of a schema.
pub(super) fn check_schema(name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.len() > IDENTIFIER_BYTES_MAX || name.contains('\0') {
        return Err(ConfigError::new(format!(
            "the name of the schema must have 1 to {IDENTIFIER_BYTES_MAX} bytes, none of them NUL"
        )));
    }
    if name.starts_with("pg_") || name == "information_schema" {
        return Err(ConfigError::new(
            "the schema belongs to the server; choose a name that does not begin with pg_",
        ));
    }
    Ok(())
}

/// Shows the settings as a URL without a password.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", Encoded(user))?;
        }
        for (at, host) in self.hosts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match &host.name {
                HostName::Tcp(name) if name.contains(':') => write!(f, "{comma}[{name}]")?,
                HostName::Tcp(name) => write!(f, "{comma}{name}")?,
                HostName::Unix(path) => {
                    write!(f, "{comma}{}", Encoded(&path.display().to_string()))?;
                }
            }
            write!(f, ":{}", host.port)?;
        }
        if let Some(database) = &self.database {
            write!(f, "/{}", Encoded(database))?;
        }
        Ok(())
    }
}

/// Shows a text with what a URL reserves as `%41`.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}
