//! The responses that are not 200, and what they reveal.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::inbox::AcceptError;
use crate::verify::Refusal;

/// The value of `Retry-After`, in seconds.
const RETRY_AFTER_SECONDS: &str = "5";

/// The reason why a request is not answered with 200.
pub(super) enum Problem {
    Status(StatusCode),
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
    pub(super) fn into_response(self) -> Response<Bytes> {
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
