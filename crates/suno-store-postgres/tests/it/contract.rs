//! The store keeps the contract of every store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use suno_callback::conformance::{Bench, ManualClock, Report, check};
use suno_callback::{Clock, EventId, IdempotencyStore, StoreError};
use suno_store_postgres::{PostgresConfig, PostgresStore};
use tokio::sync::Mutex;

use crate::server::Schema;

/// A clock that can be moved, and that runs like the server's in between.
#[derive(Debug, Clone)]
struct RunningClock {
    manual: ManualClock,
    start: Instant,
}

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        self.manual.now()
    }

    fn monotonic(&self) -> Duration {
        self.manual.monotonic() + self.start.elapsed()
    }
}

/// Makes a schema for each case.
struct Schemas {
    latest: Mutex<Schema>,
    clock: RunningClock,
    /// How much the clock of the server was moved for the latest schema, in microseconds.
    shift: AtomicI64,
    set: fn(PostgresConfig) -> PostgresConfig,
}

impl Schemas {
    async fn new(set: fn(PostgresConfig) -> PostgresConfig) -> Option<Self> {
        Some(Self {
            latest: Mutex::new(Schema::new().await?),
            clock: RunningClock {
                manual: ManualClock::new(),
                start: Instant::now(),
            },
            shift: AtomicI64::new(0),
            set,
        })
    }

    async fn open(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        let config = (self.set)(self.latest.lock().await.config());
        let store = PostgresStore::connect_with_clock(config, self.clock.clone()).await?;
        Ok(Arc::new(store))
    }

    async fn shift(&self, micros: i64) {
        let shift = self.shift.fetch_add(micros, Ordering::SeqCst) + micros;
        self.latest.lock().await.shift_clock(shift).await;
    }
}

#[async_trait]
impl Bench for Schemas {
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        self.shift.store(0, Ordering::SeqCst);
        self.latest.lock().await.empty().await;
        self.open().await
    }

    async fn reopen(
        &self,
        store: Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        drop(store);
        self.open().await.map(Some)
    }

    async fn pass(&self, time: Duration) {
        self.shift(i64::try_from(time.as_micros()).unwrap()).await;
        self.clock.manual.pass(time);
    }

    async fn another(
        &self,
        _: &Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        self.open().await.map(Some)
    }

    async fn step_wall_clock(&self, seconds: i64) -> bool {
        self.shift(seconds * 1_000_000).await;
        true
    }

    async fn damage(&self, _: &Arc<dyn IdempotencyStore>, event: EventId) -> bool {
        let schema = self.latest.lock().await;
        let sql = format!("DELETE FROM {}.body WHERE event_no = $1", schema.name);
        schema.client.execute(&sql, &[&event.0]).await.unwrap() == 1
    }
}

fn expect_kept(report: &Report) {
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
    assert!(report.kept().len() >= 100, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract() {
    let Some(schemas) = Schemas::new(|config| config).await else {
        return;
    };
    expect_kept(&check(&schemas).await);
}
