//! The error of failed requests, and its predicates for what a caller can do.
//!
//! An error holds neither a body nor a key nor a URL.

mod kind;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use suno_types::{Code, InvalidField, TaskId};

pub use self::kind::ErrorKind;

/// The error of another crate that is the cause of one of ours.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// A failed request, download or setting.
///
/// The predicates say what a caller can do. Check [`is_ambiguous`](Self::is_ambiguous) first: if it
/// is true, credits may have been spent. `Display` shows neither a body nor a key nor a URL. The
/// provider's own message is separate: [`msg`](Self::msg).
///
/// ```
/// use suno_client::{ApiKey, ErrorKind};
///
/// let err = ApiKey::new("not a key").unwrap_err();
/// assert_eq!(err.kind(), ErrorKind::Setting);
/// assert!(!err.is_ambiguous() && !err.is_retryable());
/// ```
pub struct ClientError(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    /// The first words of `Display`.
    what: &'static str,
    code: Option<Code>,
    status: Option<StatusCode>,
    msg: Option<Box<str>>,
    retry_after: Option<Duration>,
    existing_task: Option<TaskId>,
    retryable: bool,
    ambiguous: bool,
    cause: Option<Cause>,
}

impl ClientError {
    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The code in the body of the answer, if it had one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.0.code
    }

    /// The HTTP status of the answer, if one arrived.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.status.map(|status| status.as_u16())
    }

    /// The provider's message, at most 300 characters on one line. URLs and the key are replaced.
    #[must_use]
    pub fn msg(&self) -> Option<&str> {
        self.0.msg.as_deref()
    }

    /// The time that the provider asked to wait, from `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The task that exists already, if the provider refused a submit because of it: another WAV
    /// file or other cover images of the same song (`PROTOCOL.md 1.51`). Its result can be polled.
    ///
    /// ```
    /// # use suno_client::suno_types::{ConvertToWav, TaskId};
    /// # use suno_client::{Client, ClientError};
    /// async fn wav(client: &Client, request: &ConvertToWav) -> Result<TaskId, ClientError> {
    ///     match client.submit(request).await {
    ///         Ok(submitted) => Ok(submitted.task_id),
    ///         Err(err) => err.existing_task().cloned().ok_or(err),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn existing_task(&self) -> Option<&TaskId> {
        self.0.existing_task.as_ref()
    }

    /// Returns whether a submit may have created a task, and so spent credits, although no task id
    /// arrived.
    ///
    /// Errors of several [kinds](ErrorKind) can be ambiguous. The provider cannot be asked which
    /// tasks exist, so this crate never retries such a submit.
    ///
    /// ```
    /// # use suno_client::suno_types::{AddInstrumental, TaskId};
    /// # use suno_client::{Client, ClientError};
    /// async fn submit(client: &Client, request: &AddInstrumental) -> Result<TaskId, ClientError> {
    ///     match client.submit(request).await {
    ///         Ok(submitted) => Ok(submitted.task_id),
    ///         Err(err) if err.is_ambiguous() => {
    ///             // Store that this submit is open. Its callback may still arrive.
    ///             Err(err)
    ///         }
    ///         // No task exists, and nothing was paid.
    ///         Err(err) => Err(err),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.0.ambiguous
    }

    /// Returns whether the same call may succeed later, without the risk of paying twice. An
    /// ambiguous error is never retryable.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use suno_client::ClientError;
    /// fn pause_before_the_next_call(err: &ClientError) -> Option<Duration> {
    ///     let pause = err.retry_after().unwrap_or(Duration::from_secs(60));
    ///     err.is_retryable().then_some(pause)
    /// }
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// Returns whether the provider refused the request because there were too many.
    ///
    /// ```
    /// # fn example(err: suno_client::ClientError) {
    /// if err.is_rate_limited() {
    ///     println!("try again in {:?}", err.retry_after());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        self.0.kind == ErrorKind::RateLimited
    }

    /// Returns whether the account has no credits left. Further submits fail until it is topped up.
    ///
    /// ```
    /// # fn example(err: suno_client::ClientError) {
    /// if err.is_out_of_credits() {
    ///     println!("top up the account");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_out_of_credits(&self) -> bool {
        self.0.kind == ErrorKind::OutOfCredits
    }

    /// Returns whether the provider rejected the API key.
    ///
    /// ```
    /// # fn example(err: suno_client::ClientError) {
    /// if err.is_unauthorized() {
    ///     println!("check the API key");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        self.0.kind == ErrorKind::Unauthorized
    }

    /// Returns whether a field of the request is wrong, so that the same request fails again.
    ///
    /// ```
    /// use suno_client::ClientError;
    /// use suno_client::suno_types::AddInstrumental;
    ///
    /// let invalid = AddInstrumental::builder().build().unwrap_err();
    /// assert!(ClientError::from(invalid).is_invalid_request());
    /// ```
    #[must_use]
    pub fn is_invalid_request(&self) -> bool {
        self.0.kind == ErrorKind::InvalidRequest
    }

    /// Returns whether the provider is under maintenance.
    ///
    /// ```
    /// # fn example(err: suno_client::ClientError) {
    /// if err.is_maintenance() {
    ///     println!("try again in a few minutes");
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_maintenance(&self) -> bool {
        self.0.kind == ErrorKind::Maintenance
    }

    /// An error that is neither retryable nor ambiguous.
    pub(crate) fn new(kind: ErrorKind, what: &'static str) -> Self {
        Self(Box::new(Parts {
            kind,
            what,
            code: None,
            status: None,
            msg: None,
            retry_after: None,
            existing_task: None,
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

    pub(crate) fn with_existing_task(mut self, task: Option<TaskId>) -> Self {
        self.0.existing_task = task;
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// Sets whether the error is ambiguous and, unless it is, whether it is retryable.
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

/// Without the provider's message.
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
        Self::new(
            ErrorKind::InvalidRequest,
            "a field of the request is out of bounds",
        )
        .with_cause(field)
    }
}
