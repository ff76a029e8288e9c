//! The files of a task, through this service, so that a page contacts no other host. A request names an
//! event and never a URL.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};
use http_body::Frame;
use suno_callback::suno_client::{ClientError, ErrorKind, MediaFile, MediaRequest};
use suno_types::{Callback, Track};
use tokio::sync::mpsc;

use super::super::app::App;
use super::super::problem::{Kind, Problem};
use super::events::find;
use super::parameters::path_id;

/// The pieces of a file that wait for a slow reader.
const PIECES_MAX: usize = 4;
/// The content types that are passed on. Any other one is sent as bytes of an unknown type.
const TYPES: [&str; 14] = [
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
    "audio/x-wav",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/mp4",
];

/// `GET` and `HEAD /v1/media/{event}/{track}/{kind}`.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    Path((id, track, kind)): Path<(String, usize, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let client = app.media.as_ref();
    let client = client.ok_or_else(|| Problem::not_found("client for media"))?;
    let (record, _) = find(&app, path_id(&id, "such event")?).await?;
    let callback = record
        .raw
        .as_ref()
        .and_then(|raw| Callback::decode(raw).ok());
    let tracks = callback.map(|callback| callback.tracks).unwrap_or_default();
    let url = tracks.get(track).and_then(|track| url(track, &kind));
    let url = url.ok_or_else(|| Problem::not_found("such file"))?;
    let mut request = MediaRequest::new();
    if let Some(range) = headers.get(RANGE) {
        request = request.with_range(range.clone(), headers.get(IF_RANGE).cloned());
    }
    if method == Method::HEAD {
        request = request.without_body();
    }
    let file = client
        .open_media(url, &request)
        .await
        .map_err(|err| refused(&err))?;
    Ok(answer(file))
}

fn url<'a>(track: &'a Track, kind: &str) -> Option<&'a str> {
    let image = || track.image_url.as_deref().filter(|url| !url.is_empty());
    match kind {
        "audio" => track.ready_url(),
        "stream" => track.stream_audio_url.as_deref(),
        "image" => image().or(track.source_image_url.as_deref()),
        _ => None,
    }
    .filter(|url| !url.is_empty())
}

fn answer(mut file: MediaFile) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = file.status();
    let headers = response.headers_mut();
    *headers = file.headers().clone();
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let known = TYPES
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(kind.trim()));
    let kind = HeaderValue::from_static(known.unwrap_or("application/octet-stream"));
    headers.insert(CONTENT_TYPE, kind);
    // The player asks for parts of it again and again.
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=600"),
    );
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        loop {
            let piece = match file.chunk().await {
                Ok(Some(piece)) => Ok(piece),
                Ok(None) => return,
                Err(err) => Err(std::io::Error::other(err)),
            };
            let is_last = piece.is_err();
            // The reader is gone.
            if sender.send(piece).await.is_err() || is_last {
                return;
            }
        }
    });
    *response.body_mut() = Body::new(Pieces(receiver));
    response
}

fn refused(err: &ClientError) -> Problem {
    let is_forbidden = err.kind() == ErrorKind::ForbiddenAddress;
    let detail = match () {
        () if is_forbidden => {
            "The file is at an address that is private or not allowed; nothing was sent there."
        }
        () if err.http_status().is_some() => {
            "The media host refused the file; it may have been deleted."
        }
        () => "The file could not be fetched, is too large, or is not audio or an image.",
    };
    Problem::new(Kind::Media, detail)
}

/// The body of an answer.
struct Pieces(mpsc::Receiver<std::io::Result<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
