//! The values of settings: which names exist, and what each value may be.

use std::net::IpAddr;
use std::time::Duration;

use super::ConfigError;
use super::host::{Host, HostName};
use super::names::{REJECTED, is_known};
use super::parse::Pairs;
use super::password::{PasswordSource, Secret};
use super::settings::{ChannelBinding, Roots, Settings, SslMode, Target, TlsSettings, TlsVersions};

/// The most hosts of one store.
const HOSTS_MAX: usize = 32;
const PORT: u16 = 5432;

impl Settings {
    pub(super) fn from_pairs(mut pairs: Pairs) -> Result<Self, ConfigError> {
        check_names(&pairs)?;
        // An empty value means the default, as in libpq.
        pairs.retain(|_, value| !value.is_empty());
        let mut values = Values { pairs };
        let ssl_mode = values.choice(
            "sslmode",
            &[
                ("prefer", SslMode::Prefer),
                ("disable", SslMode::Disable),
                ("allow", SslMode::Allow),
                ("require", SslMode::Require),
                ("verify-ca", SslMode::VerifyCa),
                ("verify-full", SslMode::VerifyFull),
            ],
        )?;
        let settings = Self {
            hosts: values.hosts()?,
            user: values.take("user"),
            database: values.take("dbname"),
            password: values.password(),
            application_name: values.application_name(),
            ssl_mode,
            tls: values.tls()?,
            channel_binding: values.choice(
                "channel_binding",
                &[
                    ("prefer", ChannelBinding::Prefer),
                    ("disable", ChannelBinding::Disable),
                    ("require", ChannelBinding::Require),
                ],
            )?,
            connect_timeout: Duration::from_secs(values.number("connect_timeout", 5, 60)?.max(1)),
            tcp_user_timeout: Duration::from_millis(values.number(
                "tcp_user_timeout",
                5_000,
                3_600_000,
            )?),
            keepalives: values.keepalives()?,
            target: values.choice(
                "target_session_attrs",
                &[
                    ("read-write", Target::ReadWrite),
                    ("primary", Target::Primary),
                    ("any", Target::Any),
                ],
            )?,
            is_balanced: values.choice(
                "load_balance_hosts",
                &[("disable", false), ("random", true)],
            )?,
        };
        values.check_ignored()?;
        settings.check_tls()?;
        Ok(settings)
    }

    fn check_tls(&self) -> Result<(), ConfigError> {
        let is_required = matches!(
            self.ssl_mode,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull
        );
        if self.ssl_mode == SslMode::VerifyCa && self.tls.roots == Roots::System {
            return Err(ConfigError::new(
                "sslmode=verify-ca needs a file in sslrootcert: with the certificates of the system it would accept nearly every server",
            ));
        }
        if self.channel_binding == ChannelBinding::Require && !is_required {
            return Err(ConfigError::new(
                "channel_binding=require needs TLS: set sslmode to require, verify-ca or verify-full",
            ));
        }
        if self.tls.is_direct && !is_required {
            return Err(ConfigError::new(
                "sslnegotiation=direct needs sslmode require, verify-ca or verify-full",
            ));
        }
        Ok(())
    }
}

/// Rejects names that are unknown or not supported.
fn check_names(pairs: &Pairs) -> Result<(), ConfigError> {
    for name in pairs.keys() {
        if let Some((_, reason)) = REJECTED.iter().find(|(rejected, _)| rejected == name) {
            return Err(ConfigError::new(format!(
                "the setting {name} is not supported: {reason}"
            )));
        }
        if !is_known(name) {
            return Err(ConfigError::new(format!("the setting {name:?} is unknown")));
        }
    }
    Ok(())
}

/// The values that have not been read yet.
struct Values {
    pairs: Pairs,
}

impl Values {
    fn take(&mut self, name: &str) -> Option<String> {
        self.pairs.remove(name)
    }

    /// Reads one of several words; the first is the default.
    fn choice<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let value = self.take(name);
        let word = value.as_deref().unwrap_or(words[0].0);
        match words.iter().find(|(known, _)| *known == word) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
                Err(ConfigError::new(format!(
                    "the setting {name} must be one of: {}",
                    known.join(", ")
                )))
            }
        }
    }

    fn number(&mut self, name: &str, default: u64, max: u64) -> Result<u64, ConfigError> {
        let Some(value) = self.take(name) else {
            return Ok(default);
        };
        match value.trim().parse() {
            // libpq's words for "the default".
            Ok(0) => Ok(default),
            Ok(number) if number <= max => Ok(number),
            _ => Err(ConfigError::new(format!(
                "the setting {name} must be a whole number from 0 to {max}"
            ))),
        }
    }

    fn hosts(&mut self) -> Result<Vec<Host>, ConfigError> {
        let names = self.list("host");
        let addresses = self.list("hostaddr");
        let ports = self.list("port");
        let count = names.len().max(addresses.len()).max(1);
        if count > HOSTS_MAX {
            return Err(ConfigError::new(format!(
                "there are more than {HOSTS_MAX} hosts"
            )));
        }
        if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
            return Err(ConfigError::new(
                "host and hostaddr must have the same number of entries",
            ));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(ConfigError::new(
                "port must have one entry, or as many as there are hosts",
            ));
        }
        (0..count)
            .map(|at| {
                host(
                    names.get(at).map_or("", String::as_str),
                    addresses.get(at).map_or("", String::as_str),
                    ports
                        .get(at)
                        .or_else(|| ports.first().filter(|_| ports.len() == 1))
                        .map_or("", String::as_str),
                )
            })
            .collect()
    }

    fn list(&mut self, name: &str) -> Vec<String> {
        let text = self.take(name).unwrap_or_default();
        if text.is_empty() {
            return Vec::new();
        }
        text.split(',').map(|one| one.trim().to_owned()).collect()
    }

    fn password(&mut self) -> PasswordSource {
        let passfile = self.take("passfile");
        match (self.take("password"), passfile) {
            (Some(password), _) => PasswordSource::Text(Secret::new(password)),
            (None, Some(path)) => PasswordSource::Passfile(path.into()),
            (None, None) => PasswordSource::None,
        }
    }

    fn application_name(&mut self) -> String {
        let fallback = self.take("fallback_application_name");
        self.take("application_name")
            .or(fallback)
            .unwrap_or_else(|| "suno".to_owned())
    }

    fn keepalives(&mut self) -> Result<Option<(Duration, Duration, u32)>, ConfigError> {
        let is_on = self.choice("keepalives", &[("1", true), ("0", false)])?;
        let idle = self.number("keepalives_idle", 10, 32_767)?;
        let interval = self.number("keepalives_interval", 5, 32_767)?;
        let count = self.number("keepalives_count", 3, 127)?;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Ok(is_on.then(|| {
            (
                Duration::from_secs(idle),
                Duration::from_secs(interval),
                count,
            )
        }))
    }

    fn tls(&mut self) -> Result<TlsSettings, ConfigError> {
        let roots = match self.take("sslrootcert") {
            Some(path) if path != "system" => Roots::File(path.into()),
            _ => Roots::System,
        };
        let uses_identity = self.choice("sslcertmode", &[("allow", true), ("disable", false)])?;
        let identity = match (self.take("sslcert"), self.take("sslkey")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => return Err(ConfigError::new("sslcert and sslkey must be set together")),
        };
        // Versions before 1.2 do not exist here, so that they allow nothing as a minimum.
        let min13 = self.choice(
            "ssl_min_protocol_version",
            &[
                ("TLSv1.2", false),
                ("TLSv1.3", true),
                ("TLSv1", false),
                ("TLSv1.1", false),
            ],
        )?;
        let max12 = self.choice(
            "ssl_max_protocol_version",
            &[("TLSv1.3", false), ("TLSv1.2", true)],
        )?;
        let versions = match (min13, max12) {
            (false, false) => TlsVersions::Both,
            (false, true) => TlsVersions::Only12,
            (true, false) => TlsVersions::Only13,
            (true, true) => {
                return Err(ConfigError::new(
                    "ssl_min_protocol_version is above ssl_max_protocol_version",
                ));
            }
        };
        Ok(TlsSettings {
            roots,
            identity: identity.filter(|_| uses_identity),
            versions,
            sends_name: self.choice("sslsni", &[("1", true), ("0", false)])?,
            is_direct: self.choice("sslnegotiation", &[("postgres", false), ("direct", true)])?,
        })
    }

    /// Checks settings that have only one value here.
    fn check_ignored(&mut self) -> Result<(), ConfigError> {
        self.choice(
            "client_encoding",
            &[("UTF8", ()), ("utf8", ()), ("UTF-8", ()), ("auto", ())],
        )?;
        self.choice("gssencmode", &[("disable", ()), ("prefer", ())])?;
        self.choice("sslcompression", &[("0", ())])
    }
}

/// Reads one host. Names are checked because a name with other characters is often a piece of a
/// password that was not encoded, and it would be shown.
fn host(name: &str, address: &str, port: &str) -> Result<Host, ConfigError> {
    let port =
        match port {
            "" => PORT,
            text => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                ConfigError::new("the setting port must be a number from 1 to 65535")
            })?,
        };
    let address: Option<IpAddr> = match address {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            ConfigError::new("the setting hostaddr must be an IPv4 or IPv6 address")
        })?),
    };
    let name = match (name, address) {
        (name, _) if name.starts_with('/') => HostName::Unix(name.into()),
        ("", None) => HostName::Tcp("localhost".to_owned()),
        // The certificate must then name the address.
        ("", Some(address)) => HostName::Tcp(address.to_string()),
        (name, _) => {
            let is_name = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !is_name && name.parse::<IpAddr>().is_err() {
                return Err(ConfigError::new(
                    "a host must be a name, an address or the folder of a Unix socket; in a URL, '@', ':', '/' and '%' in the password must be encoded",
                ));
            }
            HostName::Tcp(name.to_owned())
        }
    };
    if cfg!(not(unix)) && matches!(name, HostName::Unix(_)) {
        return Err(ConfigError::new(
            "Unix sockets are not supported on this platform",
        ));
    }
    Ok(Host {
        name,
        address,
        port,
    })
}
