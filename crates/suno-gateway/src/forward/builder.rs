//! The settings of a [`ForwardHandler`].

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use http::HeaderName;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use super::ForwardHandler;
use super::header::ForwardHeader;
use super::pool::{Dial, Dialing, Lifetimes, Pool};
use super::redactor::Redactor;
use super::tls::{self, InvalidTls};
use super::url::ForwardUrl;
use crate::breaker::BreakerSettings;
use crate::course::{CourseSettings, course_setters};
use crate::destination::DestinationName;
use crate::signing::Signer;

/// The maximum number of headers that can be given.
const HEADERS_MAX: usize = 32;
/// The longest time limit for a request.
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// Collects the settings of a [`ForwardHandler`]. None is read from the environment.
#[must_use = "a builder does nothing until `build`"]
pub struct ForwardBuilder {
    course: CourseSettings,
    url: ForwardUrl,
    signer: Signer,
    headers: Vec<ForwardHeader>,
    timeout: Duration,
    idle: Duration,
    age: Duration,
    roots: Vec<Vec<u8>>,
}

/// The error for settings that no handler can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidForward {
    /// A header is given twice.
    #[error("the header `{0}` is given twice")]
    DuplicateHeader(HeaderName),
    /// There are more than 32 headers.
    #[error("at most {HEADERS_MAX} headers can be given")]
    TooManyHeaders,
    /// TLS cannot be set up for an `https` URL.
    #[error(transparent)]
    Tls(InvalidTls),
}

impl ForwardBuilder {
    course_setters!();

    pub(super) fn new(name: DestinationName, url: ForwardUrl, signer: Signer) -> Self {
        Self {
            course: CourseSettings::new(name, BreakerSettings::new()),
            url,
            signer,
            headers: Vec::new(),
            timeout: ForwardHandler::TIMEOUT,
            idle: Duration::from_secs(2),
            age: Duration::from_secs(60),
            roots: Vec::new(),
        }
    }

    /// Adds a header to every request.
    pub fn with_header(mut self, header: ForwardHeader) -> Self {
        self.headers.push(header);
        self
    }

    /// Sets the time limit for a request, from the name lookup to the head of the answer, up to ten
    /// minutes. The default is [`ForwardHandler::TIMEOUT`].
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(TIMEOUT_MAX);
        self
    }

    /// Sets the time after which a connection that is not used is closed. The default is 2 s, which
    /// is before most servers close it.
    pub fn with_idle_time(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets the age after which a connection is not used again, so that a name that has moved is
    /// followed. The default is 60 s.
    pub fn with_connection_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Trusts this root certificate as well, given as DER.
    pub fn with_root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// Creates the handler.
    ///
    /// # Errors
    ///
    /// [`InvalidForward`] if a header is given twice, if there are more than 32, or if TLS cannot be
    /// set up for an `https` URL.
    pub fn build(self) -> Result<ForwardHandler, InvalidForward> {
        let mut names = HashSet::new();
        if self.headers.len() > HEADERS_MAX {
            return Err(InvalidForward::TooManyHeaders);
        }
        for header in &self.headers {
            if !names.insert(header.name()) {
                return Err(InvalidForward::DuplicateHeader(header.name().clone()));
            }
        }
        let dial = dial(&self.url, self.timeout, &self.roots).map_err(InvalidForward::Tls)?;
        let lifetimes = Lifetimes {
            idle: self.idle,
            age: self.age,
            idle_max: self.course.breaker.in_flight_max,
        };
        Ok(ForwardHandler {
            redactor: redactor(&self.url, &self.headers, &self.signer),
            course: self.course.build(self.timeout),
            pool: Pool::new(dial, lifetimes),
            url: self.url,
            signer: self.signer,
            headers: self.headers,
            timeout: self.timeout,
        })
    }
}

/// Returns what makes connections. It looks the name up for each, and tries both families of
/// addresses.
fn dial(url: &ForwardUrl, timeout: Duration, roots: &[Vec<u8>]) -> Result<Dial, InvalidTls> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    // Shared by the addresses of the name, so that one that does not answer leaves time for the
    // others.
    connector.set_connect_timeout(Some(timeout));
    let uri = url.uri.clone();
    if !url.is_https() {
        return Ok(Box::new(move || -> Dialing {
            let connecting = connector.clone().call(uri.clone());
            Box::pin(async move { Ok(connecting.await?.into()) })
        }));
    }
    let secure = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls::config(roots)?)
        .https_only()
        .enable_http1()
        .wrap_connector(connector);
    Ok(Box::new(move || -> Dialing {
        secure.clone().call(uri.clone())
    }))
}

/// Collects what must not be kept of an answer that repeats its request.
fn redactor(url: &ForwardUrl, headers: &[ForwardHeader], signer: &Signer) -> Redactor {
    let mut redactor = Redactor::default();
    redactor.add_query(url.target.query().unwrap_or_default());
    if url.target.path().len() > 1 {
        redactor.add(url.target.path());
    }
    for header in headers {
        let value = header.value().to_str().unwrap_or_default();
        redactor.add(value);
        // `Bearer TOKEN`: the token alone as well.
        if let Some((_, token)) = value.split_once(' ') {
            redactor.add(token);
        }
    }
    for secret in signer.secrets() {
        let text = secret.reveal();
        redactor.add(text.trim_start_matches("whsec_").trim_end_matches('='));
        redactor.add(&text);
    }
    redactor
}

impl fmt::Debug for ForwardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardBuilder")
            .field("name", &self.course.name)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
