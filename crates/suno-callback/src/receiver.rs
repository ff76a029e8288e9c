//! The whole of receiving: a request in, an answer out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::{Clock, SystemClock, after};
use crate::delivery::Delivery;
use crate::inbox::{AcceptError, Inbox};
use crate::store::{Accepted, SubmitId};
use crate::verify::{Refusal, Verification, Verified};

/// Answers the provider's callbacks, whatever serves them.
///
/// | what came | answer |
/// | --- | --- |
/// | a new event, a duplicate, a late stage, the same key with another payload | 200 |
/// | trusted, but not decodable: kept raw | 200 |
/// | not signed, wrong token, timestamp outside the window | 401 |
/// | no task id to check a signature against, or ids that disagree | 400 |
/// | another path 404, method 405, too large 413, other content type 415 | |
/// | the store failed, the answer budget ran out, too many wait | 503 with `Retry-After` |
///
/// No answer says what was expected.
#[derive(Debug, Clone)]
pub struct Receiver {
    inbox: Inbox,
    verification: Arc<Verification>,
    clock: Arc<dyn Clock>,
    path: Arc<str>,
    body_bytes_max: usize,
    answer_budget: Duration,
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
        }
    }

    /// The path of the callback URL. With a token, the URL is this path, a slash and the token. A
    /// slash and the [`SubmitId`] of a submit may follow; see [`TaskLedger`](crate::TaskLedger).
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

    /// How long an answer may take: from the head of the request if [`CallbackService`] reads the
    /// body, and otherwise from the call. Of that, at least [`STORING_MIN`](Self::STORING_MIN) is
    /// left for storing, or the whole budget if it is smaller.
    ///
    /// [`CallbackService`]: crate::CallbackService
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

    /// How many bytes a body may have: for adapters, which must not buffer more.
    #[must_use]
    pub fn body_bytes_max(&self) -> usize {
        self.body_bytes_max
    }

    /// Answers a request. A 200 leaves only after the event is committed.
    pub async fn receive(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.receive_since(request, Instant::now()).await
    }

    /// The same for a request whose head was read at `begun`.
    pub(crate) async fn receive_since(
        &self,
        request: Request<Bytes>,
        begun: Instant,
    ) -> Response<Bytes> {
        // Not kept while waiting for the store: a head is made of parts of the buffer that the server
        // reads into, which would have to make another one for the connection.
        let delivery = {
            let (head, body) = request.into_parts();
            self.delivery(&head, body)
        };
        let accepted = match delivery {
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
            Err(problem) => problem.into_response(),
        }
    }

    /// The answer to a request whose body could not be read, for adapters.
    #[must_use]
    pub fn refuse(status: StatusCode) -> Response<Bytes> {
        Problem::Status(status).into_response()
    }

    /// Checks everything about a request but its body, so that adapters need not read the body of
    /// a request that is refused anyway.
    ///
    /// # Errors
    ///
    /// The answer, if the path, the method, the length or the type is wrong.
    pub fn admit(&self, head: &http::request::Parts) -> Result<(), Box<Response<Bytes>>> {
        self.address(head)
            .map(|_| ())
            .map_err(|problem| Box::new(problem.into_response()))
    }

    /// The first step: whether the sender can be trusted. `segment` is the segment of the path
    /// where a token is expected.
    ///
    /// # Errors
    ///
    /// [`Refusal`], which never says what was expected.
    pub fn verify(
        &self,
        segment: Option<&str>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Verified, Refusal> {
        let now = self.now().as_second();
        let now = u64::try_from(now).unwrap_or_default();
        self.verification.verify(segment, headers, body, now)
    }

    /// The second step: what the body says. What cannot be decoded is quarantined, since its
    /// sender is trusted. If the callback URL named a submit, it goes into
    /// [`Delivery::with_submit`].
    ///
    /// # Errors
    ///
    /// The decode error if the ids in the body disagree.
    pub fn decode(&self, verified: Verified) -> Result<Delivery, suno_types::DecodeError> {
        Delivery::decode(verified, self.now())
    }

    /// The third step: stores the delivery; returns after the commit.
    ///
    /// # Errors
    ///
    /// [`AcceptError`] if the store failed, the answer budget ran out, or too many wait.
    pub async fn accept(&self, delivery: Delivery) -> Result<Accepted, AcceptError> {
        self.accept_since(delivery, Instant::now()).await
    }

    async fn accept_since(
        &self,
        delivery: Delivery,
        begun: Instant,
    ) -> Result<Accepted, AcceptError> {
        let least = self.answer_budget.min(Self::STORING_MIN);
        let deadline = after(begun, self.answer_budget).max(after(Instant::now(), least));
        tokio::time::timeout_at(deadline, self.inbox.accept(delivery))
            .await
            .unwrap_or(Err(AcceptError::TooSlow))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Everything but the last step.
    fn delivery(&self, head: &http::request::Parts, body: Bytes) -> Result<Delivery, Problem> {
        let address = self.address(head)?;
        if body.len() > self.body_bytes_max {
            return Err(Problem::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        let verified = self.verify(address.token, &head.headers, body)?;
        let delivery = self.decode(verified).map_err(|err| {
            tracing::warn!(%err, "callback refused");
            Problem::Status(StatusCode::BAD_REQUEST)
        })?;
        if let crate::Content::Quarantined { reason, .. } = &delivery.content {
            tracing::warn!(%reason, "callback not understood; kept in quarantine");
        }
        Ok(delivery.with_submit(address.submit))
    }

    /// Checks the head, and reads the path.
    fn address<'a>(&self, head: &'a http::request::Parts) -> Result<Address<'a>, Problem> {
        let rest = head.uri.path().strip_prefix(&*self.path);
        let address = rest.and_then(|rest| Address::read(rest, self.verification.has_token()));
        let address = address.ok_or(Problem::Status(StatusCode::NOT_FOUND))?;
        if head.method != Method::POST {
            return Err(Problem::Status(StatusCode::METHOD_NOT_ALLOWED));
        }
        if content_length(&head.headers).is_some_and(|length| length > self.body_bytes_max) {
            return Err(Problem::Status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        if !is_json(&head.headers) {
            return Err(Problem::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        Ok(address)
    }
}

/// What stands in the path behind the base: `[/TOKEN][/SUBMIT]`.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    /// What stands where a token is expected; empty if nothing does, since then it is the sender
    /// that is wrong, not the address.
    token: Option<&'a str>,
    submit: Option<SubmitId>,
}

impl<'a> Address<'a> {
    fn read(rest: &'a str, has_token: bool) -> Option<Self> {
        let mut segments = match rest {
            "" => None,
            rest => Some(rest.strip_prefix('/')?.split('/')),
        };
        let mut next = || segments.as_mut().and_then(Iterator::next);
        let token = has_token.then(|| next().unwrap_or_default());
        let submit = match next() {
            None | Some("") => None,
            Some(segment) => Some(segment.parse().ok()?),
        };
        next().is_none().then_some(Self { token, submit })
    }
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(http::header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// True for `application/json`, with or without parameters, and if no type is given.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let essence = content_type.as_bytes().split(|byte| *byte == b';').next();
    essence
        .unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/json")
}

/// Why a request is not answered with 200.
enum Problem {
    Status(StatusCode),
    NotStored,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        tracing::warn!(err = &refusal as &dyn std::error::Error, "callback refused");
        Self::Status(match refusal {
            Refusal::Unverifiable(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNAUTHORIZED,
        })
    }
}

impl From<AcceptError> for Problem {
    fn from(err: AcceptError) -> Self {
        tracing::warn!(
            err = &err as &dyn std::error::Error,
            "callback not stored; it will be sent again"
        );
        Self::NotStored
    }
}

impl Problem {
    fn into_response(self) -> Response<Bytes> {
        let status = match self {
            Self::Status(status) => status,
            Self::NotStored => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = respond(status, body_of(status));
        let headers = response.headers_mut();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = HeaderValue::from_static(Receiver::RETRY_AFTER_SECONDS);
                headers.insert(RETRY_AFTER, seconds);
            }
            _ => {}
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
            ("/SUBMIT/", false, None),
            ("er", false, None),
            ("", true, Some((token(""), false))),
            ("/", true, Some((token(""), false))),
            ("/tok", true, Some((token("tok"), false))),
            ("/tok/", true, Some((token("tok"), false))),
            ("/tok/SUBMIT", true, Some((token("tok"), true))),
            ("/tok/other", true, None),
            ("/tok/SUBMIT/x", true, None),
        ];
        for (rest, has_token, expected) in cases {
            assert_eq!(read(rest, has_token), expected, "{rest}");
        }
    }
}
