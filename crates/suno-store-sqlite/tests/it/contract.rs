//! The store keeps the contract of every store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use suno_callback::conformance::{Bench, check};
use suno_callback::{Inspect, StoreError};
use suno_store_sqlite::SqliteStore;
use tempfile::TempDir;

/// Makes a file for each case.
struct Files {
    dir: TempDir,
    made: AtomicUsize,
}

impl Files {
    fn latest(&self) -> PathBuf {
        let number = self.made.load(Ordering::SeqCst);
        self.dir.path().join(format!("{number}.db"))
    }
}

#[async_trait]
impl Bench for Files {
    async fn fresh(&self) -> Result<Arc<dyn Inspect>, StoreError> {
        self.made.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(SqliteStore::open(self.latest())?))
    }

    async fn reopen(
        &self,
        store: Arc<dyn Inspect>,
    ) -> Result<Option<Arc<dyn Inspect>>, StoreError> {
        drop(store);
        Ok(Some(Arc::new(SqliteStore::open(self.latest())?)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract() {
    let files = Files {
        dir: tempfile::tempdir().unwrap(),
        made: AtomicUsize::new(0),
    };
    let report = check(&files).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
    assert!(report.kept().len() >= 48, "{report}");
}
