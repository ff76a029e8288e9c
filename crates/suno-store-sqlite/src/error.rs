//! What SQLite's errors mean to a store's users.

use rusqlite::ErrorCode;
use suno_callback::{StoreError, StoreErrorKind};

/// Sorts an error of SQLite by what can be done about it.
pub(crate) fn store_error(err: rusqlite::Error) -> StoreError {
    let kind = match err.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreErrorKind::ReadOnly,
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
