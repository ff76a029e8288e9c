//! Receives callbacks: turns each request into a stored delivery and a response.

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

use self::response::{Problem, respond};
use crate::clock::{Clock, SystemClock, after};
use crate::delivery::Delivery;
use crate::inbox::{AcceptError, Inbox};
use crate::key::SubmitId;
use crate::store::Acceptance;
use crate::throttle::Throttle;
use crate::verify::{Credentials, Refusal, Verification};

/// Answers the provider's callbacks, independent of the server.
///
/// | request | response |
/// | --- | --- |
/// | a new event, a duplicate, a late stage, or a known key with another payload | 200 |
/// | from a trusted sender, but not decodable: stored raw | 200 |
/// | missing or wrong signature, wrong token, or timestamp outside the window | 401 |
/// | no single task id to check a signature against, or two `Host` headers | 400 |
/// | another path 404, method 405, too large 413 | |
/// | another content type, a charset other than UTF-8, or an encoded body | 415 |
/// | the store failed, the time limit for the response passed, or the waiting deliveries are too many or too large | 503 with `Retry-After` |
///
/// No response reveals what was expected.
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
    /// The default maximum size of a body, in bytes: 1 MiB.
    pub const BODY_BYTES_MAX: usize = 1 << 20;
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

    /// Sets the path of the callback URL. With a token, the URL ends in this path, a slash and the
    /// token. A slash and the [`SubmitId`] of a submit may follow; see
    /// [`Submitter`](crate::Submitter).
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
        self.admitted(head)
            .map_err(|problem| Box::new(self.answer(problem)))
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
                respond(StatusCode::OK, r#"{"status":"received"}"#)
            }
            Err(problem) => self.answer(problem),
        }
    }

    /// Returns the response to a request whose body could not be read, for adapters.
    #[must_use]
    pub fn refuse(status: StatusCode) -> Response<Bytes> {
        Problem::Status(status).into_response()
    }

    /// Verifies the sender of a body and decodes the body. If the body cannot be decoded, the
    /// delivery is to be quarantined, because its sender is trusted.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal`] if the sender cannot be verified. It never reveals what was expected.
    pub fn verify(&self, request: &AdmittedRequest, body: Bytes) -> Result<Delivery, Refusal> {
        let (content, verified_by) = self.verification.verify_body(&request.credentials, &body)?;
        let delivery = Delivery::new(content, body, self.now(), verified_by);
        Ok(delivery.with_submit(request.submit))
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

    /// Builds the response, and logs rejections and failures with a rate limit.
    fn answer(&self, problem: Problem) -> Response<Bytes> {
        match &problem {
            Problem::Refused(refusal) => {
                let reason = match refusal {
                    Refusal::Signature(err) => err.to_string(),
                    refusal => refusal.to_string(),
                };
                if self.throttle.admits(format!("callback rejected: {reason}")) {
                    let err = refusal as &dyn std::error::Error;
                    tracing::warn!(err, "callback rejected");
                }
            }
            Problem::NotStored(err) => {
                if self.throttle.admits(format!("callback not stored: {err}")) {
                    let err = err as &dyn std::error::Error;
                    tracing::warn!(err, "callback not stored; the provider will send it again");
                }
            }
            Problem::Status(_) | Problem::Charset | Problem::Encoding | Problem::TwoHosts => {}
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
        let address = rest.and_then(|rest| Address::read(rest, self.verification.has_token()));
        let address = address.ok_or(Problem::Status(StatusCode::NOT_FOUND))?;
        if head.method != Method::POST {
            return Err(Problem::Status(StatusCode::METHOD_NOT_ALLOWED));
        }
        check_type(&head.headers)?;
        if content_length(&head.headers).is_some_and(|length| length > self.body_bytes_max) {
            return Err(Problem::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let credentials =
            self.verification
                .verify_head(address.token, &head.headers, self.unix_time())?;
        Ok(AdmittedRequest {
            credentials,
            submit: address.submit,
            begun: Instant::now(),
        })
    }

    /// Verifies and decodes the body of a request that was admitted.
    fn delivery(&self, request: AdmittedRequest, body: Bytes) -> Result<Delivery, Problem> {
        if body.len() > self.body_bytes_max {
            return Err(Problem::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let delivery = self.verify(&request, body)?;
        if let crate::Content::Quarantined { reason, .. } = &delivery.content
            && self.throttle.admits("callback could not be decoded")
        {
            tracing::warn!(%reason, "callback could not be decoded; kept in quarantine");
        }
        Ok(delivery)
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
    begun: Instant,
}

/// The rest of the path after the base: `[/TOKEN][/SUBMIT]`, with or without a trailing slash.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    /// The segment in which a token is expected. Empty if the path has no such segment, so that the
    /// response is 401 and not 404.
    token: Option<&'a str>,
    submit: Option<SubmitId>,
}

impl<'a> Address<'a> {
    fn read(rest: &'a str, has_token: bool) -> Option<Self> {
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut segments = match rest {
            "" => None,
            rest => Some(rest.strip_prefix('/')?.split('/')),
        };
        let mut next = || segments.as_mut().and_then(Iterator::next);
        let token = has_token.then(|| next().unwrap_or_default());
        let submit = match next() {
            None => None,
            // Senders may write the digits in either case.
            Some(segment) => Some(segment.to_ascii_lowercase().parse().ok()?),
        };
        next().is_none().then_some(Self { token, submit })
    }
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
    fn the_path_may_name_a_token_and_a_submit() {
        const SUBMIT: &str = "00112233445566778899aabbccddeeff";
        let read = |rest: &str, has_token| {
            Address::read(&rest.replace("SUBMIT", SUBMIT), has_token)
                .map(|address| (address.token.map(str::to_owned), address.submit.is_some()))
        };
        let token = |text: &str| Some(text.to_owned());
        let cases = [
            ("", false, Some((None, false))),
            ("/", false, Some((None, false))),
            ("/SUBMIT", false, Some((None, true))),
            ("/other", false, None),
            ("/SUBMIT/", false, Some((None, true))),
            ("/SUBMIT//", false, None),
            ("//", false, None),
            ("er", false, None),
            ("", true, Some((token(""), false))),
            ("/", true, Some((token(""), false))),
            ("/tok", true, Some((token("tok"), false))),
            ("/tok/", true, Some((token("tok"), false))),
            ("/tok//", true, None),
            ("/tok/SUBMIT", true, Some((token("tok"), true))),
            ("/tok/SUBMIT/", true, Some((token("tok"), true))),
            ("/tok/other", true, None),
            ("/tok/SUBMIT/x", true, None),
        ];
        for (rest, has_token, expected) in cases {
            assert_eq!(read(rest, has_token), expected, "{rest}");
        }
    }

    #[test]
    fn the_digits_of_a_submit_may_be_in_either_case() {
        let submit = |rest: &str| Address::read(rest, false).unwrap().submit.unwrap();
        let lower = submit("/00112233445566778899aabbccddeeff");
        assert_eq!(submit("/00112233445566778899AABBCCDDEEFF"), lower);
    }

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
