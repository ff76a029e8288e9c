//! The description of the API.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;

/// OpenAPI 3.1, with JSON Schema 2020-12.
pub(in super::super) const DOCUMENT: &str = include_str!("openapi.json");

/// `GET /openapi.json`.
pub(in super::super) async fn document() -> Response {
    let mut response = Response::new(Body::from(DOCUMENT));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
