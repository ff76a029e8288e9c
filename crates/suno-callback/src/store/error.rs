//! Why a store could not do what was asked.

use std::error::Error;

/// A store could not do what was asked. Nothing of it was done, unless the kind is
/// [`Unavailable`](StoreErrorKind::Unavailable): then that is not known.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct StoreError {
    kind: StoreErrorKind,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is in the way of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached or opened, or another process keeps it busy.
    #[error("the store is not available")]
    Unavailable,
    /// There is no room left.
    #[error("the store is full; free disk space")]
    Full,
    /// The store cannot be written to.
    #[error("the store is read-only; check the permissions of its file and folder")]
    ReadOnly,
    /// What is stored cannot be trusted any more.
    #[error("the store is damaged, or is no store; restore it from a backup")]
    Corrupt,
    /// The store was written by a newer version of this program.
    #[error("the store was written by a newer version; upgrade this program")]
    NewerVersion,
    /// One of the things to store was refused; others may be taken.
    #[error("the store refused what was to be stored")]
    Refused,
}

impl StoreError {
    /// An error without a cause.
    #[must_use]
    pub fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// The same with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The store has not answered within the caller's time: what was asked for may have been done.
    pub(crate) fn unanswered() -> Self {
        Self::new(StoreErrorKind::Unavailable).with_source("it did not answer in time")
    }

    /// What is in the way.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// True if the same may work later, without anybody doing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable)
    }
}
