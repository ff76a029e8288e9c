//! The error of settings.

use suno_callback::{StoreError, StoreErrorKind};

/// The settings of a connection cannot be used.
///
/// `Display` says which setting is wrong and what it may be. It never contains a value, since a
/// malformed text may have a piece of the password anywhere.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl From<ConfigError> for StoreError {
    fn from(err: ConfigError) -> Self {
        StoreError::new(StoreErrorKind::Refused).with_source(err)
    }
}
