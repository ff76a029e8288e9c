//! The store keeps the contract of every store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use suno_callback::conformance::{Bench, ManualClock, check};
use suno_callback::{EventId, IdempotencyStore, StoreError};
use suno_store_sqlite::{SqliteStore, rusqlite};
use tempfile::TempDir;

/// Makes a file for each case.
struct Files {
    dir: TempDir,
    made: AtomicUsize,
    clock: ManualClock,
    open: fn(&Path, ManualClock) -> Result<SqliteStore, StoreError>,
}

impl Files {
    fn new(open: fn(&Path, ManualClock) -> Result<SqliteStore, StoreError>) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            made: AtomicUsize::new(0),
            clock: ManualClock::new(),
            open,
        }
    }

    fn open(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        let store = (self.open)(&self.latest(), self.clock.clone())?;
        Ok(Arc::new(store))
    }

    fn latest(&self) -> PathBuf {
        let number = self.made.load(Ordering::SeqCst);
        self.dir.path().join(format!("{number}.db"))
    }
}

#[async_trait]
impl Bench for Files {
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        self.made.fetch_add(1, Ordering::SeqCst);
        self.open()
    }

    async fn reopen(
        &self,
        store: Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        drop(store);
        self.open().map(Some)
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    async fn another(
        &self,
        _: &Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        self.open().map(Some)
    }

    async fn step_wall_clock(&self, seconds: i64) -> bool {
        self.clock.step_wall(SignedDuration::from_secs(seconds));
        true
    }

    async fn damage(&self, _: &Arc<dyn IdempotencyStore>, event: EventId) -> bool {
        let connection = rusqlite::Connection::open(self.latest()).unwrap();
        let damage = "UPDATE events SET raw = NULL WHERE id = ?1";
        connection.execute(damage, [event.0]).unwrap() == 1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract() {
    let files = Files::new(|path, clock| SqliteStore::open_with_clock(path, clock));
    let report = check(&files).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
    assert!(report.kept().len() >= 100, "{report}");
}
