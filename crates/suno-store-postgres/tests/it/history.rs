//! The history of a store, and the upgrade that made it.

use suno_callback::conformance::check_history;
use suno_callback::history::{History, HistoryEntry, HistoryKind};
use suno_callback::{Acceptance, IdempotencyStore};
use suno_store_postgres::PostgresStore;
use suno_types::TaskId;

use crate::server::{Schema, delivery};

fn entry(task_id: &TaskId) -> HistoryEntry {
    let at = "2026-11-28T12:00:00.000001Z".parse().unwrap();
    HistoryEntry::new(task_id.clone(), HistoryKind::REDRIVE, at).with_detail(&1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    check_history(&store.history()).await.unwrap();
    schema.drop_now().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_version_1_is_upgraded_by_one_of_several_processes_and_keeps_its_events() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let store = schema.store().await;
    store.accept(&[delivery("t", "text")]).await.unwrap();
    drop(store);
    // What version 2 has added.
    schema
        .run(
            "DROP TABLE {schema}.history;
             DROP INDEX {schema}.intent_reference, {schema}.intent_task;
             ALTER TABLE {schema}.expected DROP COLUMN lease_end;
             ALTER TABLE {schema}.conflict DROP COLUMN no, DROP COLUMN received_at,
                 DROP COLUMN source, DROP COLUMN verified_by;
             DROP SEQUENCE {schema}.conflict_numbers;
             UPDATE {schema}.meta SET version = 1",
        )
        .await;
    let stores = (0..4).map(|_| PostgresStore::connect(schema.config()));
    let stores = futures_util::future::join_all(stores).await;
    let task_id = TaskId::new("t").unwrap();
    for store in stores {
        let store = store.unwrap();
        store.history().record(&[entry(&task_id)]).await.unwrap();
        let accepted = store.accept(&[delivery("t", "text")]).await.unwrap();
        assert_eq!(accepted, [Acceptance::Duplicate]);
    }
    let store = schema.store().await;
    let kept = store.history().of_task(&task_id).await.unwrap();
    assert_eq!(kept, [(); 4].map(|()| entry(&task_id)));
    let version = "SELECT version::bigint FROM {schema}.meta";
    assert_eq!(schema.number(version).await, 2);
    schema.drop_now().await;
}
