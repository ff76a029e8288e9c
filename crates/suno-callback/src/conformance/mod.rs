//! The suite that decides whether a store keeps the contract of [`IdempotencyStore`]. Its only
//! entry point is [`check`].
//!
//! Each case names the sentence of the contract that it tests, such as `C8`.
//!
//! A store that loses its data at the end of its process is checked on a [`VolatileBench`]. A
//! durable store needs its own [`Bench`], which can also reopen it.

mod accepting;
mod adopting;
mod bounds;
mod claiming;
mod clock;
mod contract;
mod general;
mod history;
mod inspecting;
mod ledger;
mod model;
mod ordering;
mod purging;
mod recording;
mod redriving;
mod referring;
mod report;
mod revising;
mod revising_unconfirmed;
mod scene;
mod settling;
mod unconfirmed;
mod volatile;
mod waiting;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use clock::ManualClock;
pub use history::check_history;
pub use report::{Broken, Report};
pub use volatile::VolatileBench;

use crate::key::EventId;
use crate::store::{IdempotencyStore, StoreError};

/// Creates the stores for the cases, and manipulates their environment.
///
/// The last three methods are optional: cases that need them are reported as not applicable without
/// them.
#[async_trait]
pub trait Bench: Send + Sync {
    /// Returns an empty store.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be created; the case then counts as broken.
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError>;

    /// Reopens the same store after the simulated end of its process: drops everything in memory
    /// and opens the store again. Returns `None` if the store is not durable.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the store cannot be opened; the case then counts as broken.
    async fn reopen(
        &self,
        store: Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError>;

    /// Lets time pass for the stores, by moving their clock or by waiting. The cases need hours and
    /// days, so use a clock that can be moved, such as [`ManualClock`].
    async fn pass(&self, time: Duration);

    /// Opens a second instance of the same store, as another process would. Returns `None` if that
    /// is not possible.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError`] if the instance cannot be opened; the case then counts as broken.
    async fn another(
        &self,
        store: &Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        let _ = store;
        Ok(None)
    }

    /// Sets the system time forward or back, without changing the elapsed time. Returns false if
    /// that is not possible.
    async fn step_wall_clock(&self, seconds: i64) -> bool {
        let _ = seconds;
        false
    }

    /// Damages the record of an event so that it cannot be read. Returns false if that is not
    /// possible.
    async fn damage(&self, store: &Arc<dyn IdempotencyStore>, event: EventId) -> bool {
        let _ = (store, event);
        false
    }
}

/// The result of a case.
type CaseResult = Result<(), Failed>;
// Not `Send`, because a sequence that is being simplified is not.
type CaseFuture<'a> = Pin<Box<dyn Future<Output = CaseResult> + 'a>>;

/// A case: the sentence of the contract that it tests, and the test.
struct SuiteCase {
    name: &'static str,
    sentence: &'static str,
    run: fn(&dyn Bench) -> CaseFuture<'_>,
}

/// Declares the cases of a file: `function: "sentence"`.
macro_rules! cases {
    ($($function:ident: $sentence:literal,)*) => {
        pub(super) const CASES: &[super::SuiteCase] = &[$(super::SuiteCase {
            name: stringify!($function),
            sentence: $sentence,
            run: |bench| Box::pin($function(bench)),
        },)*];
    };
}

use cases;

/// Returns the cases of every file, in the order of the contract.
const FILES: &[&[SuiteCase]] = &[
    general::CASES,
    accepting::CASES,
    unconfirmed::CASES,
    revising::CASES,
    revising_unconfirmed::CASES,
    bounds::CASES,
    claiming::CASES,
    ordering::CASES,
    waiting::CASES,
    settling::CASES,
    inspecting::CASES,
    adopting::CASES,
    redriving::CASES,
    purging::CASES,
    ledger::CASES,
    referring::CASES,
    recording::CASES,
    model::CASES,
];

/// The reason why a case did not pass.
#[derive(Debug)]
enum Failed {
    /// The store did not do what was expected.
    Wrong(String),
    /// The store returned an error.
    Store(StoreError),
    /// The bench cannot do what the case needs, so the case does not count.
    NotApplicable,
}

impl From<StoreError> for Failed {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(what) => f.write_str(what),
            Self::Store(err) => {
                write!(f, "the store failed: {err}")?;
                match std::error::Error::source(err) {
                    Some(cause) => write!(f, ": {cause}"),
                    None => Ok(()),
                }
            }
            Self::NotApplicable => f.write_str("not applicable"),
        }
    }
}

/// Runs every case against fresh stores, one after the other.
///
/// The runtime needs a timer, because some cases wait for a moment.
pub async fn check(bench: &dyn Bench) -> Report {
    run(bench, |_| true).await
}

/// Runs only the cases with these names, to observe a store in them.
pub async fn check_only(bench: &dyn Bench, cases: &[&str]) -> Report {
    run(bench, |case| cases.contains(&case.name)).await
}

async fn run(bench: &dyn Bench, is_wanted: impl Fn(&SuiteCase) -> bool) -> Report {
    let mut report = Report::default();
    let cases = FILES.iter().copied().flatten();
    for case in cases.filter(|case| is_wanted(case)) {
        report.add(case, (case.run)(bench).await);
    }
    report
}
