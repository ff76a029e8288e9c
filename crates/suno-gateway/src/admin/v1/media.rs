//! Tracks and pictures of an event, for a player: the media host is asked, with ranges.
//!
//! A caller names an event and a track, never a URL. The client's rules for addresses hold.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use suno_callback::suno_client::{ClientError, ErrorKind, MediaRange, OpenMedia};
use suno_types::{Callback, Track};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::super::app::App;
use super::super::problem::{Kind, Problem};
use super::events::find;
use super::parameters::path_id;

/// The pieces that wait for a slow player.
const PIECES_MAX: usize = 4;
/// The time after which a transfer ends whose player takes nothing. A paused player stops reading,
/// and asks for the rest later.
const PATIENCE: Duration = Duration::from_secs(60);

/// `GET /v1/events/{id}/media/{track}/{kind}`: a file of the track at this place, from 0.
pub(in super::super) async fn media(
    State(app): State<Arc<App>>,
    Path((id, track, kind)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let client = app.media.as_ref();
    let client = client.ok_or_else(|| Problem::not_found("way to fetch media"))?;
    let id = path_id(&id, "such event")?;
    let (record, _) = find(&app, id).await?;
    let missing = || Problem::not_found("such file of the event");
    let callback = record
        .raw
        .as_ref()
        .and_then(|raw| Callback::decode(raw).ok());
    let callback = callback.ok_or_else(missing)?;
    let place: usize = track.parse().map_err(|_| missing())?;
    let track = callback.tracks.get(place).ok_or_else(missing)?;
    let url = url(track, &kind).ok_or_else(missing)?;
    let transfer = app.transfers.clone().try_acquire_owned().map_err(|_| {
        let detail = "Too many files are being transferred. Try again later.";
        Problem::new(Kind::TooMany, detail)
    })?;
    let range = MediaRange::of(&headers);
    let opened = client
        .open_media(url, &range)
        .await
        .map_err(|err| failed(&err))?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = opened.status();
    let content_type = HeaderValue::from_static(opened.content_type());
    response.headers_mut().extend(opened.headers().clone());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        let mut stopping = app.stopping.clone();
        tokio::select! {
            biased;
            () = async { drop(stopping.wait_for(|is_stopping| *is_stopping).await) } => {}
            () = pour(opened, sender) => {}
        }
        drop(transfer);
    });
    *response.body_mut() = Body::new(Pieces(receiver));
    Ok(response)
}

fn url<'a>(track: &'a Track, kind: &str) -> Option<&'a str> {
    let url = match kind {
        "audio" => &track.audio_url,
        "stream" => &track.stream_audio_url,
        "image" => &track.image_url,
        _ => return None,
    };
    url.as_deref().filter(|url| !url.is_empty())
}

/// Passes on a file until it ends, breaks, or is not taken. After an error the connection is closed,
/// so that the player knows that bytes are missing.
async fn pour(mut opened: OpenMedia, sender: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let piece = match opened.chunk().await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => return,
            Err(err) => Err(io::Error::other(err)),
        };
        let is_broken = piece.is_err();
        let sent = timeout(PATIENCE, sender.send(piece)).await;
        if is_broken || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

fn failed(err: &ClientError) -> Problem {
    let error: &dyn std::error::Error = err;
    tracing::debug!(error, "a file of an event could not be fetched");
    let detail = match err.kind() {
        ErrorKind::ForbiddenAddress => "The file is at an address that is not allowed.",
        ErrorKind::TooLarge => "The file is larger than allowed.",
        ErrorKind::BadFile => "The media host sent neither audio nor a picture.",
        ErrorKind::HttpStatus => "The media host refused the file; it has probably expired.",
        _ => "The media host could not be reached.",
    };
    Problem::new(Kind::Media, detail)
}

/// The body of a transfer.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = self.0.poll_recv(cx);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
