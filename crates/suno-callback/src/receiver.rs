//! Receives callbacks: turns each request into a stored delivery and a response.

mod address;
mod response;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant;

use self::address::Address;
use self::response::{Problem, respond};
use crate::clock::{Clock, SystemClock, after};
use crate::delivery::Delivery;
use crate::headers::RedactedHeaders;
use crate::inbox::{AcceptError, Inbox};
use crate::key::SubmitId;
use crate::observe::ResponseReport;
use crate::store::Acceptance;
use crate::throttle::Throttle;
use crate::token::shown_path;
use crate::url_suffix::UrlSuffix;
use crate::verify::{Credentials, Refusal, Verification};

/// Answers the provider's callbacks, independent of the server.
///
/// | request | response |
/// | --- | --- |
/// | a new event, a duplicate, a late stage, or a known key with another payload | 200 |
/// | from a trusted sender, but not decodable: stored raw | 200 |
/// | missing or wrong signature, wrong token, or timestamp outside the window | 401 |
/// | no single task id to check a signature against, or two `Host` headers | 400 |
/// | another path 404, method 405, too large 413, too long a URL 414 | |
/// | another content type, a charset other than UTF-8, or a compressed body | 415 |
/// | `GET` [`HEALTH_PATH`](Self::HEALTH_PATH) | 200 |
/// | the store failed, the time limit for the response passed, or the waiting deliveries are too many or too large | 503 with `Retry-After` |
///
/// No response reveals what was expected. Every response from 400 on is logged at WARN with the
/// method, the path that was asked for and the path that is served: five lines of each reason in 10
/// seconds, then their number. Segments of a path that could be a token are not shown.
///
/// The callback URL is the path, then the token if [`Verification`] expects one in the path, then
/// any segments that the application chose, then the [`SubmitId`] that a
/// [`Submitter`](crate::Submitter) appends, and a query. What the application chose is kept as the
/// [`UrlSuffix`] of the event.
///
/// Cheap checks run first. [`admit`](Self::admit) checks everything that does not need the body,
/// such as the token, and the form and the time of the signature, so the body of a request that
/// fails these checks is never read. An adapter that reads bodies itself calls `admit`, reads the
/// body, and calls [`receive_body`](Self::receive_body). [`receive`](Self::receive) does both for a
/// request whose body is already in memory.
#[derive(Debug, Clone)]
pub struct Receiver {
    inbox: Inbox,
    verification: Arc<Verification>,
    clock: Arc<dyn Clock>,
    path: Arc<str>,
    body_bytes_max: usize,
    answer_budget: Duration,
    throttle: Throttle,
}

impl Receiver {
    /// The default path.
    pub const PATH: &str = "/suno/callback";
    /// The path that answers 200 to `GET`, for platforms that ask whether a service is running. It
    /// says nothing about the store.
    pub const HEALTH_PATH: &str = "/healthz";
    /// The default maximum size of a body, in bytes: 4 MiB. The notes of a song can be more than
    /// 1 MiB.
    pub const BODY_BYTES_MAX: usize = 4 << 20;
    /// The default time limit for a response. The provider waits for 15 s (`PROTOCOL.md 2`).
    pub const ANSWER_BUDGET: Duration = Duration::from_secs(10);
    /// The minimum part of the time limit that is reserved for storing, however long reading the
    /// body took.
    pub const STORING_MIN: Duration = Duration::from_secs(2);

    /// Creates a receiver that stores in `inbox` the deliveries that `verification` accepts.
    #[must_use]
    pub fn new(inbox: Inbox, verification: Verification) -> Self {
        Self {
            inbox,
            verification: Arc::new(verification),
            clock: Arc::new(SystemClock),
            path: Self::PATH.into(),
            body_bytes_max: Self::BODY_BYTES_MAX,
            answer_budget: Self::ANSWER_BUDGET,
            throttle: Throttle::default(),
        }
    }

    /// Sets the path of the callback URL, to which a token and more may be appended; see
    /// [`Receiver`].
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.path = match path.trim_matches('/') {
            "" => "".into(),
            path => format!("/{path}").into(),
        };
        self
    }

    /// Sets the maximum size of a body, in bytes.
    #[must_use]
    pub fn with_body_bytes_max(mut self, bytes_max: usize) -> Self {
        self.body_bytes_max = bytes_max;
        self
    }

    /// Sets the time limit for a response, counted from [`admit`](Self::admit), or from the call of
    /// [`receive`](Self::receive) or [`accept`](Self::accept). At least
    /// [`STORING_MIN`](Self::STORING_MIN) of it is reserved for storing, or all of it if it is
    /// shorter.
    #[must_use]
    pub fn with_answer_budget(mut self, budget: Duration) -> Self {
        self.answer_budget = budget;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Returns the path of the callback URL, without a trailing slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the maximum size of a body, in bytes. Adapters must not buffer more.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }

    /// Answers a request. Returns 200 only after the event is committed.
    pub async fn receive(&self, request: Request<Bytes>) -> Response<Bytes> {
        // The head must be dropped before waiting for the store: it borrows parts of the server's
        // read buffer, and the server would have to allocate another buffer for the connection.
        let (admitted, body) = {
            let (head, body) = request.into_parts();
            (self.admit(&head), body)
        };
        match admitted {
            Ok(admitted) => self.receive_body(admitted, body).await,
            Err(refused) => *refused,
        }
    }

    /// Checks everything about a request except its body, so that adapters need not read the body
    /// of a request that is rejected anyway. The cheapest checks run first: the path, the method,
    /// the content type, the encoding and the length; then the signature headers and their time;
    /// then the token.
    ///
    /// # Errors
    ///
    /// Returns the response to send if the request is rejected.
    pub fn admit(&self, head: &Parts) -> Result<AdmittedRequest, Box<Response<Bytes>>> {
        if is_health_check(head) {
            return Err(Box::new(respond(StatusCode::OK, r#"{"status":"running"}"#)));
        }
        self.admitted(head)
            .map_err(|problem| Box::new(self.answer(problem, Some(head), None)))
    }

    /// Answers a request that was admitted. Returns 200 only after the event is committed.
    pub async fn receive_body(&self, request: AdmittedRequest, body: Bytes) -> Response<Bytes> {
        let begun = request.begun;
        let accepted = match self.delivery(request, body) {
            Ok(delivery) => self
                .accept_since(delivery, begun)
                .await
                .map_err(Problem::from),
            Err(problem) => Err(problem),
        };
        match accepted {
            Ok(accepted) => {
                tracing::debug!(?accepted, "callback accepted");
                self.inbox.observer().on_response(&ResponseReport {
                    status: StatusCode::OK,
                    reason: None,
                    took: Some(begun.elapsed()),
                });
                respond(StatusCode::OK, r#"{"status":"received"}"#)
            }
            Err(problem) => self.answer(problem, None, Some(begun.elapsed())),
        }
    }

    /// Returns the response to a request whose head or body could not be read, and logs it, for
    /// adapters.
    #[must_use]
    pub fn refuse(&self, status: StatusCode) -> Response<Bytes> {
        self.answer(Problem::Status(status), None, None)
    }

    /// Verifies the sender of a body and decodes the body. If the body cannot be decoded, the
    /// delivery is to be quarantined, because its sender is trusted.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal`] if the sender cannot be verified. It never reveals what was expected.
    pub fn verify(&self, request: &AdmittedRequest, body: Bytes) -> Result<Delivery, Refusal> {
        let (content, verified_by) = self.verification.verify_body(&request.credentials, &body)?;
        let mut delivery = Delivery::new(content, body, self.now(), verified_by);
        delivery.headers.clone_from(&request.headers);
        let suffix = (!request.suffix.is_empty()).then(|| request.suffix.clone());
        Ok(delivery.with_submit(request.submit).with_suffix(suffix))
    }

    /// Stores a delivery. Returns after it is committed.
    ///
    /// # Errors
    ///
    /// Returns [`AcceptError`] if the store failed, the time limit passed, or too many deliveries
    /// are waiting. The delivery may be sent again.
    pub async fn accept(&self, delivery: Delivery) -> Result<Acceptance, AcceptError> {
        self.accept_since(delivery, Instant::now()).await
    }

    /// Moves the delivery out at once, to keep the future that waits for the result small.
    fn accept_since(
        &self,
        delivery: Delivery,
        begun: Instant,
    ) -> impl Future<Output = Result<Acceptance, AcceptError>> + use<> {
        let least = self.answer_budget.min(Self::STORING_MIN);
        let deadline = after(begun, self.answer_budget).max(after(Instant::now(), least));
        let answered = self.inbox.hand_over(delivery);
        async move {
            let answer = tokio::time::timeout_at(deadline, answered?).await;
            answer.unwrap_or(Err(AcceptError::TooSlow))
        }
    }

    /// Builds the response, and logs what is wrong, with a rate limit for each reason. `head` is
    /// known until the request is admitted; after that, the path was right.
    fn answer(
        &self,
        problem: Problem,
        head: Option<&Parts>,
        took: Option<Duration>,
    ) -> Response<Bytes> {
        let (status, reason) = (problem.status(), problem.reason());
        self.inbox.observer().on_response(&ResponseReport {
            status,
            reason: Some(reason.clone()),
            took,
        });
        if self.throttle.admits(format!("{status}: {reason}")) {
            let method = head.map_or(&Method::POST, |head| &head.method).as_str();
            let path =
                head.map_or_else(|| self.path.to_string(), |head| shown_path(head.uri.path()));
            let (status, served) = (status.as_u16(), &*self.path);
            match &problem {
                Problem::NotStored(err) => {
                    let err = err as &dyn std::error::Error;
                    tracing::warn!(
                        err,
                        status,
                        "callback not stored; the provider will send it again"
                    );
                }
                Problem::Refused(refusal) => {
                    let err = refusal as &dyn std::error::Error;
                    tracing::warn!(err, status, method, path, served, "callback rejected");
                }
                _ => tracing::warn!(status, method, path, served, "request refused: {reason}"),
            }
        }
        problem.into_response()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn unix_time(&self) -> u64 {
        u64::try_from(self.now().as_second()).unwrap_or_default()
    }

    /// Checks the head of a request.
    fn admitted(&self, head: &Parts) -> Result<AdmittedRequest, Problem> {
        if head.headers.get_all(HOST).iter().nth(1).is_some() {
            return Err(Problem::TwoHosts);
        }
        let rest = head.uri.path().strip_prefix(&*self.path);
        let query = head.uri.query().unwrap_or_default();
        let place = self.verification.token_place();
        let address = rest.and_then(|rest| Address::read(rest, query, place));
        let address = address.ok_or(Problem::Status(StatusCode::NOT_FOUND))?;
        if head.method != Method::POST {
            return Err(Problem::Method(head.method.clone()));
        }
        check_type(&head.headers)?;
        if content_length(&head.headers).is_some_and(|length| length > self.body_bytes_max) {
            return Err(Problem::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let credentials =
            self.verification
                .verify_head(address.token, &head.headers, self.unix_time())?;
        let suffix = address.suffix();
        let suffix = suffix.ok_or(Problem::Status(StatusCode::URI_TOO_LONG))?;
        let wants_headers = self.inbox.observer().wants_headers();
        Ok(AdmittedRequest {
            credentials,
            submit: address.submit,
            suffix,
            headers: wants_headers.then(|| self.redacted(&head.headers, &address)),
            begun: Instant::now(),
        })
    }

    /// Copies the headers of a request without the secrets of its URL, which proxies can repeat in
    /// headers of their own.
    fn redacted(&self, headers: &HeaderMap, address: &Address<'_>) -> RedactedHeaders {
        let submit = address.submit.map(|submit| submit.to_string());
        let sent = [address.token, submit.as_deref()];
        RedactedHeaders::new(headers, |text| {
            let mut sent = sent.iter().flatten();
            sent.any(|secret| contains(text, secret.as_bytes()))
                || self.verification.has_token_in(text)
        })
    }

    /// Verifies and decodes the body of a request that was admitted.
    fn delivery(&self, request: AdmittedRequest, body: Bytes) -> Result<Delivery, Problem> {
        if body.len() > self.body_bytes_max {
            return Err(Problem::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        Ok(self.verify(&request, body)?)
    }
}

/// A request whose head passed all checks: the proof that [`Receiver::admit`] returns. It owns the
/// parts of the head that it needs, so that the head can be dropped before the body is read.
///
/// The time limit for the response is counted from its creation.
#[derive(Debug, Clone)]
pub struct AdmittedRequest {
    credentials: Credentials,
    submit: Option<SubmitId>,
    suffix: UrlSuffix,
    headers: Option<RedactedHeaders>,
    begun: Instant,
}

/// Whether a text contains another one, in either case of its letters.
fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1))
        .any(|window| window.eq_ignore_ascii_case(part))
}

/// Whether a request only asks whether the service is running.
fn is_health_check(head: &Parts) -> bool {
    head.uri.path() == Receiver::HEALTH_PATH && matches!(head.method, Method::GET | Method::HEAD)
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(http::header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Checks that the body is uncompressed JSON in UTF-8, according to the head. The content type may
/// be missing.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    for content_type in headers.get_all(CONTENT_TYPE) {
        let mut parts = content_type.as_bytes().split(|byte| *byte == b';');
        let essence = parts.next().unwrap_or_default().trim_ascii();
        if !essence.eq_ignore_ascii_case(b"application/json") {
            return Err(Problem::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        if !parts.all(is_utf8_or_no_charset) {
            return Err(Problem::Charset);
        }
    }
    let is_identity = |encoding: &HeaderValue| {
        let mut encodings = encoding.as_bytes().split(|byte| *byte == b',');
        encodings.all(|encoding| encoding.trim_ascii().eq_ignore_ascii_case(b"identity"))
    };
    match headers.get_all(CONTENT_ENCODING).iter().all(is_identity) {
        true => Ok(()),
        false => Err(Problem::Encoding),
    }
}

/// Whether the charset in the content type is UTF-8 or missing. Some senders write UTF-8 without
/// the hyphen.
fn is_utf8_or_no_charset(parameter: &[u8]) -> bool {
    let mut parts = parameter.splitn(2, |byte| *byte == b'=');
    let mut part = || parts.next().unwrap_or_default().trim_ascii();
    if !part().eq_ignore_ascii_case(b"charset") {
        return true;
    }
    let value = part();
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    let value = unquoted.unwrap_or(value);
    value.eq_ignore_ascii_case(b"utf-8") || value.eq_ignore_ascii_case(b"utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charset_is_utf_8_however_it_is_written() {
        let header = |value| {
            let value = HeaderValue::from_static(value);
            check_type(&HeaderMap::from_iter([(CONTENT_TYPE, value)])).is_ok()
        };
        for taken in [
            "application/json",
            "application/json;",
            "application/json; charset=utf-8",
            "Application/JSON;CHARSET=UTF-8",
            "application/json; charset=\"utf-8\"; profile=x",
            "application/json; charset = utf8",
            "application/json; version=1",
        ] {
            assert!(header(taken), "{taken}");
        }
        for refused in [
            "application/json; charset=utf-16",
            "application/json; charset=iso-8859-1",
            "application/json; charset=",
            "application/json; charset",
            "application/json; profile=x; charset=\"utf-16\"",
            "text/json",
        ] {
            assert!(!header(refused), "{refused}");
        }
    }
}
