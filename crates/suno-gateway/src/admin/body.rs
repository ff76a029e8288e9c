//! Reads the body of a request within its bounds.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::problem::{Kind, Problem};

/// The maximum number of bytes of a body.
pub(super) const BODY_BYTES_MAX: usize = 256 << 10;
/// The time limit for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the body.
///
/// # Errors
///
/// Returns the problem to answer with if it is too large, too slow or broken.
pub(super) async fn read(head: &Parts, body: Incoming) -> Result<Body, Problem> {
    let length = head.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let reading = timeout(BODY_TIMEOUT, collect(body));
    let bytes = reading.await.unwrap_or_else(|_| {
        let limit = BODY_TIMEOUT.as_secs();
        let detail = format!("The body must arrive within {limit} s.");
        Err(Problem::new(Kind::TooSlow, detail))
    });
    bytes.map(Body::from)
}

async fn collect(mut body: Incoming) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::Body, "The body ended too early."))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn too_large() -> Problem {
    let detail = format!("A body may have {BODY_BYTES_MAX} bytes at most.");
    Problem::new(Kind::TooLarge, detail)
}
