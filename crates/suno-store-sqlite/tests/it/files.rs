//! What becomes of the files while the store is open: removed, emptied, replaced. Nothing that was
//! accepted may be missing after a crash, and nothing may be mixed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use suno_callback::{EventRecord, IdempotencyStore, Inbox, StoreError, StoreErrorKind};
use suno_store_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::two_processes::{all, delivery};

/// A store that is open, and its files.
struct Scene {
    dir: TempDir,
    store: SqliteStore,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path().join("suno.db")).unwrap();
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn accept(&self, task: usize) -> Result<(), StoreError> {
        self.store.accept(&[delivery(task)]).await.map(|_| ())
    }

    async fn refused(&self, task: usize) -> String {
        let err = self.accept(task).await.unwrap_err();
        assert_eq!(err.kind(), StoreErrorKind::Unavailable);
        std::error::Error::source(&err).unwrap().to_string()
    }

    /// A backup of what is there now.
    fn back_up(&self) -> PathBuf {
        let backup = self.path("backup.db");
        let raw = rusqlite::Connection::open(self.path("suno.db")).unwrap();
        raw.execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
            .unwrap();
        backup
    }

    /// The tasks that would be known after a crash at this moment.
    async fn after_a_crash(&self) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for name in ["suno.db", "suno.db-wal"] {
            if self.path(name).exists() {
                fs::copy(self.path(name), dir.path().join(name)).unwrap();
            }
        }
        tasks(&dir.path().join("suno.db")).await
    }
}

async fn tasks(file: &Path) -> Vec<String> {
    let raw = rusqlite::Connection::open(file).unwrap();
    let sound = raw.query_row("PRAGMA integrity_check", (), |row| row.get::<_, String>(0));
    assert_eq!(sound.unwrap(), "ok");
    drop(raw);
    let store = SqliteStore::open(file).unwrap();
    let records = all(&store).await;
    let task = |record: &EventRecord| record.key.task_id().to_string();
    records.iter().map(task).collect()
}

#[cfg(unix)]
#[tokio::test]
async fn a_log_that_is_removed_takes_nothing_with_it() {
    let scene = Scene::new();
    scene.accept(1).await.unwrap();
    fs::remove_file(scene.path("suno.db-wal")).unwrap();
    scene.accept(2).await.unwrap();
    scene.accept(3).await.unwrap();
    assert!(scene.path("suno.db-wal").exists());
    assert_eq!(scene.after_a_crash().await, ["task-1", "task-2", "task-3"]);
    let known = all(&scene.store).await;
    assert_eq!(known.len(), 3, "who reads has the files of who writes");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_emptied_is_not_begun_anew() {
    let scene = Scene::new();
    scene.accept(1).await.unwrap();
    let backup = scene.back_up();
    let file = scene.path("suno.db");
    fs::write(&file, "").unwrap();
    assert!(scene.refused(2).await.contains("emptied"));
    // Written back into the same file: its log would still be read into it.
    fs::write(&file, fs::read(&backup).unwrap()).unwrap();
    assert!(scene.refused(2).await.contains("emptied"));
    fs::remove_file(scene.path("suno.db-wal")).unwrap();
    fs::remove_file(scene.path("suno.db-shm")).unwrap();
    fs::rename(&backup, &file).unwrap();
    scene.accept(2).await.unwrap();
    assert_eq!(scene.after_a_crash().await, ["task-1", "task-2"]);
}

#[cfg(unix)]
#[tokio::test]
async fn an_empty_file_in_its_place_is_not_begun_anew() {
    let scene = Scene::new();
    scene.accept(1).await.unwrap();
    fs::rename(scene.path("suno.db"), scene.path("aside.db")).unwrap();
    fs::write(scene.path("suno.db"), "").unwrap();
    assert!(scene.refused(2).await.contains("emptied"));
    assert_eq!(fs::metadata(scene.path("suno.db")).unwrap().len(), 0);
    fs::rename(scene.path("aside.db"), scene.path("suno.db")).unwrap();
    scene.accept(2).await.unwrap();
    assert_eq!(scene.after_a_crash().await, ["task-1", "task-2"]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_backup_is_not_mixed_with_the_log_of_the_file_before_it() {
    let scene = Scene::new();
    scene.accept(1).await.unwrap();
    let backup = scene.back_up();
    scene.accept(2).await.unwrap();
    fs::rename(scene.path("suno.db"), scene.path("aside.db")).unwrap();
    fs::rename(&backup, scene.path("suno.db")).unwrap();
    assert!(scene.refused(3).await.contains("-wal"));
    // The old one may be put back …
    fs::rename(scene.path("suno.db"), &backup).unwrap();
    fs::rename(scene.path("aside.db"), scene.path("suno.db")).unwrap();
    scene.accept(3).await.unwrap();
    assert_eq!(scene.after_a_crash().await, ["task-1", "task-2", "task-3"]);
    // … or its log removed.
    fs::rename(&backup, scene.path("suno.db")).unwrap();
    scene.refused(4).await;
    fs::remove_file(scene.path("suno.db-wal")).unwrap();
    fs::remove_file(scene.path("suno.db-shm")).unwrap();
    scene.accept(4).await.unwrap();
    assert_eq!(scene.after_a_crash().await, ["task-1", "task-4"]);
}

#[cfg(unix)]
#[tokio::test]
async fn what_another_file_knows_is_known_and_what_the_old_one_knew_is_not() {
    use suno_callback::Acceptance;

    let (scene, other) = (Scene::new(), Scene::new());
    scene.accept(1).await.unwrap();
    other.accept(2).await.unwrap();
    for name in ["suno.db", "suno.db-wal", "suno.db-shm"] {
        fs::remove_file(scene.path(name)).unwrap();
    }
    fs::rename(other.back_up(), scene.path("suno.db")).unwrap();
    let again = scene.store.accept(&[delivery(2), delivery(1)]).await;
    assert_eq!(again.unwrap(), [Acceptance::Duplicate, Acceptance::New]);
    assert_eq!(scene.after_a_crash().await, ["task-2", "task-1"]);
}

#[tokio::test]
async fn a_store_that_was_dropped_is_whole_in_its_one_file() {
    let scene = Scene::new();
    scene.accept(1).await.unwrap();
    all(&scene.store).await;
    let Scene { dir, store } = scene;
    drop(store);
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let is_store = entry.file_name() == "suno.db";
        assert!(
            is_store || entry.metadata().unwrap().len() == 0,
            "{entry:?}"
        );
    }
    assert_eq!(tasks(&dir.path().join("suno.db")).await, ["task-1"]);
}

#[tokio::test]
async fn a_row_that_is_always_there_is_missed_as_damage() {
    let scene = Scene::new();
    let raw = rusqlite::Connection::open(scene.path("suno.db")).unwrap();
    raw.execute("DELETE FROM marks", ()).unwrap();
    let err = scene.accept(1).await.unwrap_err();
    assert_eq!(err.kind(), StoreErrorKind::Corrupt);
    raw.execute(
        "INSERT INTO marks VALUES (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
        (),
    )
    .unwrap();
    scene.accept(1).await.unwrap();
}

/// Who is stopped within a transaction, by a signal or a debugger, keeps the lock of the file: a plain
/// connection stands for him.
#[tokio::test]
async fn a_process_that_stops_within_a_transaction_holds_others_up_only_until_it_goes_on() {
    let scene = Scene::new();
    let stopped = rusqlite::Connection::open(scene.path("suno.db")).unwrap();
    stopped.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    let reason = scene.refused(1).await;
    assert!(reason.contains("locked"), "{reason}");
    // Within the time in which a receiver answers.
    assert!(begun.elapsed() < Inbox::COMMIT_TIMEOUT, "{reason}");

    stopped.execute_batch("ROLLBACK").unwrap();
    scene.accept(1).await.unwrap();
    assert_eq!(tasks(&scene.path("suno.db")).await.len(), 1);
}
