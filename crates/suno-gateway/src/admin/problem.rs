//! Errors as problem details (RFC 9457). No text in them comes from a request or a stored body.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use suno_callback::StoreError;

/// The media type of problem details.
const PROBLEM_JSON: &str = "application/problem+json";
/// The part of `type` that all problems share. The rest is a word that does not change.
pub(super) const TYPE_PREFIX: &str = "urn:suno:problem:";

/// An answer that says what is wrong.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// The stable word.
    pub(super) word: &'static str,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
}

macro_rules! problems {
    ($($name:ident: $status:ident $word:literal $title:literal;)*) => {
        /// Each kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $($name,)*
        }

        impl Kind {
            /// All kinds.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];

            pub(super) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

problems! {
    Host: BAD_REQUEST "host" "The request must name exactly one host";
    Misdirected: MISDIRECTED_REQUEST "host-not-allowed" "This host name is not served";
    CrossSite: FORBIDDEN "cross-site" "Requests from other sites are refused";
    Origin: FORBIDDEN "origin" "Requests from other origins are refused";
    Method: METHOD_NOT_ALLOWED "method" "The method is not allowed";
    MediaType: UNSUPPORTED_MEDIA_TYPE "media-type" "The body must be JSON";
    Unauthorized: UNAUTHORIZED "unauthorized" "The token is missing or wrong";
    TooLarge: PAYLOAD_TOO_LARGE "too-large" "The body is too large";
    TooSlow: REQUEST_TIMEOUT "too-slow" "The body came too slowly";
    TooMany: SERVICE_UNAVAILABLE "too-many-streams" "Too many streams are open";
    Parameter: BAD_REQUEST "parameter" "A parameter is not valid";
    Body: BAD_REQUEST "body" "The body is not valid";
    NotFound: NOT_FOUND "not-found" "There is no such thing";
    NotSettled: CONFLICT "not-settled" "The event is not settled";
    Superseded: CONFLICT "superseded" "A later stage of the task is done";
    Gone: GONE "gone" "The body was purged";
    NotDecodable: CONFLICT "not-decodable" "The body cannot be decoded";
    Field: BAD_REQUEST "field" "A field of the task is not valid";
    NoKey: BAD_REQUEST "idempotency-key-missing" "The header Idempotency-Key is required";
    KeyInFlight: CONFLICT "idempotency-key-in-flight" "A submit with this key is under way";
    KeyUnknown: CONFLICT "submit-unknown" "It is not known whether the task exists";
    KeyReused: UNPROCESSABLE_ENTITY "idempotency-key-reused" "The key was used for another body";
    NotSubmitted: BAD_GATEWAY "not-submitted" "The provider created no task";
    Media: BAD_GATEWAY "media" "The file could not be fetched";
    Store: SERVICE_UNAVAILABLE "store" "The store failed";
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            status: kind.status(),
            word: kind.word(),
            title: kind.title(),
            detail: detail.into(),
            members: Map::new(),
        }
    }

    /// Adds a member beside those that every problem has.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("There is no {what}."))
    }

    pub(super) fn parameter(name: &str, expected: &str) -> Self {
        let detail = format!("The parameter {name} must be {expected}.");
        Self::new(Kind::Parameter, detail).with("parameter", name)
    }
}

impl From<StoreError> for Problem {
    fn from(err: StoreError) -> Self {
        let error: &dyn std::error::Error = &err;
        tracing::error!(
            error,
            "the store failed during a request to the admin address"
        );
        Self::new(
            Kind::Store,
            "The store could not be read or written; the log says why. Try again later.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut members = self.members;
        for (name, value) in [
            ("type", json!(format!("{TYPE_PREFIX}{}", self.word))),
            ("title", json!(self.title)),
            ("status", json!(self.status.as_u16())),
            ("detail", json!(self.detail)),
        ] {
            members.insert(name.to_owned(), value);
        }
        let mut response = Response::new(Body::from(Value::Object(members).to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            // Which of them a path has is known to its route only; this is what the service knows.
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_of_problem_has_a_word_of_its_own() {
        let words: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), Kind::ALL.len());
        let is_plain = |word: &&str| {
            word.bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_lowercase())
        };
        assert!(words.iter().all(is_plain));
    }
}
