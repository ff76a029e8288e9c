//! The error of an operation on the server, and its meaning for users of the store.

use suno_callback::{StoreError, StoreErrorKind};

/// The reason why an operation failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// The server or the connection returned an error.
    Postgres(tokio_postgres::Error),
    /// A row contains a value that this program never writes.
    Damaged(&'static str),
    /// The store cannot take this item.
    Refused(&'static str),
    /// The effect is unknown, or the server cannot be used now.
    Unavailable(&'static str),
    /// An error that is classified already.
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Error {
    fn from(err: tokio_postgres::Error) -> Self {
        Self::Postgres(err)
    }
}

impl From<StoreError> for Error {
    fn from(err: StoreError) -> Self {
        Self::Store(err)
    }
}

impl From<Error> for StoreError {
    fn from(err: Error) -> Self {
        match err {
            Error::Postgres(err) => {
                StoreError::new(StoreErrorKind::Unavailable).with_source(err.code().map_or_else(
                    || "the connection to the server failed".to_owned(),
                    |code| format!("the server reported SQLSTATE {}", code.code()),
                ))
            }
            Error::Damaged(what) => StoreError::new(StoreErrorKind::Corrupt).with_source(what),
            Error::Refused(what) => StoreError::new(StoreErrorKind::Refused).with_source(what),
            Error::Unavailable(what) => {
                StoreError::new(StoreErrorKind::Unavailable).with_source(what)
            }
            Error::Store(err) => err,
        }
    }
}
