//! Metrics in the Prometheus text format 0.0.4, without a recorder for the whole process.
//!
//! [`Metrics`] observes a pipeline and its destinations. Counters are shown from the start, with
//! zero. [`Scraper`] reads gauges, such as the number of events, from the store when they are asked
//! for.
//!
//! ```
//! use std::sync::Arc;
//!
//! use suno_callback::MemoryStore;
//! use suno_gateway::metrics::{Metrics, Scraper};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let metrics = Arc::new(Metrics::new("1.0.0"));
//! // Pass clones to `PipelineBuilder::with_observer` and to each destination.
//! let scraper = Scraper::new(Arc::new(MemoryStore::new()), metrics);
//! let text = scraper.scrape().await;
//! assert!(text.contains("\nsuno_inbox_events{state=\"ready\"} 0\n"));
//! # }
//! ```

mod family;
mod observe;
mod scrape;
mod text;
mod totals;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::Timestamp;
use suno_callback::{Acceptance, HandledOutcome};

use family::{Histogram, Label, Labelled};
pub use scrape::{Gauges, Scraper};
pub(crate) use totals::Totals;

use crate::breaker::Transition;
use crate::destination::DestinationName;

/// 0.25 ms doubling to 1.024 s.
const ACCEPT_BOUNDS: &[f64] = &[
    0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024,
];
/// 5 ms to a minute.
const FORWARD_BOUNDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
const COMMIT_BOUNDS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0,
];

/// The reason in `suno_requests_total` of a request that was answered with 200.
const NO_REASON: &str = "none";

/// The outcomes of deliveries, which are shown from the start.
const ACCEPTANCES: [Acceptance; 8] = [
    Acceptance::New,
    Acceptance::Revised,
    Acceptance::Late,
    Acceptance::Duplicate,
    Acceptance::Conflict,
    Acceptance::Confirmed,
    Acceptance::Quarantined,
    Acceptance::Dropped,
];

/// The label values of `status_class`.
const STATUS_CLASSES: [&str; 10] = [
    "1xx",
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "unanswered",
    "exit_zero",
    "exit_other",
    "saved",
    "not_saved",
];

/// Counts what happens between the provider and the destinations.
///
/// It implements [`suno_callback::Observer`] and [`Observer`](crate::Observer). A pipeline takes it
/// as one of a `Vec<Arc<dyn suno_callback::Observer>>`. No label value can be chosen by a sender or a
/// consumer, and the number of series is bounded.
#[derive(Debug)]
pub struct Metrics {
    version: Box<str>,
    requests: Labelled<2, u64>,
    deliveries: Labelled<1, u64>,
    accept_seconds: Histogram,
    commit_deliveries: Histogram,
    commit_failures: AtomicU64,
    handler_seconds: Histogram,
    handled: Labelled<1, u64>,
    forwards: Labelled<2, u64>,
    forward_seconds: Labelled<1, ForwardSeconds>,
    destination_up: Labelled<1, u64>,
    dead_letters: AtomicU64,
    conflicts: AtomicU64,
    recovered: AtomicU64,
    claims_lost: AtomicU64,
    history_dropped: AtomicU64,
    scrape_errors: AtomicU64,
    /// Seconds since 1970; `i64::MIN` if there is no certificate.
    certificate_not_after: AtomicI64,
}

/// The durations of attempts at one destination.
#[derive(Debug)]
struct ForwardSeconds(Histogram);

impl Default for ForwardSeconds {
    fn default() -> Self {
        Self(Histogram::new(FORWARD_BOUNDS))
    }
}

impl Metrics {
    /// The content type of the text that [`Scraper::scrape`] returns.
    pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    /// Creates metrics in which nothing has happened. `version` is that of the program, for
    /// `suno_build_info`.
    #[must_use]
    pub fn new(version: &str) -> Self {
        let metrics = Self {
            version: version.into(),
            requests: Labelled::new(["status", "reason"]),
            deliveries: Labelled::new(["outcome"]),
            accept_seconds: Histogram::new(ACCEPT_BOUNDS),
            commit_deliveries: Histogram::new(COMMIT_BOUNDS),
            commit_failures: AtomicU64::new(0),
            handler_seconds: Histogram::new(FORWARD_BOUNDS),
            handled: Labelled::new(["outcome"]),
            forwards: Labelled::new(["destination", "status_class"]),
            forward_seconds: Labelled::new(["destination"]),
            destination_up: Labelled::new(["destination"]),
            dead_letters: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            recovered: AtomicU64::new(0),
            claims_lost: AtomicU64::new(0),
            history_dropped: AtomicU64::new(0),
            scrape_errors: AtomicU64::new(0),
            certificate_not_after: AtomicI64::new(i64::MIN),
        };
        metrics.requests.touch(["200".into(), NO_REASON.into()]);
        for outcome in ACCEPTANCES {
            metrics.deliveries.touch([outcome.as_str().into()]);
        }
        for outcome in HandledOutcome::ALL {
            metrics.handled.touch([outcome.as_str().into()]);
        }
        metrics
    }

    /// Shows the series of a destination from the start, and the destination as working.
    #[must_use]
    pub fn with_destination(self, name: &DestinationName) -> Self {
        let name = || Label::from(name.as_str().to_owned());
        for class in STATUS_CLASSES {
            self.forwards.touch([name(), class.into()]);
        }
        self.forward_seconds.touch([name()]);
        self.destination_up.with([name()], |up| *up = 1);
        self
    }

    /// Sets the time at which the certificate of the receiver's server expires.
    pub fn set_certificate_not_after(&self, not_after: Timestamp) {
        self.certificate_not_after
            .store(not_after.as_second(), Ordering::Relaxed);
    }

    /// Sets the number of entries of the history that were dropped since the start. A smaller number
    /// than before changes nothing.
    pub fn set_history_dropped(&self, dropped: u64) {
        self.history_dropped.fetch_max(dropped, Ordering::Relaxed);
    }

    fn note_transition(&self, destination: &DestinationName, transition: Transition) {
        let up = u64::from(transition == Transition::Closed);
        let name = destination.as_str().to_owned();
        self.destination_up.with([name.into()], |is_up| *is_up = up);
    }
}
