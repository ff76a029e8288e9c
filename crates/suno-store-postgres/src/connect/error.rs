//! The error of an operation on the server, and its meaning for users of the store.

use std::error::Error as _;

use suno_callback::{StoreError, StoreErrorKind};
use tokio_postgres::types::{WasNull, WrongType};

use super::sqlstate::{self, Action, LOST, Meaning, ServerError};

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
    /// No connection could be opened.
    Connect(String),
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

impl Error {
    /// Returns what to do after this error.
    pub(super) fn action(&self) -> Action {
        match self {
            Self::Postgres(err) => meaning(err).map_or(Action::Fail, |meaning| meaning.action),
            _ => Action::Fail,
        }
    }

    /// Whether the connection still answers after this error.
    pub(super) fn leaves_connection(&self) -> bool {
        match self {
            Self::Postgres(err) => {
                !matches!(self.action(), Action::Reconnect | Action::Replace) && !err.is_closed()
            }
            Self::Unavailable(_) | Self::Connect(_) => false,
            Self::Damaged(_) | Self::Refused(_) | Self::Store(_) => true,
        }
    }
}

/// Returns what an error means, or nothing if it is about a value that was sent or received.
fn meaning(err: &tokio_postgres::Error) -> Option<Meaning> {
    if let Some(err) = err.as_db_error() {
        return Some(sqlstate::meaning(err));
    }
    let is_lost = err.is_closed() || err.source().is_some_and(|it| it.is::<std::io::Error>());
    is_lost.then_some(LOST)
}

impl From<Error> for StoreError {
    fn from(err: Error) -> Self {
        match err {
            Error::Postgres(err) => of_server(&err),
            Error::Damaged(what) => StoreError::new(StoreErrorKind::Corrupt).with_source(what),
            Error::Refused(what) => StoreError::new(StoreErrorKind::Refused).with_source(what),
            Error::Unavailable(what) => {
                StoreError::new(StoreErrorKind::Unavailable).with_source(what)
            }
            Error::Connect(what) => StoreError::new(StoreErrorKind::Unavailable).with_source(what),
            Error::Store(err) => err,
        }
    }
}

/// Keeps no error of the driver: the details of the server's errors quote rows.
fn of_server(err: &tokio_postgres::Error) -> StoreError {
    if let Some(err) = err.as_db_error() {
        return StoreError::new(sqlstate::meaning(err).kind).with_source(ServerError::new(err));
    }
    let of_value = err
        .source()
        .is_some_and(|cause| cause.is::<WrongType>() || cause.is::<WasNull>());
    if of_value {
        return StoreError::new(StoreErrorKind::Corrupt)
            .with_source("a column has another type than this program writes");
    }
    StoreError::new(StoreErrorKind::Unavailable).with_source(described(err))
}

/// Describes an error and its causes in one line, without contents of rows.
pub(super) fn described(err: &tokio_postgres::Error) -> String {
    if let Some(err) = err.as_db_error() {
        return ServerError::new(err).to_string();
    }
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        text.push_str(": ");
        text.push_str(&err.to_string());
        cause = err.source();
    }
    text
}
