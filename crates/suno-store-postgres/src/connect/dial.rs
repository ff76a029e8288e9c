//! Opens one connection: which hosts are tried, with and without TLS, and for how long.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, Greeting};
use super::error::{Error, described};
use super::tls::{self, Progress, Reporting};
use crate::PostgresConfig;
use crate::config::{ChannelBinding, Host, HostName, Roots, Secret, Settings, SslMode, Target};

/// The shortest time for one attempt, however many are left.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);

/// The most addresses that are tried for one connection.
const WAYS_MAX: usize = 64;
/// The most failures that an error lists.
const FAILURES_MAX: usize = 4;

/// Opens connections with the settings of one store.
#[derive(Debug)]
pub(super) struct Dialer {
    settings: Settings,
    sets_limits: bool,
    warned_of_plain_text: AtomicBool,
    warned_of_durability: AtomicBool,
}

/// One way to one server.
#[derive(Debug, Clone)]
struct Attempt {
    host: Host,
    address: Option<IpAddr>,
    uses_tls: bool,
    /// Whether it is made only because the one before failed.
    is_fallback: bool,
}

impl Dialer {
    pub(super) fn new(config: &PostgresConfig) -> Self {
        Self {
            settings: config.settings.clone(),
            sets_limits: config.named_statements,
            warned_of_plain_text: AtomicBool::new(false),
            warned_of_durability: AtomicBool::new(false),
        }
    }

    /// The limit of [`open`](Self::open).
    pub(super) fn limit(&self) -> Duration {
        self.settings.connect_timeout
    }

    /// Opens a connection within the limit. `role` is added to the application's name.
    pub(super) async fn open(&self, role: &str) -> Result<Connection, Error> {
        let deadline = Instant::now() + self.limit();
        let (attempts, mut failures) = self.attempts().await;
        let mut may_fall_back = false;
        for (at, attempt) in attempts.iter().enumerate() {
            if attempt.is_fallback && !may_fall_back {
                continue;
            }
            // A host that does not answer must leave time for the others.
            let others = attempts[at + 1..].iter().filter(|it| !it.is_fallback);
            let others = u32::try_from(others.count()).unwrap_or(u32::MAX);
            let left = deadline.saturating_duration_since(Instant::now());
            let share = (left / others.saturating_add(1)).max(ATTEMPT_MIN).min(left);
            let failure = match timeout(share, self.attempt(attempt, role)).await {
                Ok(Ok(connection)) => {
                    if attempt.is_fallback && !attempt.uses_tls {
                        self.warn_of_plain_text(failures.last().map_or("", String::as_str));
                    }
                    return Ok(connection);
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new("it did not answer in time".to_owned()),
            };
            may_fall_back = failure.may_fall_back();
            failures.push(format!("{}: {}", shown(&attempt.host), failure.text));
        }
        failures.truncate(FAILURES_MAX);
        Err(Error::Connect(failures.join("; ")))
    }

    /// Returns the attempts in their order, and the reasons why hosts have none.
    async fn attempts(&self) -> (Vec<Attempt>, Vec<String>) {
        let limit = self.limit() / 2;
        let hosts = self.settings.hosts.iter();
        let resolved = hosts.map(|host| async move {
            match timeout(limit, resolved(host)).await {
                Ok(Ok(addresses)) if addresses.is_empty() => Err("it has no address".to_owned()),
                Ok(Ok(addresses)) => Ok((host, addresses)),
                Ok(Err(err)) => Err(err.to_string()),
                Err(_) => Err("its name was not resolved in time".to_owned()),
            }
            .map_err(|reason| format!("{}: {reason}", shown(host)))
        });
        let mut ways = Vec::new();
        let mut failures = Vec::new();
        for host in futures_util::future::join_all(resolved).await {
            match host {
                Ok((host, addresses)) => {
                    ways.extend(addresses.into_iter().map(|address| (host, address)));
                }
                Err(reason) => failures.push(reason),
            }
        }
        if self.settings.is_balanced {
            fastrand::shuffle(&mut ways);
        }
        ways.truncate(WAYS_MAX);
        let attempts = ways.into_iter().flat_map(|(host, address)| {
            self.transports(host, address)
                .map(move |(uses_tls, is_fallback)| Attempt {
                    host: host.clone(),
                    address,
                    uses_tls,
                    is_fallback,
                })
        });
        (attempts.collect(), failures)
    }

    /// Returns whether TLS is used, in the order of the attempts, and which of them are fallbacks.
    fn transports(
        &self,
        host: &Host,
        address: Option<IpAddr>,
    ) -> impl Iterator<Item = (bool, bool)> + use<> {
        let is_local = address.is_some_and(|address| address.is_loopback());
        let ways: &[(bool, bool)] = match (&host.name, self.settings.ssl_mode) {
            (HostName::Unix(_), _) | (_, SslMode::Disable) => &[(false, false)],
            (_, SslMode::Prefer) if !is_local => &[(true, false), (false, true)],
            (_, SslMode::Prefer | SslMode::Allow) => &[(false, false), (true, true)],
            (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[(true, false)],
        };
        ways.iter().copied()
    }

    async fn attempt(&self, attempt: &Attempt, role: &str) -> Result<Connection, Failure> {
        let materials = self.materials(attempt).await?;
        let config = self.driver_config(attempt, role, materials.password.as_ref());
        let connection = match materials.connector {
            Some(connector) => {
                let progress = Arc::new(Progress::default());
                let connector = Reporting::new(connector, Arc::clone(&progress));
                let connected = config.connect(connector).await;
                let (client, connection) = connected.map_err(|err| Failure {
                    is_of_tls: progress.has_failed(),
                    ..err.into()
                })?;
                if !progress.is_done() {
                    self.warn_of_plain_text("the server does not offer TLS");
                }
                Connection::start(client, connection)
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                Connection::start(client, connection)
            }
        };
        let greeting = connection.greet(self.sets_limits).await?;
        self.check(&greeting)?;
        Ok(connection)
    }

    /// Reads the files that the attempt needs: they may be new since the last connection.
    async fn materials(&self, attempt: &Attempt) -> Result<Materials, Failure> {
        let settings = self.settings.clone();
        let (host, uses_tls) = (attempt.host.clone(), attempt.uses_tls);
        let read = tokio::task::spawn_blocking(move || {
            let user = settings.user.as_deref().unwrap_or_default();
            let database = settings.database.as_deref().unwrap_or(user);
            let password = settings.password.read(&host, database, user);
            let password = password.map_err(Failure::new)?;
            let connector = match uses_tls {
                true => Some(tls::connector(&settings.tls, settings.ssl_mode)),
                false => None,
            };
            // Without files, TLS fails because of what this program or this system lacks.
            let is_of_tls = settings.tls.roots == Roots::System && settings.tls.identity.is_none();
            let connector = connector.transpose().map_err(|text| Failure {
                is_of_tls,
                ..Failure::new(text)
            })?;
            Ok(Materials {
                password,
                connector,
            })
        });
        let unread = || Failure::new("the files of the settings were not read".to_owned());
        read.await.map_err(|_| unread())?
    }

    fn driver_config(
        &self,
        attempt: &Attempt,
        role: &str,
        password: Option<&Secret>,
    ) -> tokio_postgres::Config {
        let settings = &self.settings;
        let mut config = tokio_postgres::Config::new();
        match &attempt.host.name {
            HostName::Tcp(name) => config.host(name),
            #[cfg(unix)]
            HostName::Unix(folder) => config.host_path(folder),
            #[cfg(not(unix))]
            HostName::Unix(_) => &mut config,
        };
        if let Some(address) = attempt.address {
            config.hostaddr(address);
        }
        config
            .port(attempt.host.port)
            .application_name(format!("{}{role}", settings.application_name))
            .tcp_user_timeout(settings.tcp_user_timeout)
            .ssl_mode(match attempt.uses_tls {
                // The server may answer that it has no TLS.
                true if settings.ssl_mode == SslMode::Prefer && !attempt.is_fallback => {
                    tokio_postgres::config::SslMode::Prefer
                }
                true => tokio_postgres::config::SslMode::Require,
                false => tokio_postgres::config::SslMode::Disable,
            })
            .channel_binding(match settings.channel_binding {
                ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
                ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
                ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
            })
            .keepalives(settings.keepalives.is_some());
        if settings.tls.is_direct {
            config.ssl_negotiation(tokio_postgres::config::SslNegotiation::Direct);
        }
        if let Some((idle, interval, count)) = settings.keepalives {
            config
                .keepalives_idle(idle)
                .keepalives_interval(interval)
                .keepalives_retries(count);
        }
        if let Some(user) = &settings.user {
            config.user(user);
        }
        if let Some(database) = &settings.database {
            config.dbname(database);
        }
        if let Some(password) = password {
            config.password(password.bytes());
        }
        config
    }

    /// Checks that the server is one that the store can use.
    fn check(&self, greeting: &Greeting) -> Result<(), Failure> {
        let target = self.settings.target;
        if greeting.is_replica && target != Target::Any {
            return Err(Failure::new("it is a read-only replica".to_owned()));
        }
        if greeting.is_read_only && target == Target::ReadWrite {
            return Err(Failure::new(
                "it is read-only: default_transaction_read_only is on for this role or database"
                    .to_owned(),
            ));
        }
        if let Some(danger) = greeting.danger()
            && !self.warned_of_durability.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                "{danger}, so that deliveries which were answered with 200 are lost if the server crashes; turn it on for the store's role"
            );
        }
        Ok(())
    }

    fn warn_of_plain_text(&self, reason: &str) {
        if !self.warned_of_plain_text.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                reason,
                "the connection to the database is not encrypted, because TLS failed and sslmode is prefer; set sslmode to verify-full, or to disable if the network is trusted"
            );
        }
    }
}

/// What an attempt reads from files.
struct Materials {
    password: Option<Secret>,
    connector: Option<MakeRustlsConnect>,
}

/// Why an attempt failed.
struct Failure {
    text: String,
    code: Option<String>,
    /// Whether it was the handshake of TLS, or its preparation.
    is_of_tls: bool,
}

impl Failure {
    fn new(text: String) -> Self {
        Self {
            text,
            code: None,
            is_of_tls: false,
        }
    }

    /// Whether the same server may accept the other of TLS and plain text.
    fn may_fall_back(&self) -> bool {
        // The code means that pg_hba.conf has no line for this.
        self.is_of_tls || self.code.as_deref() == Some("28000")
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(err: tokio_postgres::Error) -> Self {
        Self {
            code: err.code().map(|code| code.code().to_owned()),
            ..Self::new(described(&err))
        }
    }
}

async fn resolved(host: &Host) -> Result<Vec<Option<IpAddr>>, io::Error> {
    let name = match (&host.name, host.address) {
        (HostName::Unix(_), _) => return Ok(vec![None]),
        (HostName::Tcp(_), Some(address)) => return Ok(vec![Some(address)]),
        (HostName::Tcp(name), None) => name,
    };
    let addresses = tokio::net::lookup_host((name.as_str(), host.port)).await?;
    Ok(addresses.map(|it: SocketAddr| Some(it.ip())).collect())
}

fn shown(host: &Host) -> String {
    match &host.name {
        HostName::Tcp(name) => format!("{name} port {}", host.port),
        HostName::Unix(folder) => format!("{} port {}", folder.display(), host.port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transports(text: &str, address: &str) -> Vec<(bool, bool)> {
        let config = PostgresConfig::parse(text).expect("the settings are valid");
        let dialer = Dialer::new(&config);
        let ways = dialer.transports(&config.settings.hosts[0], address.parse().ok());
        ways.collect()
    }

    #[test]
    fn plain_text_is_only_used_where_sslmode_allows_it() {
        const TLS: (bool, bool) = (true, false);
        const PLAIN: (bool, bool) = (false, false);
        const THEN_TLS: (bool, bool) = (true, true);
        const THEN_PLAIN: (bool, bool) = (false, true);
        for (mode, remote, local) in [
            ("disable", vec![PLAIN], vec![PLAIN]),
            ("allow", vec![PLAIN, THEN_TLS], vec![PLAIN, THEN_TLS]),
            ("prefer", vec![TLS, THEN_PLAIN], vec![PLAIN, THEN_TLS]),
            ("require", vec![TLS], vec![TLS]),
            ("verify-full", vec![TLS], vec![TLS]),
        ] {
            let text = format!("host=db sslmode={mode}");
            assert_eq!(transports(&text, "192.0.2.1"), remote, "{mode}");
            assert_eq!(transports(&text, "::1"), local, "{mode}");
            let socket = format!("host=/run sslmode={mode}");
            assert_eq!(transports(&socket, ""), [PLAIN], "{mode}");
        }
    }
}
