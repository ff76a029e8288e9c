//! The whole of receiving: a request in, an answer out.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::{Clock, SystemClock, after};
use crate::delivery::Delivery;
use crate::inbox::{AcceptError, Inbox};
use crate::key::SubmitId;
use crate::store::Accepted;
use crate::throttle::Throttle;
use crate::verify::{Credentials, Refusal, Verification};

/// Answers the provider's callbacks, whatever serves them.
///
/// | what came | answer |
/// | --- | --- |
/// | a new event, a duplicate, a late stage, the same key with another payload | 200 |
/// | trusted, but not decodable: kept raw | 200 |
/// | not signed, wrong token, timestamp outside the window | 401 |
/// | no single task id that a signature could be checked against; two `Host` headers | 400 |
/// | another path 404, method 405, too large 413 | |
/// | other content type, other charset than UTF-8, an encoded body | 415 |
/// | the store failed, the answer budget ran out, too many or too large ones wait | 503 with `Retry-After` |
///
/// No answer says what was expected.
///
/// Cheap checks come first. [`admit`](Self::admit) checks everything that needs no body, such as the
/// token, and the form and the time of the signature, so that the body of a request without them is
/// never read. An adapter that reads bodies itself calls `admit`, reads the
/// body, and calls [`receive_body`](Self::receive_body); [`receive`](Self::receive) does both for a
/// request whose body is there already.
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
    /// The path that is served unless set otherwise.
    pub const PATH: &str = "/suno/callback";
    /// How many bytes a body may have unless set otherwise: 1 MiB.
    pub const BODY_BYTES_MAX: usize = 1 << 20;
    /// How long an answer may take unless set otherwise. The provider waits for 15 s
    /// (`PROTOCOL.md 2`).
    pub const ANSWER_BUDGET: Duration = Duration::from_secs(10);
    /// How much of the answer budget is left for storing at least, however long the body took.
    pub const STORING_MIN: Duration = Duration::from_secs(2);
    /// What `Retry-After` says, in seconds.
    const RETRY_AFTER_SECONDS: &str = "5";

    /// A receiver that stores into `inbox` what `verification` trusts.
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

    /// The path of the callback URL. With a token, the URL is this path, a slash and the token. A
    /// slash and the [`SubmitId`] of a submit may follow; see [`Submitter`](crate::Submitter).
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.path = match path.trim_matches('/') {
            "" => "".into(),
            path => format!("/{path}").into(),
        };
        self
    }

    /// How many bytes a body may have.
    #[must_use]
    pub fn with_body_bytes_max(mut self, bytes_max: usize) -> Self {
        self.body_bytes_max = bytes_max;
        self
    }

    /// How long an answer may take, counted from [`admit`](Self::admit), or from the call of
    /// [`receive`](Self::receive) or [`accept`](Self::accept). Of that, at least
    /// [`STORING_MIN`](Self::STORING_MIN) is left for storing, or the whole budget if it is smaller.
    #[must_use]
    pub fn with_answer_budget(mut self, budget: Duration) -> Self {
        self.answer_budget = budget;
        self
    }

    /// Where the time comes from.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The path of the callback URL, without a slash at its end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many bytes a body may have: for adapters, which must not buffer more.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }

    /// Answers a request. A 200 leaves only after the event is committed.
    pub async fn receive(&self, request: Request<Bytes>) -> Response<Bytes> {
        // The head is not kept while waiting for the store: it is made of parts of the buffer that
        // the server reads into, which would have to make another one for the connection.
        let (admitted, body) = {
            let (head, body) = request.into_parts();
            (self.admit(&head), body)
        };
        match admitted {
            Ok(admitted) => self.receive_body(admitted, body).await,
            Err(refused) => *refused,
        }
    }

    /// Checks everything about a request but its body, so that adapters need not read the body of
    /// a request that is refused anyway. The cheapest checks come first: the path, the method, the
    /// content type, the encoding and the length; then the signature headers and their time; then
    /// the token.
    ///
    /// # Errors
    ///
    /// The answer, if the request is refused.
    pub fn admit(&self, head: &Parts) -> Result<AdmittedRequest, Box<Response<Bytes>>> {
        self.admitted(head)
            .map_err(|problem| Box::new(self.answer(problem)))
    }

    /// Answers a request that was admitted. A 200 leaves only after the event is committed.
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

    /// The answer to a request whose body could not be read, for adapters.
    #[must_use]
    pub fn refuse(status: StatusCode) -> Response<Bytes> {
        Problem::Status(status).into_response()
    }

    /// Verifies the sender of a body and decodes the body. What cannot be decoded is to be quarantined,
    /// since its sender is trusted.
    ///
    /// # Errors
    ///
    /// [`Refusal`], which never says what was expected.
    pub fn verify(&self, request: &AdmittedRequest, body: Bytes) -> Result<Delivery, Refusal> {
        let (content, verified_by) = self.verification.verify_body(&request.credentials, &body)?;
        let delivery = Delivery::new(content, body, self.now(), verified_by);
        Ok(delivery.with_submit(request.submit))
    }

    /// Stores a delivery. Returns after the commit.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] if the store failed, the answer budget ran out, or too many wait.
    pub async fn accept(&self, delivery: Delivery) -> Result<Accepted, AcceptError> {
        self.accept_since(delivery, Instant::now()).await
    }

    /// Hands the delivery over at once, so that the future that waits for the answer is small.
    fn accept_since(
        &self,
        delivery: Delivery,
        begun: Instant,
    ) -> impl Future<Output = Result<Accepted, AcceptError>> + use<> {
        let least = self.answer_budget.min(Self::STORING_MIN);
        let deadline = after(begun, self.answer_budget).max(after(Instant::now(), least));
        let answered = self.inbox.hand_over(delivery);
        async move {
            let answer = tokio::time::timeout_at(deadline, answered?).await;
            answer.unwrap_or(Err(AcceptError::TooSlow))
        }
    }

    /// Answers, and logs what an operator should know, within a bound.
    fn answer(&self, problem: Problem) -> Response<Bytes> {
        match &problem {
            Problem::Refused(refusal) => {
                let reason = match refusal {
                    Refusal::Signature(err) => err.to_string(),
                    refusal => refusal.to_string(),
                };
                if self.throttle.admits(format!("callback refused: {reason}")) {
                    let err = refusal as &dyn std::error::Error;
                    tracing::warn!(err, "callback refused");
                }
            }
            Problem::NotStored(err) => {
                if self.throttle.admits(format!("callback not stored: {err}")) {
                    let err = err as &dyn std::error::Error;
                    tracing::warn!(err, "callback not stored; it will be sent again");
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

    /// Checks the head.
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
            && self.throttle.admits("callback not understood")
        {
            tracing::warn!(%reason, "callback not understood; kept in quarantine");
        }
        Ok(delivery)
    }
}

/// A request whose head was checked: the proof that [`Receiver::admit`] returns. It owns what it needs
/// of the head, so that the head can be dropped before the body is read.
///
/// The time that an answer may take is counted from the moment at which it was made.
#[derive(Debug, Clone)]
pub struct AdmittedRequest {
    credentials: Credentials,
    submit: Option<SubmitId>,
    begun: Instant,
}

/// The rest of the path after the base: `[/TOKEN][/SUBMIT]`, with or without a slash at the end.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    /// The segment in which a token is expected. Empty if the path has no such segment: the answer is
    /// then 401 and not 404.
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
            // A sender may write the digits in either case.
            Some(segment) => Some(segment.to_ascii_lowercase().parse().ok()?),
        };
        next().is_none().then_some(Self { token, submit })
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(http::header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Fails unless the body is plain JSON in UTF-8 as far as the head says. No type at all will do.
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

/// True unless the parameter of the content type names another charset than UTF-8, which some
/// senders write without the hyphen.
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

/// Why a request is not answered with 200.
enum Problem {
    Status(StatusCode),
    /// The content type names another charset than UTF-8.
    Charset,
    /// The body is compressed, or encoded otherwise.
    Encoding,
    /// The head names two hosts: which one a proxy before this took is not known.
    TwoHosts,
    Refused(Refusal),
    NotStored(AcceptError),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<AcceptError> for Problem {
    fn from(err: AcceptError) -> Self {
        Self::NotStored(err)
    }
}

impl Problem {
    fn into_response(self) -> Response<Bytes> {
        let of = |status| (status, body_of(status));
        let (status, body) = match &self {
            Self::Status(status) => of(*status),
            Self::Charset => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                r#"{"error":"the charset must be utf-8"}"#,
            ),
            Self::Encoding => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                r#"{"error":"the body must not be encoded"}"#,
            ),
            Self::TwoHosts => (
                StatusCode::BAD_REQUEST,
                r#"{"error":"the request must name one host"}"#,
            ),
            Self::Refused(Refusal::Unverifiable(_)) => of(StatusCode::BAD_REQUEST),
            Self::Refused(_) => of(StatusCode::UNAUTHORIZED),
            Self::NotStored(_) => of(StatusCode::SERVICE_UNAVAILABLE),
        };
        let mut response = respond(status, body);
        let hint = match (&self, status) {
            (Self::Encoding, _) => Some((ACCEPT_ENCODING, "identity")),
            (_, StatusCode::METHOD_NOT_ALLOWED) => Some((ALLOW, "POST")),
            (_, StatusCode::SERVICE_UNAVAILABLE) => {
                Some((RETRY_AFTER, Receiver::RETRY_AFTER_SECONDS))
            }
            _ => None,
        };
        if let Some((name, value)) = hint {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// One body for each status, which never says what was expected.
fn body_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => r#"{"error":"the body names no single task"}"#,
        401 => r#"{"error":"not authorized"}"#,
        404 => r#"{"error":"not found"}"#,
        405 => r#"{"error":"use POST"}"#,
        408 => r#"{"error":"the body came too slowly"}"#,
        413 => r#"{"error":"the body is too large"}"#,
        415 => r#"{"error":"the content type must be application/json"}"#,
        431 => r#"{"error":"the head is too large"}"#,
        503 => r#"{"error":"not stored; send it again later"}"#,
        _ => r#"{"error":"refused"}"#,
    }
}

fn respond(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
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
