//! Tests of the connections against a server. See `tests/it` for the server and the proxy.

#[path = "../../../tests/it/proxy.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "shared with the integration tests"
)]
mod proxy;

mod cutting;
mod database;
mod dropping;
mod pooling;
mod waking;

use std::time::Duration;

use database::Database;
use suno_callback::StoreError;
use tokio_postgres::types::Type;

use super::{Connections, Error, Timings};
use crate::{PostgresConfig, Wake};

/// A time limit that a good answer never reaches.
const LIMIT: Duration = Duration::from_secs(8);

/// Short times, so that the tests are short.
const TIMINGS: Timings = Timings {
    pool_wait: Duration::from_millis(300),
    idle_unchecked_max: Duration::from_millis(50),
};

/// The same without checks of idle connections, which are messages, too.
const UNCHECKED: Timings = Timings {
    idle_unchecked_max: Duration::from_secs(60),
    ..TIMINGS
};

async fn open(config: PostgresConfig) -> Connections {
    Connections::open_with(&config, TIMINGS).await.unwrap()
}

/// Creates the schema with a table of numbers.
async fn create_table(database: &Database) {
    let schema = &database.schema;
    let sql = format!(
        "CREATE SCHEMA \"{schema}\"; CREATE TABLE \"{schema}\".numbers (number int8 PRIMARY KEY)"
    );
    database.client().await.batch_execute(&sql).await.unwrap();
}

/// Stores a number in a transaction, as the store does: pipelined. Returns whether it is new.
async fn store(
    connections: &Connections,
    number: i64,
    limit: Duration,
) -> Result<bool, StoreError> {
    connections
        .with(limit, |session| async move {
            let begun = session.batch("BEGIN");
            let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 1] =
                [(&number, Type::INT8)];
            let inserted = session.query(
                "INSERT INTO {schema}.numbers VALUES ($1) ON CONFLICT DO NOTHING RETURNING number",
                &parameters,
            );
            let ended = session.batch("COMMIT");
            let (_, rows, _) = tokio::try_join!(biased; begun, inserted, ended)?;
            Ok(!rows.is_empty())
        })
        .await
}

/// Returns a number after asking the server for it.
async fn echo(connections: &Connections, number: i64) -> Result<i64, StoreError> {
    connections
        .with(LIMIT, |session| async move {
            let rows = session.query("SELECT $1", &[(&number, Type::INT8)]).await?;
            let row = rows.first().ok_or(Error::Damaged("there is no row"))?;
            Ok(row.try_get(0)?)
        })
        .await
}

/// The settings for tests that count connections: none but those of the pool.
fn alone(config: PostgresConfig) -> PostgresConfig {
    config.with_wake(Wake::Poll)
}

/// The text of an error with its causes.
fn shown(err: &StoreError) -> String {
    let mut text = err.to_string();
    let mut cause = std::error::Error::source(err);
    while let Some(err) = cause {
        text = format!("{text}: {err}");
        cause = err.source();
    }
    text
}
