//! The error of this crate.

use std::error::Error;
use std::fmt;

/// The reason why no case could be run: the cases, the expectations or the target cannot be read or
/// reached, or no case matches the filter.
///
/// A case that fails is not an error.
pub struct ConformanceError(anyhow::Error);

impl From<anyhow::Error> for ConformanceError {
    fn from(err: anyhow::Error) -> Self {
        Self(err)
    }
}

impl fmt::Debug for ConformanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ConformanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ConformanceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
