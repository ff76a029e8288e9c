//! What the store does while others use it: handles that wake each other, many operations at once,
//! another process that writes, and a backlog.

use std::sync::Arc;
use std::time::{Duration, Instant};

use suno_callback::{ClaimRequest, IdempotencyStore, Intent, SubmitId, SystemClock, WorkerId};
use suno_store_sqlite::SqliteStore;

use crate::two_processes::delivery;

fn store(dir: &tempfile::TempDir) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(dir.path().join("suno.db")).unwrap())
}

#[tokio::test]
async fn a_wait_ends_when_another_handle_of_the_process_has_stored_something() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (store(&dir), store(&dir));
    let waiting = tokio::spawn(async move { one.wait(Duration::from_secs(600)).await });
    two.accept(&[delivery(1)]).await.unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    waited.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_wait_ends_when_another_process_has_stored_something() {
    let dir = tempfile::tempdir().unwrap();
    let one = store(&dir);
    let waiting = tokio::spawn({
        let one = one.clone();
        async move { one.wait(Duration::from_secs(600)).await }
    });
    // As another process would: past all handles of this one.
    let raw = rusqlite::Connection::open(one.path()).unwrap();
    raw.execute("INSERT INTO ready VALUES (1, 0, 1)", ())
        .unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
    waited.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_thousand_submits_at_once_are_all_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut submits = tokio::task::JoinSet::new();
    for number in 0..1_000_u128 {
        let store = store.clone();
        submits.spawn(async move {
            let submit = SubmitId::from_bytes(number.to_be_bytes());
            let now = suno_callback::Clock::now(&SystemClock);
            let intent = Intent::new(submit, now, Duration::ZERO);
            store.intend(&intent).await
        });
    }
    while let Some(intended) = submits.join_next().await {
        intended.unwrap().unwrap();
    }
    let open = store
        .open_intents(Duration::ZERO, None, 2_000)
        .await
        .unwrap();
    assert_eq!(open.len(), 1_000);
}

#[tokio::test]
async fn a_claim_does_not_look_at_what_waits() {
    const WAITING: i64 = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut raw = rusqlite::Connection::open(store.path()).unwrap();
    let transaction = raw.transaction().unwrap();
    {
        let mut waits = transaction
            .prepare(
                "INSERT INTO later VALUES (?1, ?1, 2, 9000000000000000, 0, 0, 1, 0, 1, 1, 0, 0, '')",
            )
            .unwrap();
        for event in 1..=WAITING {
            waits.execute([1_000_000 + event]).unwrap();
        }
    }
    transaction.commit().unwrap();
    let mut slowest_fastest = [Duration::MAX; 2];
    for (has_backlog, fastest) in [(true, 0), (false, 1)] {
        if !has_backlog {
            raw.execute("DELETE FROM later", ()).unwrap();
        }
        for number in 1..=20 {
            let worker = WorkerId(1 + u64::from(has_backlog));
            let request = ClaimRequest::new(worker, number, Duration::from_secs(60), 4);
            let start = Instant::now();
            assert!(store.claim(&request).await.unwrap().claims.is_empty());
            slowest_fastest[fastest] = slowest_fastest[fastest].min(start.elapsed());
        }
    }
    let [beside, alone] = slowest_fastest;
    assert!(
        beside < alone * 20 + Duration::from_millis(5),
        "{beside:?}, {alone:?}"
    );
}
