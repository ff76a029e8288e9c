//! The upper limit of the server: the same rows, without any of the promises.

use std::pin::Pin;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use suno_callback::Content;
use suno_store_postgres::tokio_postgres::binary_copy::BinaryCopyInWriter;
use suno_store_postgres::tokio_postgres::types::{ToSql, Type};
use suno_store_postgres::tokio_postgres::{self, Client, NoTls};
use suno_testkit::callback::body;
use suno_types::Stage;

use super::subject::{Figures, Run, figures, histogram, record, task};
use crate::bench::growth::delivery;

const TABLE: &str = "CREATE SCHEMA {schema};
    CREATE TABLE {schema}.event (key text PRIMARY KEY, stage text, received bigint, raw bytea)";
const INSERT: &str =
    "INSERT INTO {schema}.event VALUES ($1, $2, $3, $4) ON CONFLICT (key) DO NOTHING";
const COPY: &str = "COPY {schema}.event FROM STDIN BINARY";
/// The tables of a store that accepting an event writes into.
const ALL_COPIES: [&str; 4] = [
    "COPY {schema}.task (no, key, id) FROM STDIN BINARY",
    "COPY {schema}.event (no, task_no, stored_at, received_at, code, results, revision, source, verified_by,
        unconfirmed, strict, semantic, stage) FROM STDIN BINARY",
    "COPY {schema}.body (event_no, raw) FROM STDIN BINARY",
    "COPY {schema}.work (event_no, task_no, at, due, open_since, worker, epoch, attempts, lapses, nudges,
        state) FROM STDIN BINARY",
];

pub(super) async fn connect(run: &Run) -> Result<Client> {
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
    in_batches(run, async |keys| {
        let bodies = keys
            .iter()
            .map(|key| body(key, run.body_bytes).into_bytes());
        let bodies: Vec<_> = bodies.collect();
        let started = Instant::now();
        let types = [Type::TEXT, Type::TEXT, Type::INT8, Type::BYTEA];
        let mut rows = Copy::into(&client, &in_schema(run, COPY)?, &types).await?;
        for (key, raw) in keys.iter().zip(&bodies) {
            rows.write(&[key, &"complete", &0_i64, raw]).await?;
        }
        rows.finish().await?;
        Ok(started)
    })
    .await
}

/// COPY of every row that accepting an event writes, into the tables and indexes of a store: in batches
/// of as many events as there are callers, one transaction each, from one connection.
pub(super) async fn copy_all(run: &Run) -> Result<Figures> {
    drop(run.store.open().await?);
    let client = connect(run).await?;
    let mut number = 0_i64;
    let copies = ALL_COPIES.map(|sql| in_schema(run, sql));
    let [task, event, body, work] = copies;
    let (task, event, body, work) = (task?, event?, body?, work?);
    in_batches(run, async |keys| {
        let deliveries = keys.iter().map(|key| delivery(key, run.body_bytes));
        let deliveries = deliveries.collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        let first = number + 1;
        client.batch_execute("BEGIN").await?;
        let mut rows = Copy::into(&client, &task, &[Type::INT8, Type::BYTEA, Type::TEXT]).await?;
        for (no, key) in (first..).zip(keys) {
            rows.write(&[&no, &&u128::from_str_radix(key, 16)?.to_be_bytes()[..], key])
                .await?;
        }
        rows.finish().await?;
        let types = [
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT4,
            Type::INT2,
            Type::INT2,
            Type::INT2,
            Type::BOOL,
            Type::BYTEA,
            Type::BYTEA,
            Type::TEXT,
        ];
        let mut rows = Copy::into(&client, &event, &types).await?;
        for (no, delivery) in (first..).zip(&deliveries) {
            let Content::Event { semantic, .. } = &delivery.content else {
                bail!("the body is not an event");
            };
            let (strict, semantic) = (&delivery.strict.0[..], &semantic.0[..]);
            let stage = Stage::Complete.as_str().to_owned();
            rows.write(&[
                &no, &no, &no, &0_i64, &200_i64, &2_i32, &0_i16, &0_i16, &0_i16, &false, &strict,
                &semantic, &stage,
            ])
            .await?;
        }
        rows.finish().await?;
        let mut rows = Copy::into(&client, &body, &[Type::INT8, Type::BYTEA]).await?;
        for (no, delivery) in (first..).zip(&deliveries) {
            rows.write(&[&no, &&delivery.raw[..]]).await?;
        }
        rows.finish().await?;
        let types = [
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT8,
            Type::INT4,
            Type::INT2,
        ];
        let mut rows = Copy::into(&client, &work, &types).await?;
        for (no, _) in (first..).zip(keys) {
            rows.write(&[
                &no, &no, &no, &no, &no, &0_i64, &0_i64, &0_i64, &0_i64, &0_i32, &0_i16,
            ])
            .await?;
            number = no;
        }
        rows.finish().await?;
        client.batch_execute("COMMIT").await?;
        Ok(started)
    })
    .await
}

/// Runs one batch after the other. A batch returns when it began.
async fn in_batches(
    run: &Run,
    mut batch: impl AsyncFnMut(&[String]) -> Result<Instant>,
) -> Result<Figures> {
    let begun = Instant::now();
    let until = begun + run.duration();
    let mut latencies: Histogram<u64> = histogram()?;
    while Instant::now() < until {
        let keys: Vec<String> = (0..run.callers).map(|_| task()).collect();
        let started = batch(&keys).await?;
        for _ in &keys {
            record(&mut latencies, started.elapsed())?;
        }
    }
    Ok(figures(&latencies, begun.elapsed(), 0))
}

/// A COPY that is under way.
struct Copy(Pin<Box<BinaryCopyInWriter>>);

impl Copy {
    async fn into(client: &Client, sql: &str, types: &[Type]) -> Result<Self> {
        let sink = client.copy_in(sql).await?;
        Ok(Self(Box::pin(BinaryCopyInWriter::new(sink, types))))
    }

    async fn write(&mut self, row: &[&(dyn ToSql + Sync)]) -> Result<()> {
        Ok(self.0.as_mut().write(row).await?)
    }

    async fn finish(mut self) -> Result<()> {
        self.0.as_mut().finish().await?;
        Ok(())
    }
}
