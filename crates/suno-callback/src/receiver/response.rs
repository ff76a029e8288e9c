//! The responses that are not 200, what they reveal, and how they are logged.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::inbox::AcceptError;
use crate::verify::Refusal;

/// The value of `Retry-After`, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// The reason why a request is not answered with 200.
pub(super) enum Problem {
    Status(StatusCode),
    /// The method is not POST. A browser gets a text for people.
    Method(Method),
    /// The charset in the content type is not UTF-8.
    Charset,
    /// The body is compressed or otherwise encoded.
    Encoding,
    /// The head names two hosts, so it is unclear which of them a proxy in front of this server
    /// used.
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
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Status(status) => *status,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Charset | Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TwoHosts | Self::Refused(Refusal::Unverifiable(_)) => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::UNAUTHORIZED,
            Self::NotStored(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The reason as a log line says it. It decides which lines are counted together, so it has
    /// nothing that a sender can choose.
    pub(super) fn reason(&self) -> Cow<'static, str> {
        match self {
            Self::Status(status) => match status.as_u16() {
                400 => "the body could not be read".into(),
                404 => "no callbacks are received at this path".into(),
                408 => "the body came too slowly".into(),
                413 => "the body is too large".into(),
                414 => "the part of the URL that the application chose is too long".into(),
                415 => "the content type is not application/json".into(),
                431 => "the head is too large".into(),
                503 => "too many large bodies at the same time".into(),
                _ => "refused".into(),
            },
            Self::Method(_) => "the method is not POST".into(),
            Self::Charset => "the charset is not UTF-8".into(),
            Self::Encoding => "the body is compressed".into(),
            Self::TwoHosts => "the request names two hosts".into(),
            Self::Refused(Refusal::Signature(err)) => err.to_string().into(),
            Self::Refused(refusal) => refusal.to_string().into(),
            Self::NotStored(err) => err.to_string().into(),
        }
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let status = self.status();
        let body = match &self {
            Self::Method(method) if is_browsing(method) => return for_people(),
            Self::Charset => r#"{"error":"the charset must be utf-8"}"#,
            Self::Encoding => r#"{"error":"the body must not be encoded"}"#,
            Self::TwoHosts => r#"{"error":"the request must name one host"}"#,
            _ => body_of(status),
        };
        let mut response = respond(status, body);
        let hint = match (&self, status) {
            (Self::Encoding, _) => Some((ACCEPT_ENCODING, "identity")),
            (_, StatusCode::METHOD_NOT_ALLOWED) => Some((ALLOW, "POST")),
            (_, StatusCode::SERVICE_UNAVAILABLE) => Some((RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => None,
        };
        if let Some((name, value)) = hint {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Returns the body for a status. It never reveals what was expected.
fn body_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => r#"{"error":"the body names no single task"}"#,
        401 => r#"{"error":"not authorized"}"#,
        404 => r#"{"error":"not found"}"#,
        405 => r#"{"error":"use POST"}"#,
        408 => r#"{"error":"the body came too slowly"}"#,
        413 => r#"{"error":"the body is too large"}"#,
        414 => r#"{"error":"the URL is too long"}"#,
        415 => r#"{"error":"the content type must be application/json"}"#,
        431 => r#"{"error":"the head is too large"}"#,
        503 => r#"{"error":"not stored; send it again later"}"#,
        _ => r#"{"error":"refused"}"#,
    }
}

pub(super) fn respond(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn is_browsing(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The response to a person who opens the callback URL in a browser.
fn for_people() -> Response<Bytes> {
    const TEXT: &str = "This is a callback URL of the Suno API, and the receiver behind it is \
        running. It answers POST requests only: a browser shows nothing but this text.\n";
    let mut response = Response::new(Bytes::from_static(TEXT.as_bytes()));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("POST"));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    response
}
