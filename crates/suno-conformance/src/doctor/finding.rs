//! The findings of an examination.

use std::time::Duration;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Could not be examined.
    Skipped,
    /// Works, but not always or not for everyone.
    Warning,
    /// Callbacks are lost or forged callbacks are accepted.
    Failed,
}

impl Severity {
    /// Returns the stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One finding. It contains no key, no signature, and nothing of a URL but its scheme and host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The stable name of what was examined, such as `tls`.
    pub check: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The finding as a sentence, without a full stop.
    pub message: String,
    /// The advice for the operator; `None` if there is nothing to do.
    pub advice: Option<&'static str>,
    /// The time until the answer; `None` if there was none.
    pub duration: Option<Duration>,
}

impl Finding {
    fn new(check: &'static str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            check,
            severity,
            message: message.into(),
            advice: None,
            duration: None,
        }
    }

    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Ok, message)
    }

    pub(super) fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Skipped, message)
    }

    pub(super) fn warning(
        check: &'static str,
        message: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            advice: Some(advice),
            ..Self::new(check, Severity::Warning, message)
        }
    }

    pub(super) fn failed(
        check: &'static str,
        message: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self {
            advice: Some(advice),
            ..Self::new(check, Severity::Failed, message)
        }
    }

    pub(super) fn after(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }
}
