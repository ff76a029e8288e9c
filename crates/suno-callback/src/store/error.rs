//! The error of a store.

use std::error::Error;

/// The store could not perform an operation. The operation had no effect, unless the kind is
/// [`Unavailable`](StoreErrorKind::Unavailable): then its effect is unknown.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct StoreError {
    kind: StoreErrorKind,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kind of a store's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached or opened, or another process keeps it busy.
    #[error("the store is not available")]
    Unavailable,
    /// There is no space left.
    #[error("the store is full; free disk space")]
    Full,
    /// The store cannot be written to.
    #[error("the store is read-only; check the permissions of its file and folder")]
    ReadOnly,
    /// The stored data is damaged.
    #[error("the store is damaged or not a store; restore it from a backup")]
    Corrupt,
    /// The store was written by a newer version of this program.
    #[error("the store was written by a newer version; upgrade this program")]
    NewerVersion,
    /// The store rejected one of several items; it may accept the others.
    #[error("the store rejected an item")]
    Refused,
}

impl StoreError {
    /// Creates an error without a cause.
    #[must_use]
    pub fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Creates the error of a store that has not answered within the caller's time limit: the
    /// operation may have been performed.
    pub(crate) fn unanswered() -> Self {
        Self::new(StoreErrorKind::Unavailable).with_source("the store did not answer in time")
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the same operation may succeed later without any intervention.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable)
    }
}
