//! The server for the tests: `SUNO_TEST_POSTGRES_URL`, and a schema for each test.

use std::io::Write;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use suno_callback::Delivery;
use suno_store_postgres::tokio_postgres::{self, Client, NoTls};
use suno_store_postgres::{PostgresConfig, PostgresStore};

static SCHEMAS: AtomicU64 = AtomicU64::new(0);

static SKIPPED: Once = Once::new();

/// Returns the URL of the server, or says once that tests are skipped.
pub(crate) fn url() -> Option<String> {
    let url = std::env::var("SUNO_TEST_POSTGRES_URL").ok();
    if url.is_none() {
        // The output of tests that pass is not shown, except for what is written past the macros.
        SKIPPED.call_once(|| {
            let says =
                b"SKIPPED: the tests with a server, because SUNO_TEST_POSTGRES_URL is not set\n";
            std::io::stderr().write_all(says).unwrap();
        });
    }
    url
}

/// A schema that is dropped at the end of the test.
pub(crate) struct Schema {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) client: Client,
}

impl Schema {
    /// Chooses a schema, or `None` if there is no server.
    pub(crate) async fn new() -> Option<Self> {
        let url = url()?;
        let number = SCHEMAS.fetch_add(1, Ordering::SeqCst);
        let name = format!("suno_test_{}_{number}", std::process::id());
        let client = connect(&url).await;
        let schema = Self { url, name, client };
        schema.drop_now().await;
        Some(schema)
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        let config = PostgresConfig::parse(&self.url).unwrap();
        config.with_schema(self.name.as_str()).with_connections(4)
    }

    pub(crate) async fn store(&self) -> PostgresStore {
        PostgresStore::connect(self.config()).await.unwrap()
    }

    /// Runs statements with `{schema}` in them.
    pub(crate) async fn run(&self, sql: &str) {
        let sql = sql.replace("{schema}", &self.name);
        self.client.batch_execute(&sql).await.unwrap();
    }

    /// Returns the number in the first column of the only row.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let sql = sql.replace("{schema}", &self.name);
        let row = self.client.query_one(&sql, &[]).await.unwrap();
        row.get(0)
    }

    /// Shows the store a server's clock that differs by so many microseconds.
    pub(crate) async fn shift_clock(&self, micros: i64) {
        self.run(&format!(
            "CREATE OR REPLACE FUNCTION {{schema}}.wall() RETURNS bigint LANGUAGE sql VOLATILE AS
             $$ SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint
                + ({micros}) $$"
        ))
        .await;
    }

    /// Creates a role with settings, and returns a URL with it. The schema belongs to another one, so
    /// that the role can be dropped by [`Self::drop_role`].
    pub(crate) async fn role_with(&self, settings: &[&str]) -> String {
        drop(self.store().await);
        self.drop_role().await;
        self.run("CREATE ROLE {schema}_role SUPERUSER LOGIN").await;
        for setting in settings {
            self.run(&format!("ALTER ROLE {{schema}}_role SET {setting}"))
                .await;
        }
        self.url
            .replace("//root@", &format!("//{}_role@", self.name))
    }

    pub(crate) async fn drop_role(&self) {
        let sql = "SET client_min_messages = warning; DROP ROLE IF EXISTS {schema}_role";
        self.run(sql).await;
    }

    /// Removes everything that a store has written, which is faster than a new schema.
    pub(crate) async fn empty(&self) {
        self.run(
            "DO $$ DECLARE name text; BEGIN
                 FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'
                     AND tablename NOT IN ('meta', 'mark') LOOP
                     EXECUTE format('LOCK TABLE {schema}.%I', name);
                     EXECUTE format('DELETE FROM {schema}.%I', name);
                 END LOOP;
                 UPDATE {schema}.meta SET clock_offset = 0, seen = 0;
                 UPDATE {schema}.mark SET through = 0;
             END $$",
        )
        .await;
    }

    /// Shows the store a server's clock that stands still at a time.
    pub(crate) async fn stop_clock(&self, micros: i64) {
        self.run(&format!(
            "CREATE OR REPLACE FUNCTION {{schema}}.wall() RETURNS bigint LANGUAGE sql VOLATILE AS
             $$ SELECT {micros}::bigint $$"
        ))
        .await;
    }

    pub(crate) async fn drop_now(&self) {
        self.run("SET client_min_messages = warning; DROP SCHEMA IF EXISTS {schema} CASCADE")
            .await;
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // A test that failed drops its schema, too.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(async {
                let client = connect(&url).await;
                let prepare = "SET client_min_messages = warning; SET lock_timeout = '20s'";
                client.batch_execute(prepare).await.unwrap();
                for sql in [
                    format!("DROP SCHEMA IF EXISTS {name} CASCADE"),
                    format!("DROP ROLE IF EXISTS {name}_role"),
                ] {
                    if let Err(err) = client.batch_execute(&sql).await {
                        let says = format!("{name} could not be dropped: {err:?}\n");
                        std::io::stderr().write_all(says.as_bytes()).unwrap();
                    }
                }
            });
        });
        let _ = dropped.join();
    }
}

/// Connects without the store.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

/// Creates a delivery of a stage of a task.
pub(crate) fn delivery(task: &str, stage: &str) -> Delivery {
    let code = if stage == "failed" { 501 } else { 200 };
    let body = format!(
        r#"{{"code":{code},"msg":"m","data":{{"callbackType":"{stage}","task_id":"{task}",
            "data":[{{"id":"t1","audio_url":"https://media.example.com/t","duration":10}}]}}}}"#
    );
    let received_at = "2026-11-28T12:00:00Z".parse().unwrap();
    Delivery::decode(body.into(), received_at)
}

/// The lease of claims in the tests.
pub(crate) const LEASE: Duration = Duration::from_secs(60);
