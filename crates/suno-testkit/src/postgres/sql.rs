//! SQL on a connection of its own.

use std::thread;

use anyhow::{Context, Result, anyhow};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Runs SQL on a new connection without TLS and returns the rows: values apart by `|`, rows by a
/// newline, and null as an empty value.
///
/// It may be called anywhere, also within an async runtime, which it blocks.
///
/// # Errors
///
/// Returns an error with the server's message if it fails.
pub fn sql(url: &str, text: &str) -> Result<String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the async runtime could not start")?;
        runtime.block_on(run(url, text))
    };
    // A runtime cannot be started within another one.
    let result = thread::scope(|scope| scope.spawn(run).join());
    result.map_err(|_| anyhow!("the thread that runs SQL panicked"))?
}

async fn run(url: &str, text: &str) -> Result<String> {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.context("cannot connect to PostgreSQL")?;
    let connection = tokio::spawn(connection);
    let messages = client.simple_query(text).await;
    drop(client);
    let _ = connection.await;
    let messages = messages.map_err(|err| match err.as_db_error() {
        Some(refused) => anyhow!("{}: {}", refused.code().code(), refused.message()),
        None => anyhow!(err),
    })?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let rows = rows.map(|row| {
        let values = (0..row.len()).map(|column| row.get(column).unwrap_or_default());
        values.collect::<Vec<_>>().join("|")
    });
    Ok(rows.collect::<Vec<_>>().join("\n"))
}
