//! Why handling failed, and whether it is tried again.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Handling failed, and what to do about it.
///
/// Any error turns into one by `?`, and is tried again with back-off.
pub struct HandlerError {
    cause: Box<dyn Error + Send + Sync>,
    verdict: Verdict,
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry,
    RetryAfter(Duration),
    GiveUp,
}

impl HandlerError {
    /// Try again, with back-off.
    #[must_use]
    pub fn retry(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(cause, Verdict::Retry)
    }

    /// Try again, not before this much time has passed.
    #[must_use]
    pub fn retry_after(wait: Duration, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(cause, Verdict::RetryAfter(wait))
    }

    /// Never try again: keep the event as a dead letter.
    #[must_use]
    pub fn give_up(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(cause, Verdict::GiveUp)
    }

    fn new(cause: impl Into<Box<dyn Error + Send + Sync>>, verdict: Verdict) -> Self {
        Self {
            cause: cause.into(),
            verdict,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HandlerError {
    fn from(err: E) -> Self {
        Self::retry(err)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)?;
        let mut cause = self.cause.source();
        while let Some(err) = cause {
            write!(f, ": {err}")?;
            cause = err.source();
        }
        Ok(())
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("cause", &self.cause)
            .field("verdict", &self.verdict)
            .finish()
    }
}
