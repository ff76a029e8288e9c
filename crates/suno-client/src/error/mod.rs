//! What can go wrong, and what a caller can do about it.
//!
//! Nothing here holds a body, a key or a URL.

mod kind;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use suno_types::{Code, InvalidField};

pub use self::kind::ErrorKind;

/// The error of another crate that is the cause of one of ours.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// A request that had no good end.
///
/// Ask the predicates what to do: [`is_ambiguous`](Self::is_ambiguous) above all, which says that
/// credits may have been spent. `Display` shows neither a body nor a key nor a URL; the provider's
/// words are behind [`msg`](Self::msg).
pub struct ClientError(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    /// What failed, in the words that `Display` begins with.
    what: &'static str,
    code: Option<Code>,
    status: Option<StatusCode>,
    msg: Option<Box<str>>,
    retry_after: Option<Duration>,
    retryable: bool,
    ambiguous: bool,
    cause: Option<Cause>,
}

impl ClientError {
    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The code in the body of the answer, if there was one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.0.code
    }

    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.status.map(|status| status.as_u16())
    }

    /// The provider's words, at most 300 characters on one line; URLs and the key are replaced.
    #[must_use]
    pub fn msg(&self) -> Option<&str> {
        self.0.msg.as_deref()
    }

    /// How long the provider asked to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// True if it is not known whether a task was made: it may exist, and credits may have been
    /// spent. There is no way to ask. Nothing that is ambiguous is ever sent again by this crate.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.0.ambiguous
    }

    /// True if the same call may work later and cannot cost anything twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// True if there were too many requests.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.0.kind == ErrorKind::RateLimited
    }

    /// True if the account has to be charged up before anything works again.
    #[must_use]
    pub fn is_out_of_credits(&self) -> bool {
        self.0.kind == ErrorKind::OutOfCredits
    }

    /// True if the key was not accepted.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.0.kind == ErrorKind::Unauthorized
    }

    /// True if the request has to be changed.
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        self.0.kind == ErrorKind::InvalidRequest
    }

    /// True if the provider is being maintained.
    #[must_use]
    pub fn is_maintenance(&self) -> bool {
        self.0.kind == ErrorKind::Maintenance
    }

    /// A failure that nothing was sent for, and that another try will not mend.
    pub(crate) fn new(kind: ErrorKind, what: &'static str) -> Self {
        Self(Box::new(Parts {
            kind,
            what,
            code: None,
            status: None,
            msg: None,
            retry_after: None,
            retryable: false,
            ambiguous: false,
            cause: None,
        }))
    }

    pub(crate) fn setting(what: &'static str) -> Self {
        Self::new(ErrorKind::Setting, what)
    }

    pub(crate) fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_code(mut self, code: Code) -> Self {
        self.0.code = Some(code);
        self
    }

    pub(crate) fn with_msg(mut self, msg: Box<str>) -> Self {
        self.0.msg = Some(msg).filter(|msg| !msg.is_empty());
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// What is ambiguous is never retryable.
    pub(crate) fn with_outlook(mut self, retryable: bool, ambiguous: bool) -> Self {
        self.0.ambiguous = ambiguous;
        self.0.retryable = retryable && !ambiguous;
        self
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.what)?;
        match (self.0.code, self.0.status) {
            (Some(code), _) => write!(f, " (code {code})")?,
            (None, Some(status)) => write!(f, " (HTTP {})", status.as_u16())?,
            (None, None) => {}
        }
        if self.0.ambiguous {
            f.write_str(
                "; the task may exist and may have been paid for: submitting again can pay twice",
            )?;
        }
        Ok(())
    }
}

/// Without the provider's words.
impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientError")
            .field("kind", &self.0.kind)
            .field("what", &self.0.what)
            .field("code", &self.0.code)
            .field("status", &self.0.status)
            .field("retryable", &self.0.retryable)
            .field("ambiguous", &self.0.ambiguous)
            .field("cause", &self.0.cause)
            .finish_non_exhaustive()
    }
}

impl StdError for ClientError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<InvalidField> for ClientError {
    fn from(field: InvalidField) -> Self {
        Self::new(ErrorKind::InvalidRequest, "a field is out of its bounds").with_cause(field)
    }
}
