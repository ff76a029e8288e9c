//! The store keeps the contract of every store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::conformance::{Bench, ManualClock, Report, check, check_only};
use suno_callback::{EventId, IdempotencyStore, StoreError};
use suno_store_postgres::{PostgresConfig, PostgresStore, Wake};
use tokio::sync::Mutex;

use crate::server::Schema;

/// The time of the server's clock at the start of each case, in microseconds since 1970.
const START: i64 = 1_800_000_000_000_000;

/// Makes an empty schema for each case.
pub(crate) struct Schemas {
    latest: Mutex<Schema>,
    url: String,
    /// Stands still like the clock of the server, until both are moved.
    clock: ManualClock,
    /// The time of the server's clock.
    time: AtomicI64,
    set: Box<dyn Fn(PostgresConfig) -> PostgresConfig + Send + Sync>,
}

impl Schemas {
    /// Uses a schema for all cases, with these settings of the store.
    pub(crate) async fn new(
        schema: Schema,
        set: impl Fn(PostgresConfig) -> PostgresConfig + Send + Sync + 'static,
    ) -> Self {
        // The cases use one schema, since making it takes longer than most of them, and do not wait for
        // the disk.
        let url = schema.role_with(&["synchronous_commit = off"]).await;
        Self {
            latest: Mutex::new(schema),
            url,
            clock: ManualClock::new(),
            time: AtomicI64::new(START),
            set: Box::new(set),
        }
    }

    async fn open(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        let config = PostgresConfig::parse(&self.url)?;
        let config = config.with_schema(&*self.latest.lock().await.name);
        let config = (self.set)(config.with_connections(4));
        let store = PostgresStore::connect_with_clock(config, self.clock.clone()).await?;
        Ok(Arc::new(store))
    }

    async fn move_clock(&self, micros: i64) {
        let time = self.time.fetch_add(micros, Ordering::SeqCst) + micros;
        self.latest.lock().await.stop_clock(time).await;
    }
}

#[async_trait]
impl Bench for Schemas {
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        self.latest.lock().await.empty().await;
        self.time.store(START, Ordering::SeqCst);
        self.move_clock(0).await;
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
        self.move_clock(i64::try_from(time.as_micros()).unwrap())
            .await;
        self.clock.pass(time);
    }

    async fn another(
        &self,
        _: &Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        self.open().await.map(Some)
    }

    async fn step_wall_clock(&self, seconds: i64) -> bool {
        self.move_clock(seconds * 1_000_000).await;
        true
    }

    async fn damage(&self, _: &Arc<dyn IdempotencyStore>, event: EventId) -> bool {
        let schema = self.latest.lock().await;
        let sql = format!("DELETE FROM {}.body WHERE event_no = $1", schema.name);
        schema.client.execute(&sql, &[&event.0]).await.unwrap() == 1
    }
}

pub(crate) fn expect_kept(report: &Report) {
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
    assert!(report.kept().len() >= 100, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    // Each case connects anew; without a connection to listen on that takes half of the time.
    let poll = |config: PostgresConfig| config.with_wake(Wake::Poll);
    let schemas = Schemas::new(schema, poll).await;
    expect_kept(&check(&schemas).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_keeps_the_contract_when_it_listens() {
    let Some(schema) = Schema::new().await else {
        return;
    };
    let schemas = Schemas::new(schema, |config| config).await;
    let cases = [
        "a_wait_ends_at_once_if_an_event_is_ready",
        "a_wait_ends_no_later_than_it_was_told",
        "a_delivery_ends_a_wait",
        "a_delivery_in_another_process_ends_a_wait",
        "a_wait_ends_when_a_retry_is_due",
        "a_wait_ends_when_a_lease_ends",
        "a_settlement_that_lets_another_stage_go_on_ends_a_wait",
        "what_people_make_ready_ends_a_wait",
    ];
    let report = check_only(&schemas, &cases).await;
    assert!(report.broken().is_empty(), "{report}");
    assert_eq!(report.kept().len(), cases.len(), "{report}");
}
