//! Serves the files that were uploaded.

use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, X_CONTENT_TYPE_OPTIONS};
use http::{Request, StatusCode};

use super::answer::Answer;
use crate::runner::Runner;

/// The path below which uploaded files are served: `/files/ID/NAME`.
pub(super) const PREFIX: &str = "/files/";

/// Answers with an uploaded file. A browser must never show one as a page of the emulator's origin,
/// which could control the emulator, so files are only offered for saving.
pub(super) fn answer(runner: &Runner, request: &Request<Bytes>) -> Answer {
    let rest = request.uri().path().strip_prefix(PREFIX);
    let id = rest.and_then(|rest| rest.split('/').next());
    let file = id.and_then(|id| runner.provider().uploads().find(id).cloned());
    match file {
        Some(file) => Answer::with(StatusCode::OK, file.content_type, file.bytes)
            .with_header(CONTENT_DISPOSITION, "attachment")
            .with_header(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        None => Answer::with(
            StatusCode::NOT_FOUND,
            "text/plain",
            Bytes::from("not found"),
        ),
    }
}
