//! Opens one connection: which hosts are tried, with and without TLS, and for how long.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::{Connection, Greeting};
use super::error::{Error, described};
use super::tls;
use crate::PostgresConfig;
use crate::config::{ChannelBinding, Host, HostName, Secret, Settings, SslMode, Target};

/// The shortest time for one attempt, however many are left.
const ATTEMPT_MIN: Duration = Duration::from_millis(200);

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
        let (attempts, unresolved) = match timeout(self.limit(), self.attempts()).await {
            Ok(attempts) => attempts,
            Err(_) => (
                Vec::new(),
                Some("the name of the host was not resolved in time".to_owned()),
            ),
        };
        let mut failure = unresolved;
        let mut may_fall_back = false;
        for (at, attempt) in attempts.iter().enumerate() {
            if attempt.is_fallback && !may_fall_back {
                continue;
            }
            // A host that does not answer must leave time for the others.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(attempts.len() - at).unwrap_or(u32::MAX);
            let result = timeout(
                share.max(ATTEMPT_MIN).min(left),
                self.attempt(attempt, role),
            )
            .await;
            let err = match result {
                Ok(Ok(connection)) => {
                    if attempt.is_fallback && !attempt.uses_tls {
                        self.warn_of_plain_text(failure.as_deref().unwrap_or_default());
                    }
                    return Ok(connection);
                }
                Ok(Err(err)) => err,
                Err(_) => Failure::of_server("it did not answer in time".to_owned()),
            };
            may_fall_back = err.may_fall_back(attempt.uses_tls);
            failure = Some(format!("{}: {}", shown(&attempt.host), err.text));
        }
        Err(Error::Connect(failure.unwrap_or_else(|| {
            "no address was found for the host".to_owned()
        })))
    }

    /// Returns all attempts in their order, and the reason why a host has none.
    async fn attempts(&self) -> (Vec<Attempt>, Option<String>) {
        let mut attempts = Vec::new();
        let mut unresolved = None;
        for host in &self.settings.hosts {
            let mut addresses = match resolved(host).await {
                Ok(addresses) => addresses,
                Err(err) => {
                    unresolved = Some(format!("{}: {err}", shown(host)));
                    continue;
                }
            };
            if self.settings.is_balanced {
                fastrand::shuffle(&mut addresses);
            }
            let of_host = addresses.into_iter().map(|address| {
                self.transports(host, address)
                    .map(|(uses_tls, is_fallback)| Attempt {
                        host: host.clone(),
                        address,
                        uses_tls,
                        is_fallback,
                    })
                    .collect::<Vec<_>>()
            });
            attempts.extend(of_host);
        }
        if self.settings.is_balanced {
            fastrand::shuffle(&mut attempts);
        }
        (attempts.into_iter().flatten().collect(), unresolved)
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
        let materials = self
            .materials(attempt)
            .await
            .map_err(Failure::of_settings)?;
        let config = self.driver_config(attempt, role, materials.password.as_ref());
        let connection = match materials.connector {
            Some(connector) => {
                let (client, connection) = config.connect(connector).await?;
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
    async fn materials(&self, attempt: &Attempt) -> Result<Materials, String> {
        let settings = self.settings.clone();
        let (host, uses_tls) = (attempt.host.clone(), attempt.uses_tls);
        let read = tokio::task::spawn_blocking(move || {
            let user = settings.user.as_deref().unwrap_or_default();
            let database = settings.database.as_deref().unwrap_or(user);
            let password = settings.password.read(&host, database, user)?;
            let connector = match uses_tls {
                true => Some(tls::connector(&settings.tls, settings.ssl_mode)?),
                false => None,
            };
            Ok(Materials {
                password,
                connector,
            })
        });
        read.await
            .unwrap_or_else(|_| Err("the files of the settings were not read".to_owned()))
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
            return Err(Failure::of_server("it is a read-only replica".to_owned()));
        }
        if greeting.is_read_only && target == Target::ReadWrite {
            return Err(Failure::of_server(
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
    is_network: bool,
}

impl Failure {
    fn of_server(text: String) -> Self {
        Self {
            text,
            code: None,
            is_network: true,
        }
    }

    fn of_settings(text: String) -> Self {
        Self {
            text,
            code: None,
            is_network: false,
        }
    }

    /// Whether the same server may accept the other of TLS and plain text.
    fn may_fall_back(&self, used_tls: bool) -> bool {
        match self.code.as_deref() {
            // pg_hba.conf has no line for this.
            Some(code) => code == "28000",
            None => used_tls && !self.is_network,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(err: tokio_postgres::Error) -> Self {
        let cause = err
            .source()
            .and_then(|cause| cause.downcast_ref::<io::Error>());
        let is_handshake = cause
            .and_then(io::Error::get_ref)
            .is_some_and(|cause| cause.is::<rustls::Error>());
        Self {
            text: described(&err),
            code: err.code().map(|code| code.code().to_owned()),
            is_network: cause.is_some() && !is_handshake,
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
