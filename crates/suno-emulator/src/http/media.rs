//! Serves the audio and the covers of tasks.

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use http::{Request, StatusCode};

use super::answer::Answer;
use crate::fault::exchange::MediaFault;
use crate::media::range::{RequestedRange, requested_range};
use crate::media::{mp4, png, wav};
use crate::provider::{MediaFile, MediaKind};
use crate::runner::Runner;
use crate::seed;

/// Answers `/media/TASK/KIND-N.ENDING`.
pub(super) async fn answer(runner: &Runner, request: &Request<Bytes>) -> Answer {
    let found = runner.provider().medium(request.uri().path());
    let Some(medium) = found.filter(|medium| medium.fault != Some(MediaFault::Missing)) else {
        return Answer::with(
            StatusCode::NOT_FOUND,
            "text/plain",
            Bytes::from("not found"),
        );
    };
    let (fault, tag) = (medium.fault, format!("\"{}\"", medium.track_id));
    // Synthesis takes milliseconds. Other requests should not wait for it.
    let made = tokio::task::spawn_blocking(move || make(&medium)).await;
    let Ok((content_type, body)) = made else {
        return Answer::with(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain",
            Bytes::new(),
        );
    };
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    // A range is useful only to a client that has the rest of the same file.
    let is_same = header(IF_RANGE).is_none_or(|if_range| if_range == tag);
    let range = header(RANGE).filter(|_| is_same);
    match fault {
        Some(MediaFault::EmptyAudio | MediaFault::EmptyStream) => {
            Answer::with(StatusCode::OK, content_type, Bytes::new())
        }
        Some(MediaFault::NoRanges) => Answer::with(StatusCode::OK, content_type, body),
        Some(MediaFault::Cut) => ranged(content_type, body, range, &tag).broken_in_half(),
        Some(MediaFault::Missing) | None => ranged(content_type, body, range, &tag),
    }
}

fn make(medium: &MediaFile) -> (&'static str, Bytes) {
    let seed = seed::of_text(&medium.track_id);
    match medium.kind {
        MediaKind::Audio { duration_cs } => ("audio/wav", wav::file(seed, duration_cs)),
        MediaKind::M4a => ("audio/mp4", mp4::file(*b"M4A ", &medium.track_id)),
        MediaKind::Video => ("video/mp4", mp4::file(*b"isom", &medium.track_id)),
        MediaKind::Image => ("image/png", png::file(seed)),
    }
}

fn ranged(content_type: &'static str, body: Bytes, range: Option<&str>, tag: &str) -> Answer {
    let length = body.len();
    let answer = match requested_range(range, length) {
        RequestedRange::Whole => Answer::with(StatusCode::OK, content_type, body),
        RequestedRange::Part { first, last } => {
            let part = body.slice(first..=last);
            Answer::with(StatusCode::PARTIAL_CONTENT, content_type, part)
                .with_header(CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"))
        }
        RequestedRange::Unsatisfiable => Answer::with(
            StatusCode::RANGE_NOT_SATISFIABLE,
            content_type,
            Bytes::new(),
        )
        .with_header(CONTENT_RANGE, &format!("bytes */{length}")),
    };
    answer
        .with_header(ACCEPT_RANGES, "bytes")
        .with_header(ETAG, tag)
}
