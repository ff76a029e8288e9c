//! The history beside a store.

use std::sync::Arc;

use suno_callback::conformance::check_history;
use suno_callback::history::{History, HistoryEntry, HistoryKind};
use suno_callback::{IdempotencyStore, StoreErrorKind};
use suno_store_sqlite::{SqliteHistory, SqliteStore};
use suno_types::TaskId;

fn entry(detail: u32) -> HistoryEntry {
    let at = "2026-11-28T12:00:00.000001Z".parse().unwrap();
    HistoryEntry::new(TaskId::new("t").unwrap(), HistoryKind::REDRIVE, at).with_detail(&detail)
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let history = SqliteHistory::open(dir.path().join("suno.db")).unwrap();
    check_history(&history).await.unwrap();
}

#[tokio::test]
async fn it_is_a_file_beside_the_store_that_several_handles_share_and_that_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.db");
    let store = SqliteStore::open(&path).unwrap();
    let [one, other] = [(); 2].map(|()| SqliteHistory::open(&path).unwrap());
    assert_eq!(one.path(), dir.path().join("suno.db-history"));
    one.record(&[entry(1)]).await.unwrap();
    other.record(&[entry(2)]).await.unwrap();
    let task_id = TaskId::new("t").unwrap();
    assert_eq!(one.of_task(&task_id).await.unwrap(), [entry(1), entry(2)]);
    drop((one, other));
    let reopened = SqliteHistory::open(&path).unwrap();
    let kept = reopened.of_task(&task_id).await.unwrap();
    assert_eq!(kept, [entry(1), entry(2)]);
    assert!(store.find(&task_id).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_file_of_a_store_is_not_taken_for_a_history() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(dir.path().join("suno.db-history")).unwrap());
    let err = SqliteHistory::open(dir.path().join("suno.db")).unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Corrupt);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_that_cannot_be_written_is_an_error_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.db");
    let store: Arc<dyn IdempotencyStore> = Arc::new(SqliteStore::open(&path).unwrap());
    let history = SqliteHistory::open(&path).unwrap();
    history.record(&[entry(1)]).await.unwrap();
    std::fs::remove_file(history.path()).unwrap();
    let err = history.record(&[entry(2)]).await.unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Unavailable);
    assert_eq!(store.counts().await.unwrap().ready, 0);
}
