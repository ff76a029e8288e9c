//! A pooler in transaction mode between the store and the server. Debian 12 has pgbouncer 1.18, which
//! knows no named statements.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use suno_callback::conformance::check;
use suno_callback::{
    Acceptance, ClaimRequest, IdempotencyStore, SettleResult, Settlement, WorkerId,
};
use suno_store_postgres::tokio_postgres::{self, Client, NoTls};
use suno_store_postgres::{PostgresConfig, PostgresStore, Wake};
use tempfile::TempDir;

use crate::cluster::{give_to_server, is_root};
use crate::contract::{Schemas, expect_kept};
use crate::server::{LEASE, Schema, delivery};

/// The number in the name of the pooler's socket; no port is used.
const SOCKET_NUMBER: u16 = 6432;

/// A running pgbouncer with two connections to the server.
struct Pooler {
    folder: TempDir,
    program: PathBuf,
    process: Child,
    database: String,
}

impl Pooler {
    async fn start(schema: &Schema) -> Option<Self> {
        Self::start_with(schema, "SELECT 1").await
    }

    /// Starts a pooler that runs a statement on each new connection to the server.
    async fn start_with(schema: &Schema, connect_query: &str) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let programs = folders.map(|folder| folder.join("pgbouncer"));
        let Some(program) = { programs }.find(|program| program.exists()) else {
            skipped("pgbouncer was not found");
            return None;
        };
        let driver: tokio_postgres::Config = schema.url.parse().unwrap();
        let tokio_postgres::config::Host::Tcp(host) = &driver.get_hosts()[0] else {
            panic!("the server of the tests must be reached by TCP");
        };
        let folder = tempfile::Builder::new()
            .prefix("suno-pooler")
            .tempdir()
            .unwrap();
        let socket = folder.path().display();
        let password = driver.get_password().map(String::from_utf8_lossy);
        let password = password.map(|text| format!(" password='{}'", text.replace('\'', "''")));
        let settings = format!(
            "[databases]\n* = host={host} port={} user={}{} connect_query='{connect_query}'\n\
             [pgbouncer]\nlisten_port = {SOCKET_NUMBER}\nunix_socket_dir = {socket}\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n\
             max_client_conn = 100\nlogfile = {socket}/log\n",
            driver.get_ports().first().copied().unwrap_or(5432),
            driver.get_user().unwrap_or("postgres"),
            password.unwrap_or_default(),
        );
        fs::write(folder.path().join("pooler.ini"), settings).unwrap();
        give_to_server(folder.path());
        let mut pooler = Self {
            process: run(&program, folder.path()),
            folder,
            program,
            database: driver.get_dbname().unwrap_or("postgres").to_owned(),
        };
        pooler.until_ready().await;
        Some(pooler)
    }

    async fn until_ready(&mut self) {
        let started = Instant::now();
        while self.try_client().await.is_none() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_secs(10), "{log}");
            assert!(self.process.try_wait().unwrap().is_none(), "{log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn restart(&mut self) {
        self.stop();
        self.process = run(&self.program, self.folder.path());
        self.until_ready().await;
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn text(&self) -> String {
        format!(
            "host='{}' port={SOCKET_NUMBER} user=any dbname={}",
            self.folder.path().display(),
            self.database
        )
    }

    fn config(&self, schema: &Schema) -> PostgresConfig {
        let config = PostgresConfig::parse(&self.text()).unwrap();
        config
            .with_schema(schema.name.as_str())
            .with_named_statements(false)
    }

    async fn try_client(&self) -> Option<Client> {
        let (client, connection) = tokio_postgres::connect(&self.text(), NoTls).await.ok()?;
        tokio::spawn(async move {
            let _ = connection.await;
        });
        client.simple_query("SELECT 1").await.ok()?;
        Some(client)
    }

    /// Returns how many statements are prepared on the pooler's two connections to the server.
    async fn prepared_statements(&self) -> Vec<String> {
        let mut counts = Vec::new();
        let mut held = Vec::new();
        for _ in 0..2 {
            let client = self.try_client().await.unwrap();
            let sql = "BEGIN; SELECT count(*) FROM pg_prepared_statements";
            for message in client.simple_query(sql).await.unwrap() {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                    counts.push(row.get(0).unwrap().to_owned());
                }
            }
            // Its transaction holds one connection, so that the next client gets the other.
            held.push(client);
        }
        counts
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(program: &Path, folder: &Path) -> Child {
    let mut command = Command::new(program);
    if is_root() {
        use std::os::unix::process::CommandExt as _;
        command.uid(server_user());
    }
    command
        .arg("-q")
        .arg(folder.join("pooler.ini"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The number of the user `postgres`: pgbouncer does not run as root.
fn server_user() -> u32 {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users
        .lines()
        .find_map(|line| line.strip_prefix("postgres:"));
    let number = user.and_then(|fields| fields.split(':').nth(1));
    number.unwrap().parse().unwrap()
}

fn skipped(reason: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let line = format!("SKIPPED: tests of poolers, because {reason}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    });
}

/// Accepts, claims and settles tasks of a store. Returns how many were settled.
async fn work(store: &PostgresStore, worker: i64, tasks: usize) -> usize {
    let mut settlements = Vec::new();
    let mut settled = 0;
    for round in 0..=tasks {
        if round < tasks {
            let task = format!("pooled-{worker}-{round}");
            let accepted = store.accept(&[delivery(&task, "complete")]).await.unwrap();
            assert_eq!(accepted, [Acceptance::New]);
            let repeated = store.accept(&[delivery(&task, "complete")]).await.unwrap();
            assert_eq!(repeated, [Acceptance::Duplicate]);
        }
        let number = u64::try_from(round).unwrap() + 1;
        let request = ClaimRequest::new(worker_id(worker), number, LEASE, 9);
        let request = request.with_settlements(std::mem::take(&mut settlements));
        let claims = store.claim(&request).await.unwrap();
        let is_settled = |result: &&SettleResult| **result == SettleResult::Settled;
        settled += claims.settled.iter().filter(is_settled).count();
        let done = claims
            .claims
            .iter()
            .map(|claim| (claim.ticket, Settlement::Done));
        settlements.extend(done);
    }
    settled
}

fn worker_id(number: i64) -> WorkerId {
    WorkerId(number.unsigned_abs())
}

/// Fault case 21.
#[tokio::test]
async fn two_connections_of_a_pooler_serve_two_stores_without_named_statements() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let Some(mut pooler) = Pooler::start(&schema).await else {
        return;
    };
    let config = || pooler.config(&schema).with_wake(Wake::Poll);
    let one = PostgresStore::connect(config()).await.unwrap();
    let other = PostgresStore::connect(config()).await.unwrap();
    let (first, second) = tokio::join!(work(&one, 1, 15), work(&other, 2, 15));
    // What one has claimed last is settled by nobody.
    assert!(first + second >= 28, "{first} {second}");
    assert_eq!(pooler.prepared_statements().await, ["0", "0"]);
    pooler.restart().await;
    // Connections that ended are noticed at the latest when they are used.
    let mut failures = 0;
    for task in 0..10 {
        let delivery = [delivery(&format!("after-{task}"), "text")];
        while let Err(err) = one.accept(&delivery).await {
            assert!(err.is_retryable(), "{err:?}");
            failures += 1;
            assert!(failures < 4, "{err:?}");
        }
    }
}

/// Fault case 21: the whole suite.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract_behind_a_pooler() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    // As in the suite without a pooler, commits do not wait for the disk.
    let fast = "SET synchronous_commit = off";
    let Some(pooler) = Pooler::start_with(&schema, fast).await else {
        return;
    };
    let pooled = pooler.config(&schema).with_wake(Wake::Poll);
    let schemas = Schemas::new(schema, move |_| pooled.clone()).await;
    expect_kept(&check(&schemas).await);
    assert_eq!(pooler.prepared_statements().await, ["0", "0"]);
}

/// Counts the warnings of this thread.
struct Warnings(AtomicUsize);

impl tracing::Subscriber for &'static Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Fault case 18: the pooler accepts LISTEN and delivers nothing.
#[tokio::test]
async fn a_store_that_is_not_notified_says_so_once_and_looks_each_second() {
    static WARNINGS: Warnings = Warnings(AtomicUsize::new(0));
    let Some(schema) = Schema::new().await else {
        return;
    };
    let Some(pooler) = Pooler::start(&schema).await else {
        return;
    };
    // With one dispatcher alone, a warning that another thread reaches first would be off in this one, too.
    static OTHERS: Warnings = Warnings(AtomicUsize::new(0));
    let _other = tracing::Dispatch::new(&OTHERS);
    let guard = tracing::subscriber::set_default(&WARNINGS);
    let store = PostgresStore::connect(pooler.config(&schema))
        .await
        .unwrap();
    let started = Instant::now();
    while WARNINGS.0.load(Ordering::SeqCst) == 0 {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "nothing was said"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let other = schema.store().await;
    for task in 0..3 {
        let started = Instant::now();
        let delivery = [delivery(&format!("polled-{task}"), "text")];
        let (waited, accepted) =
            tokio::join!(store.wait(Duration::from_secs(5)), other.accept(&delivery));
        waited.unwrap();
        accepted.unwrap();
        let elapsed = started.elapsed();
        assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
        let request = ClaimRequest::new(WorkerId(5), task + 1, LEASE, 9);
        assert_eq!(store.claim(&request).await.unwrap().claims.len(), 1);
    }
    assert_eq!(WARNINGS.0.load(Ordering::SeqCst), 1);
    drop(guard);
}
