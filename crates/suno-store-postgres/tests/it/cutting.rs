//! Connections that are lost in the middle of an operation of the store, and after its commit.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use suno_callback::{
    Acceptance, ClaimRequest, Claims, IdempotencyStore, SettleResult, Settlement, WorkerId,
};
use suno_store_postgres::{PostgresConfig, PostgresStore, Wake, tokio_postgres};

use crate::proxy::{Proxy, Sender};
use crate::server::{LEASE, Schema, delivery};

/// What a receiver has for an answer.
const ANSWER_BUDGET: Duration = Duration::from_secs(10);

/// The settings of a store in `schema` that reaches the server through a proxy.
fn through(proxy: &Proxy, schema: &Schema) -> PostgresConfig {
    let driver: tokio_postgres::Config = schema.url.parse().unwrap();
    let mut text = format!(
        "host={} port={} sslmode=disable application_name={}",
        proxy.address().ip(),
        proxy.address().port(),
        schema.name
    );
    let password = driver.get_password().map(String::from_utf8_lossy);
    for (name, value) in [
        ("user", driver.get_user()),
        ("dbname", driver.get_dbname()),
        ("password", password.as_deref()),
    ] {
        if let Some(value) = value {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            text.push_str(&format!(" {name}='{value}'"));
        }
    }
    let config = PostgresConfig::parse(&text).unwrap();
    config.with_schema(schema.name.as_str())
}

/// A store behind a proxy, with one connection.
struct Scene {
    schema: Schema,
    proxy: Proxy,
    store: PostgresStore,
    tasks: u32,
    requests: u64,
}

impl Scene {
    async fn new() -> Option<Self> {
        let schema = Schema::new().await?;
        let driver: tokio_postgres::Config = schema.url.parse().unwrap();
        let tokio_postgres::config::Host::Tcp(host) = &driver.get_hosts()[0] else {
            panic!("the server of the tests must be reached by TCP");
        };
        let port = driver.get_ports().first().copied().unwrap_or(5432);
        let address = tokio::net::lookup_host((host.as_str(), port))
            .await
            .unwrap()
            .next();
        let proxy = Proxy::start(address.unwrap()).await;
        let config = through(&proxy, &schema)
            .with_connections(1)
            .with_wake(Wake::Poll);
        let store = PostgresStore::connect(config).await.unwrap();
        Some(Self {
            schema,
            proxy,
            store,
            tasks: 0,
            requests: 0,
        })
    }

    fn next_task(&mut self) -> String {
        self.tasks += 1;
        format!("task-{}", self.tasks)
    }

    fn next_request(&mut self) -> ClaimRequest {
        self.requests += 1;
        ClaimRequest::new(WorkerId(1), self.requests, LEASE, 9)
    }

    async fn accept(&mut self) {
        let delivery = delivery(&self.next_task(), "text");
        let accepted = self.store.accept(&[delivery]).await.unwrap();
        assert_eq!(accepted, [Acceptance::New]);
    }

    async fn claim(&mut self) -> Claims {
        let request = self.next_request();
        self.store.claim(&request).await.unwrap()
    }

    /// All places where a message of an operation can be lost. Some more messages are tried than the
    /// operation needs when all of its statements are prepared.
    fn places(&self) -> Vec<(Sender, usize)> {
        let senders = [Sender::Client, Sender::Server].into_iter();
        let all = senders.flat_map(|sender| {
            let count = self.proxy.count(sender);
            assert!(count >= 3, "{sender:?} sends {count}");
            (0..count).map(move |after| (sender, after))
        });
        all.collect()
    }
}

#[tokio::test]
async fn a_delivery_is_stored_once_wherever_the_connection_is_cut() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    for _ in 0..3 {
        scene.accept().await;
    }
    scene.proxy.watch();
    scene.accept().await;
    let mut seen = BTreeSet::new();
    for (sender, after) in scene.places() {
        scene.accept().await;
        let task = scene.next_task();
        let delivery = [delivery(&task, "text")];
        scene.proxy.cut_after(sender, after);
        let first = scene.store.accept(&delivery).await;
        let repeated = scene.store.accept(&delivery).await.unwrap();
        let is_known = repeated == [Acceptance::Duplicate];
        assert!(is_known || repeated == [Acceptance::New], "{repeated:?}");
        match first {
            Ok(first) => {
                // What was answered was stored, or the proxy cut after the last message.
                assert_eq!(first, [Acceptance::New], "{sender:?} {after}");
                assert!(is_known, "{sender:?} {after}");
            }
            Err(err) => {
                assert!(err.is_retryable(), "{err:?}");
                seen.insert(is_known);
            }
        }
        let events = scene.store.find(&task.parse().unwrap()).await.unwrap();
        assert_eq!(events.len(), 1, "{sender:?} {after}");
    }
    assert_eq!(seen.len(), 2, "cut before the commit, and after it");
}

#[tokio::test]
async fn a_claim_is_granted_once_wherever_the_connection_is_cut() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    for _ in 0..3 {
        scene.accept().await;
        scene.claim().await;
    }
    scene.accept().await;
    scene.proxy.watch();
    assert_eq!(scene.claim().await.claims.len(), 1);
    let mut failures = 0;
    for (sender, after) in scene.places() {
        scene.accept().await;
        let request = scene.next_request();
        scene.proxy.cut_after(sender, after);
        let first = scene.store.claim(&request).await;
        let repeated = scene.store.claim(&request).await.unwrap().claims;
        assert_eq!(repeated.len(), 1, "{sender:?} {after}");
        assert_eq!(repeated[0].attempt, 1, "{sender:?} {after}");
        match first {
            Ok(first) => assert_eq!(first.claims[0].ticket, repeated[0].ticket),
            Err(err) => {
                assert!(err.is_retryable(), "{err:?}");
                failures += 1;
            }
        }
        let other = ClaimRequest::new(WorkerId(2), scene.requests, LEASE, 9);
        let other = scene.store.claim(&other).await.unwrap().claims;
        assert!(other.is_empty(), "{sender:?} {after}: granted twice");
    }
    assert!(failures > 5, "{failures}");
}

#[tokio::test]
async fn a_settlement_counts_once_wherever_the_connection_is_cut() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    for _ in 0..3 {
        scene.accept().await;
        let claim = scene.claim().await.claims.remove(0);
        let settled = scene.next_request();
        let settled = settled.with_settlements(vec![(claim.ticket, Settlement::Done)]);
        scene.proxy.watch();
        let settled = scene.store.claim(&settled).await.unwrap().settled;
        assert_eq!(settled, [SettleResult::Settled]);
    }
    let mut seen = BTreeSet::new();
    let places = scene.places();
    for (sender, after) in &places {
        scene.accept().await;
        let claim = scene.claim().await.claims.remove(0);
        let request = scene.next_request();
        let request = request.with_settlements(vec![(claim.ticket, Settlement::Done)]);
        scene.proxy.cut_after(*sender, *after);
        let first = scene.store.claim(&request).await;
        let repeated = scene.store.claim(&request).await.unwrap();
        let is_known = repeated.settled == [SettleResult::AlreadySettled];
        assert!(is_known || repeated.settled == [SettleResult::Settled]);
        match first {
            Ok(first) => {
                assert_eq!(first.settled, [SettleResult::Settled]);
                assert!(is_known, "{sender:?} {after}");
            }
            Err(err) => {
                assert!(err.is_retryable(), "{err:?}");
                seen.insert(is_known);
            }
        }
        assert!(scene.claim().await.claims.is_empty(), "{sender:?} {after}");
    }
    assert_eq!(seen.len(), 2, "cut before the commit, and after it");
    let counts = scene.store.counts().await.unwrap();
    assert_eq!(counts.done, 3 + u64::try_from(places.len()).unwrap());
    assert_eq!(counts.ready + counts.claimed, 0);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up_within_the_answer_budget() {
    let Some(mut scene) = Scene::new().await else {
        return;
    };
    scene.accept().await;
    scene.proxy.swallow_existing();
    let started = Instant::now();
    let task = scene.next_task();
    let err = scene
        .store
        .accept(&[delivery(&task, "text")])
        .await
        .unwrap_err();
    assert!(err.is_retryable());
    assert!(started.elapsed() < ANSWER_BUDGET, "{:?}", started.elapsed());
    let started = Instant::now();
    scene
        .store
        .accept(&[delivery(&task, "text")])
        .await
        .unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

/// Fault case 4.
#[tokio::test]
async fn connections_that_are_ended_at_random_lose_nothing_and_grant_nothing_twice() {
    const TASKS: usize = 60;
    let Some(scene) = Scene::new().await else {
        return;
    };
    let config = || through(&scene.proxy, &scene.schema).with_connections(3);
    let mut stores = Vec::new();
    for _ in 0..2 {
        stores.push(PostgresStore::connect(config()).await.unwrap());
    }
    let killer = async {
        let mut random = fastrand::Rng::with_seed(7);
        loop {
            let function = if random.bool() {
                "pg_terminate_backend"
            } else {
                "pg_cancel_backend"
            };
            let sql = format!(
                "SELECT count({function}(pid)) FROM (SELECT pid FROM pg_stat_activity
                 WHERE application_name LIKE '{}%' ORDER BY random() LIMIT 1) one",
                scene.schema.name
            );
            scene.schema.number(&sql).await;
            tokio::time::sleep(Duration::from_millis(random.u64(5..40))).await;
        }
    };
    let accepting = async {
        for task in 0..TASKS {
            let delivery = [delivery(&format!("killed-{task}"), "complete")];
            while stores[task % 2].accept(&delivery).await.is_err() {}
        }
    };
    let handling = stores
        .iter()
        .zip([11, 12])
        .map(|(store, worker)| async move {
            let mut handled = Vec::new();
            let mut settlements = Vec::new();
            let mut number = 0;
            let mut idle_since = Instant::now();
            while idle_since.elapsed() < Duration::from_secs(1) {
                number += 1;
                let request = ClaimRequest::new(WorkerId(worker), number, LEASE, 3);
                let request = request.with_settlements(std::mem::take(&mut settlements));
                let claims = loop {
                    match store.claim(&request).await {
                        Ok(claims) => break claims,
                        Err(err) => assert!(err.is_retryable(), "{err:?}"),
                    }
                };
                if !claims.claims.is_empty() {
                    idle_since = Instant::now();
                }
                for claim in claims.claims {
                    handled.push(claim.key.to_string());
                    settlements.push((claim.ticket, Settlement::Done));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            handled
        });
    let working = async {
        let (handled, ()) = tokio::join!(futures_util::future::join_all(handling), accepting);
        handled.concat()
    };
    let handled = tokio::select! {
        handled = working => handled,
        () = killer => unreachable!("it never ends"),
    };
    let distinct: BTreeSet<_> = handled.iter().collect();
    assert_eq!(distinct.len(), TASKS, "an event was lost");
    assert_eq!(handled.len(), TASKS, "an event was granted twice");
    let counts = scene.store.counts().await.unwrap();
    assert_eq!(counts.done, u64::try_from(TASKS).unwrap());
}
