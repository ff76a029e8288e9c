//! Figures, to be read by people: `cargo test --release -p suno-store-postgres --test it measuring --
//! --ignored --nocapture --test-threads 1`. Believe the ratios.

#![allow(clippy::print_stdout, reason = "the figures are for people")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use futures_util::future::join_all;
use suno_callback::{ClaimRequest, Delivery, IdempotencyStore, Settlement, WorkerId};
use suno_store_postgres::PostgresStore;

use crate::server::{LEASE, Schema, connect, delivery};

const BATCH: usize = 64;
const BATCHES: usize = 150;
const BODY_BYTES: usize = 1_024;

fn body(task: &str) -> Delivery {
    let small = delivery(task, "complete");
    let mut raw = small.raw.to_vec();
    let mut random = fastrand::Rng::with_seed(task.len() as u64);
    raw.extend(b"         ");
    while raw.len() < BODY_BYTES {
        raw.push(b' ' + u8::from(random.bool()) * 3);
    }
    raw.retain(|byte| *byte != b'#');
    raw.resize(BODY_BYTES, b' ');
    Delivery::decode(raw.into(), small.received_at)
}

fn batches(name: &str, stage: &str) -> Vec<Vec<Delivery>> {
    let batch = |batch: usize| {
        let one = move |number: usize| match stage {
            "complete" => body(&format!("{name}-{batch}-{number}")),
            stage => delivery(&format!("{name}-{batch}-{number}"), stage),
        };
        (0..BATCH).map(one).collect()
    };
    (0..BATCHES).map(batch).collect()
}

fn say(what: &str, rows: usize, took: Duration) -> f64 {
    let rate = rows as f64 / took.as_secs_f64();
    println!("{what}: {rate:.0} rows/s");
    rate
}

async fn accept_all(
    store: &PostgresStore,
    batches: Vec<Vec<Delivery>>,
    at_once: usize,
) -> Duration {
    let batches = Arc::new(batches);
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let workers = (0..at_once).map(|_| {
        let (store, batches, next) = (store.clone(), Arc::clone(&batches), Arc::clone(&next));
        tokio::spawn(async move {
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::SeqCst)) {
                store.accept(batch).await.unwrap();
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    start.elapsed()
}

async fn copy(schema: &Schema, at_once: usize) -> f64 {
    schema
        .run(
            "CREATE SCHEMA IF NOT EXISTS {schema}; DROP TABLE IF EXISTS {schema}.flat;
             CREATE TABLE {schema}.flat (no bigserial, key bytea PRIMARY KEY, id text, stage text,
                code bigint, received bigint, raw bytea)",
        )
        .await;
    let start = Instant::now();
    let workers = (0..at_once).map(|worker| {
        let (url, name) = (schema.url.clone(), schema.name.clone());
        tokio::spawn(async move {
            let client = connect(&url).await;
            let sql = format!("COPY {name}.flat (key, id, stage, code, received, raw) FROM STDIN");
            for batch in 0..BATCHES / at_once {
                let mut text = String::new();
                for number in 0..BATCH {
                    let key: String = (0..16)
                        .map(|_| format!("{:02x}", fastrand::u8(..)))
                        .collect();
                    let raw = body(&format!("c-{worker}-{batch}-{number}")).raw;
                    let raw: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
                    let id = format!("{worker}-{batch}-{number}");
                    text += &format!("\\\\x{key}\t{id}\tcomplete\t200\t1\t\\\\x{raw}\n");
                }
                let sink = client.copy_in(&sql).await.unwrap();
                let mut sink = Box::pin(sink);
                sink.send(bytes::Bytes::from(text)).await.unwrap();
                sink.close().await.unwrap();
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    let what = format!("COPY in batches of {BATCH}, {at_once} at once");
    say(&what, BATCHES / at_once * at_once * BATCH, start.elapsed())
}

async fn single_inserts(schema: &Schema) -> f64 {
    let start = Instant::now();
    const EACH: usize = 30;
    let workers = (0..64).map(|_| {
        let (url, name) = (schema.url.clone(), schema.name.clone());
        tokio::spawn(async move {
            let client = connect(&url).await;
            let sql = format!(
                "INSERT INTO {name}.flat (key, id, stage, code, received, raw)
                 VALUES ($1, 'x', 'complete', 200, 1, $2)"
            );
            let statement = client.prepare(&sql).await.unwrap();
            for _ in 0..EACH {
                let key: Vec<u8> = (0..16).map(|_| fastrand::u8(..)).collect();
                let raw = body("single").raw.to_vec();
                client.execute(&statement, &[&key, &raw]).await.unwrap();
            }
        })
    });
    for worker in join_all(workers).await {
        worker.unwrap();
    }
    say(
        "single autocommit inserts, 64 connections",
        64 * EACH,
        start.elapsed(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn accepting() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    let count = BATCHES * BATCH;
    for round in 0..2 {
        println!("round {round}");
        let limit = copy(&schema, 1).await;
        let single = single_inserts(&schema).await;
        for at_once in [1, 3] {
            let name = format!("n{round}-{at_once}");
            let took = accept_all(&store, batches(&name, "complete"), at_once).await;
            let rate = say(
                &format!("accept, new tasks, {at_once} at once"),
                count,
                took,
            );
            println!(
                "  {:.2} of COPY, {:.1} of single",
                rate / limit,
                rate / single
            );
            let took = accept_all(&store, batches(&name, "complete"), at_once).await;
            say(
                &format!("accept, duplicates, {at_once} at once"),
                count,
                took,
            );
            let took = accept_all(&store, batches(&name, "failed"), at_once).await;
            say(
                &format!("accept, late stages, {at_once} at once"),
                count,
                took,
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn handling() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    let count = BATCHES * BATCH;
    let took = accept_all(&store, batches("n", "complete"), 2).await;
    say("accept, 2 at once", count, took);
    for size in [16, 64] {
        let start = Instant::now();
        let (mut settlements, mut done) = (Vec::new(), 0);
        let mut number = 0;
        while done < count / 3 {
            number += 1;
            let request = ClaimRequest::new(WorkerId(size as u64), number, LEASE, size)
                .with_settlements(std::mem::take(&mut settlements));
            let claims = store.claim(&request).await.unwrap().claims;
            if claims.is_empty() {
                break;
            }
            done += claims.len();
            let claims = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
            settlements.extend(claims);
        }
        let took = start.elapsed();
        say(&format!("settle and claim, {size} at once"), done, took);
        println!(
            "  {:.2} ms a request",
            took.as_secs_f64() * 1e3 / number as f64
        );
        let request = ClaimRequest::new(WorkerId(size as u64), number + 1, LEASE, 0)
            .with_settlements(settlements);
        store.claim(&request).await.unwrap();
    }
    // Both at the same time.
    let work = async {
        let mut settlements = Vec::new();
        let mut done = 0;
        for number in 1.. {
            let request = ClaimRequest::new(WorkerId(9), number, LEASE, 64)
                .with_settlements(std::mem::take(&mut settlements));
            let claims = store.claim(&request).await.unwrap().claims;
            if claims.is_empty() && done >= count {
                return done;
            }
            done += claims.len();
            let claims = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
            settlements.extend(claims);
        }
        done
    };
    let start = Instant::now();
    let (done, _) = tokio::join!(work, accept_all(&store, batches("m", "complete"), 2));
    say("accept, claim and settle together", done, start.elapsed());
}

/// Fills the tables with handled events, and with events that wait for a retry.
async fn fill(schema: &Schema, stored: u64, waiting: u64) {
    let all = stored + waiting;
    schema
        .run(&format!(
            "CREATE TEMP TABLE n AS SELECT i, decode(md5(i::text), 'hex') AS k,
                 nextval('{{schema}}.numbers') AS no FROM generate_series(1, {all}) i;
             INSERT INTO {{schema}}.task (key, id) SELECT k, 'filled-' || i FROM n;
             INSERT INTO {{schema}}.event (no, task_no, stored_at, received_at, code, results, revision,
                 source, verified_by, unconfirmed, strict, semantic, stage)
                 SELECT n.no, t.no, 1, 1, 200, 1, 0, 0, 0, false, n.k, n.k, 'complete'
                 FROM n JOIN {{schema}}.task t ON t.key = n.k;
             INSERT INTO {{schema}}.body SELECT no, k FROM n;
             INSERT INTO {{schema}}.past (event_no, stored_at, open_since, worker, epoch, attempts, lapses,
                 nudges, state) SELECT no, 1, 1, 0, 1, 1, 0, 0, 3 FROM n WHERE i <= {stored};
             INSERT INTO {{schema}}.work (event_no, task_no, at, due, open_since, worker, epoch, attempts,
                 lapses, nudges, state)
                 SELECT n.no, t.no, c.now + 36000000000 + i, c.now + 36000000000 + i, 1, 0, 1, 1, 0, 0, 2
                 FROM (SELECT {{schema}}.clock() AS now) c, n JOIN {{schema}}.task t ON t.key = n.k
                 WHERE i > {stored};
             DROP TABLE n; ANALYZE; CHECKPOINT"
        ))
        .await;
}

/// Claims and settles everything; returns the time of a request.
async fn handle_all(store: &PostgresStore, worker: u64) -> f64 {
    let (mut settlements, mut requests) = (Vec::new(), 0);
    let start = Instant::now();
    for number in 1.. {
        let request = ClaimRequest::new(WorkerId(worker), number, LEASE, BATCH)
            .with_settlements(std::mem::take(&mut settlements));
        let claims = store.claim(&request).await.unwrap().claims;
        requests = number;
        if claims.is_empty() {
            break;
        }
        let claims = claims.iter().map(|claim| (claim.ticket, Settlement::Done));
        settlements.extend(claims);
    }
    start.elapsed().as_secs_f64() * 1e3 / requests as f64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn growing() {
    for (stored, waiting) in [(10_000, 0), (1_000_000, 0), (1_000_000, 1_000_000)] {
        let Some(schema) = Schema::new().await else {
            return;
        };
        let store = schema.store().await;
        fill(&schema, stored, waiting).await;
        for round in 0..3_u64 {
            let took = accept_all(&store, batches(&format!("g{round}"), "complete"), 1).await;
            let rate = (BATCHES * BATCH) as f64 / took.as_secs_f64();
            let claim = handle_all(&store, round).await;
            println!(
                "{stored} stored, {waiting} waiting: accept {rate:.0} rows/s, settle and claim \
                 {claim:.2} ms a request"
            );
        }
    }
}
