//! The server is restarted while receivers store deliveries, and a standby takes over.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use suno_callback::{ClaimRequest, IdempotencyStore, Settlement, WorkerId};
use suno_store_postgres::{PostgresConfig, PostgresStore};

use crate::cluster::Cluster;
use crate::server::{LEASE, delivery};

/// How long a store may need to find a server that is there again.
const RECOVERY_MAX: Duration = Duration::from_secs(5);

/// Stores deliveries of new tasks until it is told to stop. Returns the tasks that were answered.
async fn receive(store: &PostgresStore, name: &str, stop: &AtomicBool) -> BTreeSet<String> {
    let mut answered = BTreeSet::new();
    let mut number = 0;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        let task = format!("{name}-{number}");
        match store.accept(&[delivery(&task, "complete")]).await {
            Ok(_) => {
                answered.insert(task);
            }
            Err(err) => {
                assert!(err.is_retryable(), "{}", crate::settings::shown(&err));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    answered
}

/// Claims and settles everything, and returns the tasks.
async fn handled(store: &PostgresStore) -> BTreeSet<String> {
    let mut tasks = BTreeSet::new();
    let mut settlements = Vec::new();
    for number in 1.. {
        let request = ClaimRequest::new(WorkerId(77), number, LEASE, 100);
        let request = request.with_settlements(std::mem::take(&mut settlements));
        let claims = store.claim(&request).await.unwrap();
        if claims.claims.is_empty() && !claims.more {
            break;
        }
        for claim in claims.claims {
            tasks.insert(claim.key.task_id().as_str().to_owned());
            settlements.push((claim.ticket, Settlement::Done));
        }
    }
    tasks
}

async fn until_stored(store: &PostgresStore, task: &str) {
    let started = Instant::now();
    while store.accept(&[delivery(task, "text")]).await.is_err() {
        assert!(
            started.elapsed() < RECOVERY_MAX,
            "the store did not recover"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fault case 5.
#[tokio::test]
async fn a_server_that_is_restarted_under_load_loses_nothing_that_was_answered() {
    let Some(cluster) = Cluster::start().map(std::sync::Arc::new) else {
        return;
    };
    let text = format!(
        "host=127.0.0.1 port={} user=suno dbname=postgres sslmode=disable",
        cluster.port
    );
    let config = PostgresConfig::parse(&text).unwrap().with_connections(4);
    let store = PostgresStore::connect(config).await.unwrap();
    let stop = AtomicBool::new(false);
    let restarting = async {
        for mode in ["fast", "immediate", "fast"] {
            tokio::time::sleep(Duration::from_millis(200)).await;
            cluster.restart(mode).await;
            until_stored(&store, &format!("after-{mode}")).await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    let names = ["a", "b", "c"];
    let receiving = names.map(|name| receive(&store, name, &stop));
    let (answered, ()) = tokio::join!(futures_util::future::join_all(receiving), restarting);
    let answered: BTreeSet<String> = answered.into_iter().flatten().collect();
    assert!(answered.len() > 10, "{}", answered.len());
    let handled = handled(&store).await;
    let lost: Vec<_> = answered.difference(&handled).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// Fault case 7, the part of the connections: the pool follows the server that can be written to.
#[tokio::test]
async fn a_standby_that_is_promoted_is_found_and_the_old_server_is_left() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let standby = cluster.standby();
    // The standby is first: it is not used while it is one.
    let text = format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=suno dbname=postgres sslmode=disable",
        standby.port, cluster.port
    );
    let config = PostgresConfig::parse(&text).unwrap().with_connections(3);
    let store = PostgresStore::connect(config).await.unwrap();
    store.accept(&[delivery("before", "text")]).await.unwrap();
    standby.until_has_replayed(&cluster).await;
    let alone = |target: &str| {
        let port = standby.port;
        let text = format!(
            "host=127.0.0.1 port={port} user=suno dbname=postgres sslmode=disable target_session_attrs={target}"
        );
        PostgresConfig::parse(&text).unwrap()
    };
    for target in ["primary", "read-write"] {
        let err = alone(target).check_connection().await.unwrap_err();
        let shown = crate::settings::shown(&err);
        assert!(shown.contains("read-only replica"), "{shown}");
    }
    alone("any").check_connection().await.unwrap();
    let err = PostgresStore::connect(alone("any")).await.unwrap_err();
    let shown = crate::settings::shown(&err);
    assert!(shown.contains("the server is read-only"), "{shown}");
    cluster.stop();
    let err = store
        .accept(&[delivery("between", "text")])
        .await
        .unwrap_err();
    assert!(err.is_retryable(), "{err:?}");
    standby.promote();
    until_stored(&store, "after").await;
    let before = store.find(&"before".parse().unwrap()).await.unwrap();
    assert_eq!(before.len(), 1);
}
