//! The suite that decides whether a store keeps its contract: [`check`] for
//! [`IdempotencyStore`](crate::IdempotencyStore) and [`Inspect`], [`check_ledger`] for
//! [`TaskLedger`](crate::TaskLedger).
//!
//! ```
//! use std::sync::Arc;
//!
//! use suno_callback::conformance::{Bench, check};
//! use suno_callback::{Inspect, MemoryStore, StoreError, async_trait};
//!
//! struct InMemory;
//!
//! #[async_trait]
//! impl Bench for InMemory {
//!     async fn fresh(&self) -> Result<Arc<dyn Inspect>, StoreError> {
//!         Ok(Arc::new(MemoryStore::new()))
//!     }
//!
//!     async fn reopen(
//!         &self,
//!         _: Arc<dyn Inspect>,
//!     ) -> Result<Option<Arc<dyn Inspect>>, StoreError> {
//!         Ok(None) // It forgets at the end of the process: durability is not checked.
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let report = check(&InMemory).await;
//! assert!(report.broken().is_empty(), "{report}");
//! # }
//! ```

mod accepting;
mod claiming;
mod inspecting;
mod ledger;
mod model;
mod scene;
mod settling;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

pub use ledger::{LedgerBench, check_ledger};

use crate::store::{Inspect, StoreError};

/// Where the stores come from.
#[async_trait]
pub trait Bench: Send + Sync {
    /// An empty store.
    async fn fresh(&self) -> Result<Arc<dyn Inspect>, StoreError>;

    /// The same store after its process has ended, as far as that can be played: everything in
    /// memory is dropped and the store is opened again. `None` if the store is not durable.
    async fn reopen(&self, store: Arc<dyn Inspect>)
    -> Result<Option<Arc<dyn Inspect>>, StoreError>;
}

/// Why a case failed.
type Verdict = Result<(), Failed>;
// Not `Send`: a sequence that is being simplified is not.
type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// A case: the sentence of the contract that it tests, and how.
struct Case<F> {
    name: &'static str,
    sentence: &'static str,
    run: F,
}

/// Declares the cases of a file: `function: "sentence"`; behind the kind of bench, if it is not
/// [`Bench`].
macro_rules! cases {
    ($bench:ident; $($function:ident: $sentence:literal,)*) => {
        pub(super) const CASES: &[super::Case<fn(&dyn $bench) -> super::Running<'_>>] = &[$(super::Case {
            name: stringify!($function),
            sentence: $sentence,
            run: |bench| Box::pin($function(bench)),
        },)*];
    };
    ($($cases:tt)*) => { cases! { Bench; $($cases)* } };
}

use cases;

/// What went wrong in a case.
#[derive(Debug)]
enum Failed {
    /// The store did something else.
    Wrong(String),
    /// The store failed.
    Store(StoreError),
    /// The bench has no such store: the case does not count.
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

/// What the suite found.
#[derive(Debug)]
pub struct Report {
    kept: Vec<&'static str>,
    not_applicable: Vec<&'static str>,
    broken: Vec<Broken>,
}

/// A sentence of the contract that a store does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The case.
    pub case: &'static str,
    /// The sentence of the contract.
    pub sentence: &'static str,
    /// What the store did.
    pub what: String,
}

impl Report {
    /// The cases that the store keeps.
    #[must_use]
    pub fn kept(&self) -> &[&'static str] {
        &self.kept
    }

    /// The cases that could not be tried, because the store is not durable.
    #[must_use]
    pub fn not_applicable(&self) -> &[&'static str] {
        &self.not_applicable
    }

    /// What the store does not keep; empty if it keeps its contract.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases kept, {} broken, {} not applicable",
            self.kept.len(),
            self.broken.len(),
            self.not_applicable.len()
        )?;
        for broken in &self.broken {
            write!(
                f,
                "\n{}: {}\n  contract: {}",
                broken.case, broken.what, broken.sentence
            )?;
        }
        for case in &self.not_applicable {
            write!(f, "\n{case}: not applicable")?;
        }
        Ok(())
    }
}

/// Runs every case against fresh stores.
pub async fn check(bench: &dyn Bench) -> Report {
    let files = [
        accepting::CASES,
        claiming::CASES,
        settling::CASES,
        inspecting::CASES,
        model::CASES,
    ];
    run(&files, |case| (case.run)(bench)).await
}

async fn run<'a, F: 'static>(
    files: &[&'static [Case<F>]],
    run: impl Fn(&Case<F>) -> Running<'a>,
) -> Report {
    let mut report = Report {
        kept: Vec::new(),
        not_applicable: Vec::new(),
        broken: Vec::new(),
    };
    for case in files.iter().copied().flatten() {
        match run(case).await {
            Ok(()) => report.kept.push(case.name),
            Err(Failed::NotApplicable) => report.not_applicable.push(case.name),
            Err(failed) => report.broken.push(Broken {
                case: case.name,
                sentence: case.sentence,
                what: failed.to_string(),
            }),
        }
    }
    report
}
