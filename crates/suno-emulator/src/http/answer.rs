//! The answer to a request.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::body::envelope;
use crate::profile::{Profile, Refusal};
use crate::provider::Reply;

/// An answer, or the lack of one.
#[derive(Debug)]
pub(crate) enum Answer {
    Send(Response<Bytes>),
    /// The connection breaks after the body, which is shorter than announced.
    Break(Response<Bytes>),
    /// The connection is closed without an answer.
    Cut,
}

/// The HTML page of a proxy that cannot reach the provider.
const PAGE_502: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n";

impl Answer {
    /// Creates an answer with a body of any type.
    pub(crate) fn with(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self::Send(response)
    }

    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        Self::with(status, "application/json", Bytes::from(body.to_string()))
    }

    /// Creates a refusal as the provider sends it: with HTTP 200 (`PROTOCOL.md 1.19`).
    pub(crate) fn refusal(profile: Profile, refusal: &Refusal) -> Self {
        Self::json(StatusCode::OK, &envelope::refusal(profile, refusal))
    }

    /// Creates the answer for an unknown path. The provider's answer is not known; this one uses
    /// the documented code, also as the HTTP status.
    pub(crate) fn not_found(profile: Profile) -> Self {
        Self::json(
            StatusCode::NOT_FOUND,
            &envelope::refusal(profile, &Refusal::NotFound),
        )
    }

    /// Creates the answer for a method that the path does not support. The provider's answer is not
    /// known.
    pub(crate) fn wrong_method(profile: Profile, allowed: &[Method]) -> Self {
        let body = envelope::refusal(profile, &Refusal::NotFound);
        let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        Self::json(StatusCode::METHOD_NOT_ALLOWED, &body).with_header(ALLOW, &allowed.join(", "))
    }

    pub(crate) fn too_large(profile: Profile) -> Self {
        let body = envelope::refusal(profile, &Refusal::BodyTooLarge);
        Self::json(StatusCode::PAYLOAD_TOO_LARGE, &body)
    }

    /// Creates the answer for more than one `Host`. A proxy might check one of them, and the
    /// emulator the other.
    pub(crate) fn several_hosts(profile: Profile) -> Self {
        let refusal = Refusal::Invalid("Send one Host header.".to_owned());
        Self::json(
            StatusCode::BAD_REQUEST,
            &envelope::refusal(profile, &refusal),
        )
    }

    pub(crate) fn too_slow() -> Self {
        Self::with(StatusCode::REQUEST_TIMEOUT, "text/plain", Bytes::new())
    }

    pub(crate) fn reply(reply: Reply) -> Self {
        match reply {
            Reply::Envelope(status, envelope) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                Self::json(status, &envelope)
            }
            Reply::Html502 => Self::with(
                StatusCode::BAD_GATEWAY,
                "text/html",
                Bytes::from_static(PAGE_502.as_bytes()),
            ),
            Reply::Cut => Self::Cut,
        }
    }

    /// Sets a header, unless the text is not a valid header value.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let (Self::Send(response) | Self::Break(response), Ok(value)) =
            (&mut self, HeaderValue::from_str(value))
        {
            response.headers_mut().insert(name, value);
        }
        self
    }

    /// Turns the answer into one that announces the whole body, sends half of it, and breaks the
    /// connection.
    pub(crate) fn broken_in_half(self) -> Self {
        match self {
            Self::Send(response) => {
                let length = response.body().len();
                let half = response.map(|body| body.slice(..length / 2));
                Self::Break(half).with_header(CONTENT_LENGTH, &length.to_string())
            }
            other => other,
        }
    }
}

/// The reason for rejecting a request below `/_emulator/`.
#[derive(Debug)]
pub(super) struct Rejection {
    status: StatusCode,
    reason: String,
}

impl Rejection {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self {
            status,
            reason: reason.into(),
        }
    }

    pub(super) fn bad(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }
}

impl From<Rejection> for Answer {
    fn from(rejection: Rejection) -> Self {
        Self::json(rejection.status, &json!({ "error": rejection.reason }))
    }
}
