//! The error of a transaction, and its meaning for users of the store.

use rusqlite::ErrorCode;
use suno_callback::{StoreError, StoreErrorKind};

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The reason why an operation failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// SQLite returned an error.
    Sqlite(rusqlite::Error),
    /// A row contains a value that this program never writes.
    Damaged(&'static str),
    /// A kind of content that this version of the store does not know.
    Unknown,
}

impl From<rusqlite::Error> for Error {
    fn from(err: rusqlite::Error) -> Self {
        Self::Sqlite(err)
    }
}

impl From<Error> for StoreError {
    fn from(err: Error) -> Self {
        match err {
            Error::Sqlite(err) => StoreError::new(kind(&err)).with_source(err),
            Error::Damaged(what) => StoreError::new(StoreErrorKind::Corrupt).with_source(what),
            Error::Unknown => StoreError::new(StoreErrorKind::Refused)
                .with_source("the store does not know this kind of content"),
        }
    }
}

impl Error {
    /// Whether only the row of one event cannot be read, so that others can.
    pub(crate) fn is_of_one_row(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(err) => {
                err.sqlite_error_code().is_none() && kind(err) == StoreErrorKind::Corrupt
            }
            Self::Unknown => false,
        }
    }
}

/// Classifies an error of SQLite by what the caller can do about it.
fn kind(err: &rusqlite::Error) -> StoreErrorKind {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, QueryReturnedNoRows,
        Utf8Error,
    };
    let is_damage = matches!(
        err,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | QueryReturnedNoRows
            | Utf8Error(..)
    );
    match err.sqlite_error_code() {
        // A value that this program never writes, or a missing value that is always
        // present.
        None if is_damage => StoreErrorKind::Corrupt,
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        // If opening fails although the file is open, the cause is its -wal or -shm.
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreErrorKind::ReadOnly
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
        Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
            StoreErrorKind::Refused
        }
        _ => StoreErrorKind::Unavailable,
    }
}

/// Classifies an error of SQLite.
pub(crate) fn store_error(err: rusqlite::Error) -> StoreError {
    Error::from(err).into()
}
