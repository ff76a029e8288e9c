//! What SQLite's errors mean to a store's users.

use rusqlite::ErrorCode;
use suno_callback::{StoreError, StoreErrorKind};

/// Sorts an error of SQLite by what can be done about it.
pub(crate) fn store_error(err: rusqlite::Error) -> StoreError {
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
    let kind = match err.sqlite_error_code() {
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
    };
    StoreError::new(kind).with_source(err)
}

/// A row that this program did not write.
pub(crate) fn damaged(what: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt).with_source(what)
}
