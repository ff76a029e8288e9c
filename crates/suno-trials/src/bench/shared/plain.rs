//! What the server does at most: the same rows, without any of the promises.

use std::pin::pin;
use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use suno_store_postgres::tokio_postgres::binary_copy::BinaryCopyInWriter;
use suno_store_postgres::tokio_postgres::types::{ToSql, Type};
use suno_store_postgres::tokio_postgres::{self, Client, NoTls};
use suno_testkit::callback::body;

use super::subject::{Figures, Run, figures, histogram, record, task};

const TABLE: &str = "CREATE SCHEMA {schema};
    CREATE TABLE {schema}.event (key text PRIMARY KEY, stage text, received bigint, raw bytea)";
const INSERT: &str =
    "INSERT INTO {schema}.event VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING";
const COPY: &str = "COPY {schema}.event FROM STDIN BINARY";

async fn connect(run: &Run) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(run.store.url()?, NoTls)
        .await
        .context("the server cannot be reached")?;
    tokio::spawn(connection);
    Ok(client)
}

fn in_schema(run: &Run, sql: &str) -> Result<String> {
    Ok(sql.replace("{schema}", run.store.schema_name()?))
}

/// One INSERT and one commit for each request, each caller on a connection of its own.
pub(super) async fn insert(run: &Run) -> Result<Figures> {
    let first = connect(run).await?;
    first.batch_execute(&in_schema(run, TABLE)?).await?;
    let sql = in_schema(run, INSERT)?;
    let begun = Instant::now();
    let until = begun + run.duration();
    let callers = (0..run.callers).map(|_| async {
        let client = connect(run).await?;
        let statement = client.prepare(&sql).await?;
        let mut latencies = histogram()?;
        while Instant::now() < until {
            let key = task();
            let raw = body(&key, run.body_bytes).into_bytes();
            let started = Instant::now();
            client
                .execute(&statement, &[&key, &"complete", &0_i64, &raw])
                .await?;
            record(&mut latencies, started.elapsed())?;
        }
        anyhow::Ok(latencies)
    });
    let mut all = histogram()?;
    for latencies in try_join_all(callers).await? {
        all.add(latencies)?;
    }
    Ok(figures(&all, begun.elapsed(), 0))
}

/// COPY in batches of as many rows as there are callers, from one connection.
pub(super) async fn copy(run: &Run) -> Result<Figures> {
    let client = connect(run).await?;
    client.batch_execute(&in_schema(run, TABLE)?).await?;
    let sql = in_schema(run, COPY)?;
    let begun = Instant::now();
    let until = begun + run.duration();
    let mut latencies: Histogram<u64> = histogram()?;
    while Instant::now() < until {
        let rows: Vec<(String, Vec<u8>)> = (0..run.callers)
            .map(|_| {
                let key = task();
                let raw = body(&key, run.body_bytes).into_bytes();
                (key, raw)
            })
            .collect();
        let started = Instant::now();
        let sink = client.copy_in(&sql).await?;
        let types = [Type::TEXT, Type::TEXT, Type::INT8, Type::BYTEA];
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for (key, raw) in &rows {
            let row: [&(dyn ToSql + Sync); 4] = [key, &"complete", &0_i64, raw];
            writer.as_mut().write(&row).await?;
        }
        writer.as_mut().finish().await?;
        for _ in &rows {
            record(&mut latencies, started.elapsed())?;
        }
    }
    Ok(figures(&latencies, begun.elapsed(), 0))
}
