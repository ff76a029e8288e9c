//! The error of a handler, and whether the event is retried.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The error that a handler returns, with what to do about the event.
///
/// `?` converts any error into one, and the event is retried with back-off.
///
/// Its text and those of its causes are logged, and stored with the event for people, up to
/// [`REASON_CHARS_MAX`](Self::REASON_CHARS_MAX) characters. URLs in it are cut off after the host,
/// since media URLs may be signed. Keep other secrets out of it.
pub struct HandlerError {
    cause: Box<dyn Error + Send + Sync>,
    verdict: FailureAction,
}

/// The action to take after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureAction {
    Retry,
    RetryAfter(Duration),
    GiveUp,
    NotNow,
}

impl HandlerError {
    /// The maximum length of the text that is logged and stored, in characters.
    pub const REASON_CHARS_MAX: usize = 1_000;
    /// The minimum time for which an event is kept that a handler could not take.
    pub const NOT_NOW_PAUSE: Duration = Duration::from_secs(1);

    /// Creates an error after which the event is retried with back-off.
    #[must_use]
    pub fn retry(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(cause, FailureAction::Retry)
    }

    /// Creates an error after which the event is retried, but not before this time has passed.
    #[must_use]
    pub fn retry_after(wait: Duration, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(cause, FailureAction::RetryAfter(wait))
    }

    /// Creates an error after which the event is not retried, but kept as a dead letter.
    #[must_use]
    pub fn give_up(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(cause, FailureAction::GiveUp)
    }

    /// Creates an error for an event that could not be tried at all, because what it needs is
    /// unavailable. The event is ready again, and the attempt counts for nothing.
    ///
    /// Wait before you return it, as long as you like: the handler then does not run in a circle.
    /// The dispatcher waits for at least [`NOT_NOW_PAUSE`](Self::NOT_NOW_PAUSE).
    #[must_use]
    pub fn not_now(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(cause, FailureAction::NotNow)
    }

    fn new(cause: impl Into<Box<dyn Error + Send + Sync>>, verdict: FailureAction) -> Self {
        Self {
            cause: cause.into(),
            verdict,
        }
    }

    pub(crate) fn verdict(&self) -> FailureAction {
        self.verdict
    }

    /// Returns the text as it may be logged and stored.
    pub(crate) fn reason(&self) -> String {
        without_paths(&self.to_string())
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(Self::REASON_CHARS_MAX)
            .collect()
    }
}

/// Cuts off every URL in a text after its host, and removes the user before the host.
fn without_paths(text: &str) -> String {
    const ENDS_URL: [char; 8] = ['"', '\'', '<', '>', '(', ')', '[', ']'];
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, url)) = rest.split_once("://") {
        let end = |c: char| c.is_whitespace() || ENDS_URL.contains(&c);
        let (url, after) = url.split_at(url.find(end).unwrap_or(url.len()));
        let authority = url.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        shown.push_str(before);
        shown.push_str("://");
        shown.push_str(host);
        if authority.len() < url.len() {
            shown.push_str("/…");
        }
        rest = after;
    }
    shown + rest
}

/// Converts every error type, `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `String` and `&str`.
impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for HandlerError {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_off_behind_their_host() {
        for (text, shown) in [
            ("no URL: at 10:15, a/b", "no URL: at 10:15, a/b"),
            (
                "GET (https://u:p@media.example.com:8080/a?sign=x#y): timed out",
                "GET (https://media.example.com:8080/…): timed out",
            ),
            ("wss://a?b", "wss://a/…"),
            ("http://a", "http://a"),
            ("http://a/ü://b/c and s3://d/e", "http://a/… and s3://d/…"),
            ("://", "://"),
        ] {
            assert_eq!(HandlerError::retry(text).reason(), shown);
        }
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let long = "ü\n\0".repeat(HandlerError::REASON_CHARS_MAX);
        let reason = HandlerError::retry(long).reason();
        assert_eq!(reason.chars().count(), HandlerError::REASON_CHARS_MAX);
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
}
