//! The receiver under test, and its list of events.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use http::Uri;

use crate::error::ConformanceError;

/// The time that the provider waits for a response (`PROTOCOL.md 2.2`).
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// A receiver to test over HTTP, in any language, with the secrets that this needs.
///
/// ```
/// # fn main() -> Result<(), suno_conformance::ConformanceError> {
/// use suno_conformance::Target;
///
/// let target = Target::new("http://localhost:8080/suno/callback")?
///     .with_webhook_key("whk-example")
///     .with_events("events.jsonl".parse()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Target {
    pub(super) url: Uri,
    pub(super) keys: Vec<String>,
    pub(super) token: Option<String>,
    pub(super) events: Option<Events>,
    pub(super) body_bytes_max: Option<usize>,
    pub(super) answer_time_max: Duration,
}

/// The place in which a target lists its handled events, as JSON lines such as
/// `{"event":"handled","task_id":"…","stage":"complete","code":200}`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Events {
    /// A URL that responds to a `GET` request with all lines.
    Url(Uri),
    /// A file to which the target appends a line for each event.
    File(PathBuf),
}

impl std::str::FromStr for Events {
    type Err = ConformanceError;

    fn from_str(text: &str) -> Result<Self, ConformanceError> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let url = text.parse();
            let url = url.with_context(|| format!("{text:?} is not a valid URL"))?;
            return Ok(Self::Url(url));
        }
        Ok(Self::File(text.into()))
    }
}

impl Target {
    /// Creates a target with the callback URL `url`, which must not contain its token.
    ///
    /// # Errors
    ///
    /// Returns an error unless it is an absolute `http` or `https` URL without a query.
    pub fn new(url: &str) -> Result<Self, ConformanceError> {
        let parsed = url.parse();
        let url: Uri = parsed.with_context(|| format!("{url:?} is not a valid URL"))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.query().is_some() {
            let reason = "the target must be an absolute http or https URL without a query";
            return Err(anyhow!(reason).into());
        }
        Ok(Self {
            url,
            keys: Vec::new(),
            token: None,
            events: None,
            body_bytes_max: None,
            answer_time_max: ANSWER_TIME_MAX,
        })
    }

    /// Adds a webhook key that the receiver accepts.
    #[must_use]
    pub fn with_webhook_key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// Sets the token that the receiver expects after its path.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sets where the receiver lists its handled events. Without it, only responses are compared.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.events = Some(events);
        self
    }

    /// Sets the maximum size of a body that the receiver accepts, in bytes.
    #[must_use]
    pub fn with_body_bytes_max(mut self, bytes_max: usize) -> Self {
        self.body_bytes_max = Some(bytes_max);
        self
    }

    /// Sets the time limit for a response. The provider waits 15 seconds.
    #[must_use]
    pub fn with_answer_time_max(mut self, time_max: Duration) -> Self {
        self.answer_time_max = time_max;
        self
    }
}

/// Leaves out the keys and the token.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("url", &self.url)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
