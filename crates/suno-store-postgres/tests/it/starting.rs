//! Starts: many processes at once, versions, settings of the role and the database, and clocks.

use std::time::Duration;

use futures_util::future::join_all;
use suno_callback::{
    Acceptance, ClaimRequest, IdempotencyStore, Settlement, StoreErrorKind, WorkerId,
};
use suno_store_postgres::{PostgresConfig, PostgresStore};

use crate::server::{LEASE, Schema, connect, delivery};

const HOUR: i64 = 3_600_000_000;

/// Fault case 19.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_start_at_the_same_time() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let stores = (0..8).map(|_| PostgresStore::connect(schema.config()));
    let stores = join_all(stores).await;
    for (number, store) in stores.into_iter().enumerate() {
        let delivery = delivery(&format!("t{number}"), "text");
        let accepted = store.unwrap().accept(&[delivery]).await.unwrap();
        assert_eq!(accepted, [Acceptance::New]);
    }
    assert_eq!(schema.number("SELECT count(*) FROM {schema}.meta").await, 1);
}

/// Fault case 19.
#[tokio::test]
async fn a_later_version_is_refused_unless_it_can_be_read() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    drop(schema.store().await);
    schema.run("UPDATE {schema}.meta SET version = 9").await;
    drop(schema.store().await);
    schema
        .run("UPDATE {schema}.meta SET oldest_reader = 8")
        .await;
    let err = PostgresStore::connect(schema.config()).await.unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::NewerVersion);
    let cause = std::error::Error::source(&err).unwrap().to_string();
    assert!(cause.contains("version 9"), "{cause}");
}

/// Fault case 19: a role that may not create anything, and one for which the schema was made.
#[tokio::test]
async fn a_role_needs_a_schema_but_no_superuser() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let role = format!("{}_role", schema.name);
    let create = format!("DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN");
    schema.client.batch_execute(&create).await.unwrap();
    let url = schema.url.replace("root@", &format!("{role}@"));
    let config = PostgresConfig::parse(&url).unwrap();
    let config = config.with_schema(&*schema.name);
    let err = PostgresStore::connect(config.clone()).await.unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::ReadOnly, "{err:?}");
    let create = format!("CREATE SCHEMA {{schema}} AUTHORIZATION {role}");
    schema.run(&create).await;
    let store = PostgresStore::connect(config).await.unwrap();
    let accepted = store.accept(&[delivery("t", "text")]).await.unwrap();
    assert_eq!(accepted, [Acceptance::New]);
    drop(store);
    schema.drop_now().await;
    let drop = format!("DROP ROLE {role}");
    schema.client.batch_execute(&drop).await.unwrap();
}

/// Fault case 22.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_role_or_the_database_change_nothing() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    // A schema before `pg_catalog` with an operator that is always false.
    let evil = format!("{}_evil", schema.name);
    schema
        .run(&format!(
            "DROP SCHEMA IF EXISTS {evil} CASCADE; CREATE SCHEMA {evil};
             CREATE FUNCTION {evil}.no(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT false';
             CREATE OPERATOR {evil}.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = {evil}.no)"
        ))
        .await;
    let settings = [
        "default_transaction_isolation = serializable",
        "default_transaction_isolation = 'repeatable read'",
        "timezone = 'Pacific/Kiritimati'",
        "bytea_output = escape",
        "DateStyle = German",
        "synchronous_commit = off",
        &format!("search_path = {evil}, pg_catalog"),
    ];
    for (round, setting) in settings.iter().enumerate() {
        let url = schema.role_with(&[setting]).await;
        let config = PostgresConfig::parse(&url).unwrap();
        let store = PostgresStore::connect(config.with_schema(&*schema.name)).await;
        let store = store.unwrap();
        for stages in [&["text"][..], &["text", "complete"]] {
            let task = format!("t{round}-{}", stages.len());
            let deliveries: Vec<_> = stages.iter().map(|it| delivery(&task, it)).collect();
            let accepted = store.accept(&deliveries).await.unwrap();
            assert_eq!(accepted, vec![Acceptance::New; stages.len()], "{setting}");
            let again = store.accept(&deliveries).await.unwrap();
            assert_eq!(
                again,
                vec![Acceptance::Duplicate; stages.len()],
                "{setting}"
            );
        }
        let worker = WorkerId(round as u64);
        let request = ClaimRequest::new(worker, 1, LEASE, 9);
        let claims = store.claim(&request).await.unwrap().claims;
        assert_eq!(claims.len(), 2, "{setting}");
        let settlements = claims.iter().map(|it| (it.ticket, Settlement::Done));
        let request =
            ClaimRequest::new(worker, 2, LEASE, 9).with_settlements(settlements.collect());
        let claims = store.claim(&request).await.unwrap();
        assert_eq!(
            (claims.settled.len(), claims.claims.len()),
            (2, 1),
            "{setting}"
        );
        let settlements = vec![(claims.claims[0].ticket, Settlement::Done)];
        let request = ClaimRequest::new(worker, 3, LEASE, 9).with_settlements(settlements);
        store.claim(&request).await.unwrap();
    }
    schema.run(&format!("DROP SCHEMA {evil} CASCADE")).await;
    let url = schema
        .role_with(&["default_transaction_read_only = on"])
        .await;
    let config = PostgresConfig::parse(&url).unwrap();
    let err = PostgresStore::connect(config).await.unwrap_err();
    let cause = std::error::Error::source(&err).unwrap().to_string();
    assert!(cause.contains("default_transaction_read_only"), "{cause}");
    schema.drop_role().await;
}

/// Fault case 22.
#[tokio::test]
async fn a_database_of_another_encoding_is_refused_with_a_reason_and_without_one_it_works() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    for (encoding, is_taken) in [("SQL_ASCII", true), ("LATIN1", false)] {
        let name = format!("{}_{}", schema.name, encoding.to_lowercase());
        schema.run(&format!("DROP DATABASE IF EXISTS {name}")).await;
        schema
            .run(&format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
            ))
            .await;
        let at = schema.url.rfind('/').unwrap();
        let url = format!("{}/{name}", &schema.url[..at]);
        let config = PostgresConfig::parse(&url).unwrap().with_connections(1);
        match PostgresStore::connect(config).await {
            Ok(store) => {
                assert!(is_taken, "{encoding}");
                let odd = r#"{"code":200,"data":{"callbackType":"ü♫","task_id":"t"}}"#;
                let received_at = "2026-11-28T12:00:00Z".parse().unwrap();
                let odd = suno_callback::Delivery::decode(odd.into(), received_at);
                store.accept(&[odd]).await.unwrap();
                let request = ClaimRequest::new(WorkerId(1), 1, LEASE, 9);
                let claims = store.claim(&request).await.unwrap().claims;
                assert_eq!(claims[0].key.stage().as_str(), "ü♫");
            }
            Err(err) => {
                assert!(!is_taken, "{encoding}: {err:?}");
                let cause = std::error::Error::source(&err).unwrap().to_string();
                assert!(cause.contains("UTF8"), "{cause}");
            }
        }
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        connect(&schema.url)
            .await
            .batch_execute(&drop)
            .await
            .unwrap();
    }
}

/// Fault case 8: the clock of the server is set while two processes use the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_the_servers_clock_ends_no_lease_and_parks_no_task() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let stores = [schema.store().await, schema.store().await];
    let deliveries = ["claimed", "retried"].map(|task| delivery(task, "text"));
    stores[0].accept(&deliveries).await.unwrap();
    let request = ClaimRequest::new(WorkerId(1), 1, LEASE, 2);
    let tickets: Vec<_> = stores[0].claim(&request).await.unwrap().claims;
    let retry = Settlement::Retry {
        after: Duration::from_millis(1_200),
        reason: "later".to_owned(),
    };
    let request = ClaimRequest::new(WorkerId(1), 2, LEASE, 0)
        .with_settlements(vec![(tickets[1].ticket, retry)]);
    stores[0].claim(&request).await.unwrap();
    let mut number = 0;
    for step in [HOUR, -HOUR] {
        schema.shift_clock(step).await;
        for store in stores.iter().rev() {
            number += 1;
            let request = ClaimRequest::new(WorkerId(2), number, LEASE, 9);
            let claims = store.claim(&request).await.unwrap();
            assert!(claims.claims.is_empty(), "after a step of {step}");
            let accepted = store.accept(&[delivery("claimed", "text")]).await.unwrap();
            assert_eq!(accepted, [Acceptance::Duplicate]);
        }
    }
    let extended = stores[0].extend(&[tickets[0].ticket], LEASE).await;
    assert_eq!(extended.unwrap(), [suno_callback::ExtendResult::Extended]);
    stores[1].wait(Duration::from_secs(5)).await.unwrap();
    number += 1;
    let request = ClaimRequest::new(WorkerId(2), number, LEASE, 9);
    let claims = stores[1].claim(&request).await.unwrap().claims;
    let keys: Vec<_> = claims.iter().map(|claim| claim.key.to_string()).collect();
    assert_eq!(keys, ["retried/text"]);
    let late = stores[0]
        .open_intents(Duration::from_secs(1_800), None, 9)
        .await;
    assert!(late.unwrap().is_empty());
}
