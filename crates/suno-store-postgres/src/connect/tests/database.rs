//! The server of the tests. Each test has a schema of its own, which it drops.

use std::io::Write as _;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::{Client, NoTls};

use crate::config::{PasswordSource, Secret};
use crate::{PostgresConfig, Wake};

/// The variable that names the server.
const VARIABLE: &str = "SUNO_TEST_POSTGRES_URL";

/// A schema of one test, and a role. Both are dropped at the end, also if the test fails.
pub(super) struct Database {
    url: String,
    pub(super) schema: String,
}

impl Database {
    /// Returns the database of a test, or nothing if there is no server: then the test is skipped,
    /// which is said once.
    pub(super) fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let url = url()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let schema = format!("suno_unit_{}_{count}", std::process::id());
        Some(Self { url, schema })
    }

    /// The settings of a store in this schema.
    pub(super) fn config(&self) -> PostgresConfig {
        let config = PostgresConfig::parse(&self.url).expect("the URL of the tests is valid");
        config.with_schema(&self.schema)
    }

    /// The address of the server.
    pub(super) fn server(&self) -> std::net::SocketAddr {
        use std::net::ToSocketAddrs as _;
        let driver: tokio_postgres::Config = self.url.parse().expect("a URL of the driver");
        let tokio_postgres::config::Host::Tcp(name) = &driver.get_hosts()[0] else {
            panic!("the URL of the tests must have a TCP host");
        };
        let port = driver.get_ports().first().copied().unwrap_or(5432);
        let mut addresses = (name.as_str(), port).to_socket_addrs().unwrap();
        addresses.next().unwrap()
    }

    /// The settings of a store that reaches the server by way of another address.
    pub(super) fn config_by(&self, address: std::net::SocketAddr) -> PostgresConfig {
        let driver: tokio_postgres::Config = self.url.parse().expect("a URL of the driver");
        let word = |name: &str, value: Option<&str>| match value {
            Some(value) => format!("{name}='{}' ", value.replace('\'', "\\'")),
            None => String::new(),
        };
        let password = driver.get_password().map(String::from_utf8_lossy);
        let text = format!(
            "host={} port={} sslmode=disable {}{}{}",
            address.ip(),
            address.port(),
            word("user", driver.get_user()),
            word("dbname", driver.get_dbname()),
            word("password", password.as_deref()),
        );
        let config = PostgresConfig::parse(&text).expect("the settings of the tests are valid");
        config.with_schema(&self.schema)
    }

    /// The settings for a role of the test's own with attributes and a setting. It polls, since it may
    /// have only one connection.
    pub(super) async fn config_of_role(&self, attributes: &str, setting: &str) -> PostgresConfig {
        let name = format!("{}_role", self.schema);
        let client = self.client().await;
        let create = format!("CREATE ROLE \"{name}\" LOGIN {attributes} PASSWORD 'role'");
        client.batch_execute(&create).await.unwrap();
        if !setting.is_empty() {
            let set = format!("ALTER ROLE \"{name}\" SET {setting}");
            client.batch_execute(&set).await.unwrap();
        }
        let mut config = self.config().with_wake(Wake::Poll);
        let settings = &mut config.settings;
        settings.user = Some(name);
        settings.password = PasswordSource::Text(Secret::new("role"));
        if settings.database.is_none() {
            settings.database = Some("postgres".to_owned());
        }
        config
    }

    /// A connection that has nothing to do with the store.
    pub(super) async fn client(&self) -> Client {
        client(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (url, schema) = (self.url.clone(), self.schema.clone());
        // A test's runtime may be gone, or this thread may be within it.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = client(&url).await;
                for sql in [
                    format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE"),
                    format!("DROP ROLE IF EXISTS \"{schema}_role\""),
                ] {
                    client.batch_execute(&sql).await.unwrap();
                }
            });
        });
        let dropped = dropped.join();
        assert!(
            std::thread::panicking() || dropped.is_ok(),
            "the schema of the test was not dropped"
        );
    }
}

/// Connects with the driver alone.
async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn url() -> Option<String> {
    let url = std::env::var(VARIABLE).ok().filter(|url| !url.is_empty());
    if url.is_none() {
        skipped(&format!("{VARIABLE} is not set"));
    }
    url
}

/// Says once, past the capture of the test harness, that tests were skipped.
fn skipped(reason: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let line = format!("SKIPPED: tests of suno-store-postgres, because {reason}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    });
}
