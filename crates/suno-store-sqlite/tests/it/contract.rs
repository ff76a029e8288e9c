//! The store keeps the contract of every store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use suno_callback::conformance::{Bench, LedgerBench, check, check_ledger};
use suno_callback::{Inspect, StoreError, TaskLedger};
use suno_store_sqlite::SqliteStore;
use tempfile::TempDir;

/// Makes a file for each case.
struct Files {
    dir: TempDir,
    made: AtomicUsize,
}

impl Files {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            made: AtomicUsize::new(0),
        }
    }

    fn make(&self) -> Result<Arc<SqliteStore>, StoreError> {
        self.made.fetch_add(1, Ordering::SeqCst);
        self.open()
    }

    fn open(&self) -> Result<Arc<SqliteStore>, StoreError> {
        SqliteStore::open(self.latest()).map(Arc::new)
    }

    fn latest(&self) -> PathBuf {
        let number = self.made.load(Ordering::SeqCst);
        self.dir.path().join(format!("{number}.db"))
    }
}

#[async_trait]
impl Bench for Files {
    async fn fresh(&self) -> Result<Arc<dyn Inspect>, StoreError> {
        Ok(self.make()?)
    }

    async fn reopen(
        &self,
        store: Arc<dyn Inspect>,
    ) -> Result<Option<Arc<dyn Inspect>>, StoreError> {
        drop(store);
        Ok(Some(self.open()?))
    }
}

#[async_trait]
impl LedgerBench for Files {
    async fn fresh(&self) -> Result<Arc<dyn TaskLedger>, StoreError> {
        Ok(self.make()?)
    }

    async fn reopen(
        &self,
        ledger: Arc<dyn TaskLedger>,
    ) -> Result<Option<Arc<dyn TaskLedger>>, StoreError> {
        drop(ledger);
        Ok(Some(self.open()?))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract() {
    let report = check(&Files::new()).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
    assert!(report.kept().len() >= 48, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract_of_the_ledger() {
    let report = check_ledger(&Files::new()).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
    assert!(report.kept().len() >= 18, "{report}");
}
