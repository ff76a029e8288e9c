//! The receiver that is driven.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Uri;

/// How long the provider waits for an answer (`PROTOCOL.md 2.2`).
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// A receiver elsewhere, and what has to be known to drive it.
#[derive(Clone)]
pub struct Target {
    pub(super) url: Uri,
    pub(super) keys: Vec<String>,
    pub(super) token: Option<String>,
    pub(super) events: Option<Events>,
    pub(super) body_bytes_max: Option<usize>,
    pub(super) answer_time_max: Duration,
}

/// Where a target lists what it handled: JSON lines such as
/// `{"event":"handled","task_id":"…","stage":"complete","code":200}`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Events {
    /// A `GET` answers all lines.
    Url(Uri),
    /// A file to which lines are appended.
    File(PathBuf),
}

impl std::str::FromStr for Events {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Self::Url(text.parse()?));
        }
        Ok(Self::File(text.into()))
    }
}

impl Target {
    /// The receiver whose callback URL, without its token, is `url`.
    ///
    /// # Errors
    ///
    /// An error unless it is an absolute `http` or `https` URL without a query.
    pub fn new(url: &str) -> Result<Self> {
        let url: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.query().is_some() {
            bail!("the target must be an absolute http or https URL without a query");
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

    /// A further webhook key that the receiver accepts.
    #[must_use]
    pub fn with_webhook_key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// The token that the receiver asks for behind its path.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Where the receiver lists what it handled.
    #[must_use]
    pub fn with_events(mut self, events: Events) -> Self {
        self.events = Some(events);
        self
    }

    /// The largest body that the receiver takes.
    #[must_use]
    pub fn with_body_bytes_max(mut self, bytes_max: usize) -> Self {
        self.body_bytes_max = Some(bytes_max);
        self
    }

    /// How long an answer may take, instead of the provider's 15 seconds.
    #[must_use]
    pub fn with_answer_time_max(mut self, time_max: Duration) -> Self {
        self.answer_time_max = time_max;
        self
    }
}

/// Without the keys and the token.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("url", &self.url)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}
