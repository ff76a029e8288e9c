//! Examines a deployed receiver from outside, as the provider sees it.

mod exchange;
mod finding;
mod judge;
mod reach;
mod requests;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, anyhow};
use http::Uri;

use crate::connect::Connector;
use crate::error::ConformanceError;
use exchange::{Probe, Reply};
pub use finding::{Finding, Severity};

/// Examines a deployed receiver: whether it can be reached, how it answers, and whether it refuses what it
/// must refuse.
///
/// Requests that a good receiver refuses are sent without their body where that is possible. With a
/// webhook key, one event is sent that the receiver stores and handles; its task id begins with
/// `suno-doctor-`, its stage is `text`, and it has no tracks.
///
/// ```no_run
/// # async fn run() -> Result<(), suno_conformance::ConformanceError> {
/// use suno_conformance::{Doctor, Severity};
///
/// let doctor = Doctor::new("https://app.example.com/suno/callback")?.with_webhook_key("whk-example");
/// let findings = doctor.examine(|finding| println!("{}: {}", finding.check, finding.message)).await;
/// let is_healthy = findings.iter().all(|finding| finding.severity < Severity::Failed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Doctor {
    url: Uri,
    key: Option<String>,
    extra_roots_pem: Vec<u8>,
    answer_time_max: Duration,
    head_time_max: Duration,
}

/// Leaves out the key, and the path, which may contain a token.
impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("host", &self.url.host())
            .field("has_key", &self.key.is_some())
            .finish_non_exhaustive()
    }
}

impl Doctor {
    /// The time that the provider waits for an answer (`PROTOCOL.md 2.2`).
    pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
    /// The default time within which a request is refused whose body is kept back.
    pub const HEAD_TIME_MAX: Duration = Duration::from_secs(3);

    /// Creates an examination of the receiver at a callback URL, with its token if it has one.
    ///
    /// # Errors
    ///
    /// Returns an error unless it is an absolute `http` or `https` URL. The error does not contain it.
    pub fn new(url: &str) -> Result<Self, ConformanceError> {
        let url: Uri = url.parse().context("the URL is not valid")?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none() {
            return Err(anyhow!("the URL must be an absolute http or https URL").into());
        }
        Ok(Self {
            url,
            key: None,
            extra_roots_pem: Vec::new(),
            answer_time_max: Self::ANSWER_TIME_MAX,
            head_time_max: Self::HEAD_TIME_MAX,
        })
    }

    /// Sets a webhook key of the receiver, so that it can be examined with signed requests.
    #[must_use]
    pub fn with_webhook_key(mut self, key: impl Into<String>) -> Self {
        // As a receiver does: a key from a file ends with a line break.
        self.key = Some(key.into().trim().to_owned());
        self
    }

    /// Adds certificates that are trusted besides those that browsers trust, in PEM.
    #[must_use]
    pub fn with_extra_roots_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_roots_pem = pem.into();
        self
    }

    /// Sets the time limit for an answer, at most the provider's 15 s, and shortens the one for requests
    /// whose body is kept back to it.
    #[must_use]
    pub fn with_answer_time_max(mut self, time_max: Duration) -> Self {
        self.answer_time_max = time_max.min(Self::ANSWER_TIME_MAX);
        self.head_time_max = self.head_time_max.min(time_max);
        self
    }

    /// Examines the receiver, and calls `report` with each finding as soon as it is known. What depends
    /// on a check that failed is not examined.
    pub async fn examine(&self, mut report: impl FnMut(&Finding)) -> Vec<Finding> {
        let mut findings = Findings {
            all: Vec::new(),
            report: &mut report,
        };
        let connector = match Connector::new(&self.extra_roots_pem) {
            Ok(connector) => connector,
            Err(err) => {
                let advice = "pass a file with certificates in PEM";
                findings.add(Finding::failed("tls", format!("{err:#}"), advice));
                return findings.all;
            }
        };
        if reach::examine(self, &connector, &mut findings).await {
            requests::examine(self, &connector, &mut findings).await;
        }
        findings.all
    }
}

/// The findings so far.
struct Findings<'a> {
    all: Vec<Finding>,
    report: &'a mut dyn FnMut(&Finding),
}

impl Findings<'_> {
    fn add(&mut self, finding: Finding) {
        (self.report)(&finding);
        self.all.push(finding);
    }
}

/// Sends a `GET` request, such as to a health check, and returns the status of the answer.
///
/// # Errors
///
/// Returns an error if the URL is not valid or there is no answer within `time_max`. The error does not
/// contain the URL.
pub async fn fetch_status(url: &str, time_max: Duration) -> Result<u16, ConformanceError> {
    let doctor = Doctor::new(url)?;
    let probe = Probe {
        method: "GET",
        target: target(&doctor.url),
        headers: Vec::new(),
        body: &[],
        content_length: None,
        patience: time_max,
    };
    match probe.send(&Connector::new(&[])?, &doctor.url).await {
        Reply::Answered(answer) => Ok(answer.status),
        Reply::Broken(reason) => Err(anyhow!("no answer: {reason}").into()),
        Reply::Continue | Reply::Silence => Err(anyhow!("no answer in time").into()),
    }
}

/// Returns path and query.
fn target(url: &Uri) -> &str {
    url.path_and_query().map_or("/", |target| target.as_str())
}
