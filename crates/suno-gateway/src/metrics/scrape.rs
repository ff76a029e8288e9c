//! Reads the gauges from the store: within a time limit, and not at each scrape.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use suno_callback::history::HistoryWriter;
use suno_callback::{
    Clock, Counts, EventFilter, IdempotencyStore, ListRequest, StateName, StoreError, SystemClock,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Metrics;

/// The values that are read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Gauges {
    /// The number of events in each state, and of entries in quarantine.
    pub counts: Option<Counts>,
    /// The age of the oldest event that is not handled; zero if there is none.
    pub oldest_pending: Option<Duration>,
    /// The number of bytes that the store occupies.
    pub store_bytes: Option<u64>,
}

/// Returns the number of bytes that a store occupies, if that is known.
type StoreBytes = dyn Fn() -> Option<u64> + Send + Sync;

/// Renders [`Metrics`] together with gauges from a store.
pub struct Scraper {
    store: Arc<dyn IdempotencyStore>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    store_bytes: Option<Arc<StoreBytes>>,
    history: Option<HistoryWriter>,
    /// The last values, and when they were read. The lock is held while they are read, so that many
    /// scrapes at a time cost as much as one.
    cache: Mutex<Option<(Instant, Gauges)>>,
}

impl Scraper {
    /// The time for which the gauges are not read again.
    pub const CACHED_FOR: Duration = Duration::from_secs(5);
    /// The time limit for reading them. After that, the last values are shown.
    pub const READ_TIMEOUT: Duration = Duration::from_secs(3);

    /// Creates a scraper of a store and of what was observed.
    #[must_use]
    pub fn new(store: Arc<dyn IdempotencyStore>, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            metrics,
            clock: Arc::new(SystemClock),
            store_bytes: None,
            history: None,
            cache: Mutex::default(),
        }
    }

    /// Sets the clock by which the age of events is computed.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the function that returns the bytes that the store occupies. It may block its thread,
    /// such as for reading the sizes of files.
    #[must_use]
    pub fn with_store_bytes(
        mut self,
        bytes: impl Fn() -> Option<u64> + Send + Sync + 'static,
    ) -> Self {
        self.store_bytes = Some(Arc::new(bytes));
        self
    }

    /// Counts the entries that this writer has dropped.
    #[must_use]
    pub fn with_history(mut self, writer: HistoryWriter) -> Self {
        self.history = Some(writer);
        self
    }

    /// Returns what is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Returns all metrics as text, of the type [`Metrics::CONTENT_TYPE`].
    ///
    /// If the store cannot be read, the last gauges are shown and `suno_scrape_errors_total` grows.
    pub async fn scrape(&self) -> String {
        if let Some(history) = &self.history {
            self.metrics.set_history_dropped(history.dropped());
        }
        let gauges = self.gauges().await;
        self.metrics.render(&gauges)
    }

    /// Returns the gauges, which are at most [`CACHED_FOR`](Self::CACHED_FOR) old unless the store
    /// fails.
    pub async fn gauges(&self) -> Gauges {
        let mut cache = self.cache.lock().await;
        if let Some((read_at, gauges)) = *cache
            && read_at.elapsed() < Self::CACHED_FOR
        {
            return gauges;
        }
        let read = timeout(Self::READ_TIMEOUT, self.read()).await;
        let gauges = match read {
            Ok(Ok(gauges)) => gauges,
            Ok(Err(_)) | Err(_) => {
                self.metrics.scrape_errors.fetch_add(1, Ordering::Relaxed);
                cache.map_or_else(Gauges::default, |(_, gauges)| gauges)
            }
        };
        // Also after a failure, so that a store that hangs does not delay each scrape.
        *cache = Some((Instant::now(), gauges));
        gauges
    }

    async fn read(&self) -> Result<Gauges, StoreError> {
        let counts = self.store.counts().await?;
        let mut oldest = None;
        for state in [StateName::Ready, StateName::Waiting, StateName::Claimed] {
            let first = ListRequest::first(1, EventFilter::in_state(state));
            let page = self.store.list(&first).await?;
            let received = page.records.first().map(|record| record.received_at);
            oldest = [oldest, received].into_iter().flatten().min();
        }
        let age = oldest.map(|oldest| self.clock.now().duration_since(oldest));
        let store_bytes = match self.store_bytes.clone() {
            Some(bytes) => tokio::task::spawn_blocking(move || bytes())
                .await
                .unwrap_or(None),
            None => None,
        };
        Ok(Gauges {
            counts: Some(counts),
            oldest_pending: Some(age.map_or(Duration::ZERO, |age| {
                Duration::try_from(age).unwrap_or(Duration::ZERO)
            })),
            store_bytes,
        })
    }
}

/// Leaves out the function that returns the size.
impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraper")
            .field("store", &self.store)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}
