//! What went wrong in a transaction, and what it means to users of the store.

use rusqlite::ErrorCode;
use suno_callback::{StoreError, StoreErrorKind};

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// A row that this program does not write.
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
    /// True if the row of one event cannot be read, while others can.
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

/// Sorts an error of SQLite by what can be done about it.
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
        // A value that this program never writes, or none where there always is one.
        None if is_damage => StoreErrorKind::Corrupt,
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        // What cannot be opened beside a file that is open are its -wal and -shm.
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

/// Sorts an error of SQLite.
pub(crate) fn store_error(err: rusqlite::Error) -> StoreError {
    Error::from(err).into()
}
