//! A synchronous standby that is not there: commits hang, and an operator who cancels one makes the
//! server report a success.

use std::time::{Duration, Instant};

use suno_callback::{Acceptance, IdempotencyStore};
use suno_store_postgres::tokio_postgres::Client;
use suno_store_postgres::{PostgresConfig, PostgresStore, Wake};

use crate::cluster::Cluster;
use crate::server::delivery;

/// Waits until a commit waits for the standby, and returns whether it does so in time.
async fn until_waiting(client: &Client) {
    let sql = "SELECT pid FROM pg_stat_activity
        WHERE datname = 'replicated' AND wait_event = 'SyncRep'";
    let started = Instant::now();
    while client.query(sql, &[]).await.unwrap().is_empty() {
        assert!(
            started.elapsed() < Duration::from_secs(7),
            "no commit waits for the standby"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Fault case 6.
#[tokio::test]
async fn a_commit_whose_wait_for_the_standby_was_cancelled_is_not_answered_as_stored() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let text = format!(
        "host=127.0.0.1 port={} user=suno dbname=replicated sslmode=disable",
        cluster.port
    );
    let config = PostgresConfig::parse(&text).unwrap().with_wake(Wake::Poll);
    let store = PostgresStore::connect(config).await.unwrap();
    store.accept(&[delivery("before", "text")]).await.unwrap();
    let client = cluster.client("postgres").await;
    // New connections wait for the standby; the cluster has none.
    client
        .batch_execute(
            "ALTER DATABASE replicated SET synchronous_commit = on;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'replicated'",
        )
        .await
        .unwrap();
    let cancel = async {
        until_waiting(&client).await;
        let sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
            WHERE datname = 'replicated' AND wait_event = 'SyncRep'";
        client.query(sql, &[]).await.unwrap();
    };
    let deliveries = [delivery("alone", "text")];
    // The first try may meet a connection that has just ended.
    while store.find(&"before".parse().unwrap()).await.is_err() {}
    let (result, ()) = tokio::join!(store.accept(&deliveries), cancel);
    let err = result.unwrap_err();
    assert!(err.is_retryable(), "{err:?}");
    let shown = crate::settings::shown(&err);
    assert!(shown.contains("standby"), "{shown}");
    // It is there, but a duplicate is not answered before the standby has it, either.
    assert_eq!(
        store.find(&"alone".parse().unwrap()).await.unwrap().len(),
        1
    );
    let is_answered = std::sync::atomic::AtomicBool::new(false);
    let standby = async {
        until_waiting(&client).await;
        assert!(!is_answered.load(std::sync::atomic::Ordering::SeqCst));
        cluster.sql("ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()");
    };
    let repeat = async {
        let result = store.accept(&deliveries).await;
        is_answered.store(true, std::sync::atomic::Ordering::SeqCst);
        result
    };
    let (result, ()) = tokio::join!(repeat, standby);
    assert_eq!(result.unwrap(), [Acceptance::Duplicate]);
}
