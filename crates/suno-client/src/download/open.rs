//! A file of a media host as a stream, for a program that passes it on to a player.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_RANGE, LAST_MODIFIED, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use url::Url;

use super::fetch::{redirect, text};
use super::{file_name, media_url};
use crate::endpoint::uri;
use crate::request::AGENT;
use crate::transport::Fault;
use crate::{Client, ClientError, ErrorKind};

/// The part of a file that is asked for.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MediaRange {
    /// The value of `Range`, as a player sent it.
    pub range: Option<HeaderValue>,
    /// The value of `If-Range`.
    pub if_range: Option<HeaderValue>,
}

impl MediaRange {
    /// Takes the two headers of a player's request.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self {
            range: headers.get(RANGE).cloned(),
            if_range: headers.get(IF_RANGE).cloned(),
        }
    }
}

/// A file, or a part of one, whose bytes have not been read yet.
#[derive(Debug)]
pub struct OpenMedia {
    status: StatusCode,
    content_type: &'static str,
    headers: HeaderMap,
    body: Incoming,
    bytes_left: u64,
    stall: Duration,
    /// True until bytes from the start of the file were looked at.
    is_at_start: bool,
}

/// The headers of a media host that a player needs. All others are dropped.
const KEPT: [HeaderName; 5] = [
    ACCEPT_RANGES,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    LAST_MODIFIED,
];

impl Client {
    /// The maximum number of bytes of a file that is [opened](Self::open_media): 100 MiB.
    pub const MEDIA_BYTES_MAX: u64 = 100 << 20;

    /// Requests a file, or a part of it, and returns it before its bytes are read.
    ///
    /// The URL comes from outside, so the rules of a [`download`](Self::download) hold: only public
    /// addresses are allowed, also after a redirect, and the key is not sent.
    ///
    /// # Errors
    ///
    /// [`ClientError`] of the kind [`ForbiddenAddress`](ErrorKind::ForbiddenAddress) if the URL is
    /// not allowed, [`HttpStatus`](ErrorKind::HttpStatus) if the media host refuses it,
    /// [`BadFile`](ErrorKind::BadFile) if it sends neither audio nor a picture, and
    /// [`TooLarge`](ErrorKind::TooLarge) if the file exceeds
    /// [`MEDIA_BYTES_MAX`](Self::MEDIA_BYTES_MAX).
    pub async fn open_media(
        &self,
        url: &str,
        range: &MediaRange,
    ) -> Result<OpenMedia, ClientError> {
        let mut url = media_url(url)?;
        for _ in 0..=Self::REDIRECTS_MAX {
            let request = request(&url, range)?;
            let response = self.shared.transport().fetch(request).await;
            let response = response.map_err(|fault| fault.into_error(false))?;
            if let Some(next) = redirect(&url, &response)? {
                url = next;
                continue;
            }
            let (head, body) = response.into_parts();
            let is_unsatisfied = head.status == StatusCode::RANGE_NOT_SATISFIABLE;
            if !matches!(head.status.as_u16(), 200 | 206 | 416) {
                let what = "the media host refused the file";
                return Err(ClientError::new(ErrorKind::HttpStatus, what).with_status(head.status));
            }
            let sent = text(&head.headers, &CONTENT_TYPE);
            let content_type = match content_type(sent, &url) {
                Some(content_type) => content_type,
                None if is_unsatisfied => "application/octet-stream",
                None => return Err(not_media()),
            };
            let length = text(&head.headers, &CONTENT_LENGTH).and_then(|text| text.parse().ok());
            if length.is_some_and(|length: u64| length > Self::MEDIA_BYTES_MAX) {
                return Err(too_large());
            }
            let kept = |name| Some((name, head.headers.get(name)?.clone()));
            let headers = KEPT.iter().filter_map(kept);
            return Ok(OpenMedia {
                status: head.status,
                content_type,
                headers: headers.map(|(name, value)| (name.clone(), value)).collect(),
                body,
                bytes_left: Self::MEDIA_BYTES_MAX,
                stall: self.shared.settings.timeouts.stall,
                is_at_start: head.status == StatusCode::OK,
            });
        }
        let what = "the file is redirected too often";
        Err(ClientError::new(ErrorKind::HttpStatus, what))
    }
}

impl OpenMedia {
    /// Returns 200 for the whole file, 206 for a part of it, or 416 for a part that it does not have.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the content type: one of a list of audio, picture and video types.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Returns `Accept-Ranges`, `Content-Length`, `Content-Range`, `ETag` and `Last-Modified`, as far
    /// as the media host sent them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the next bytes, and `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the connection breaks or stalls, if the file turns out to be a page, or if
    /// it is too large.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = match timeout(self.stall, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame.map_err(|err| Fault::Broken(err.into())),
                Err(_) => Err(Fault::TimedOut("the file stalled")),
            };
            let frame = frame.map_err(|fault| fault.into_error(false))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if self.is_at_start && file_name::begins_like_text(&data) {
                return Err(not_media());
            }
            self.is_at_start = false;
            let left = self.bytes_left.checked_sub(data.len() as u64);
            self.bytes_left = left.ok_or_else(too_large)?;
            return Ok(Some(data));
        }
    }
}

fn request(url: &Url, range: &MediaRange) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = uri(url)?;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let sent = [(RANGE, &range.range), (IF_RANGE, &range.if_range)];
    for (name, value) in sent {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
    Ok(request)
}

/// The types that are passed on, and the ends of names by which they are guessed where a host does
/// not say what it sends.
const TYPES: [(&str, &[&str]); 12] = [
    ("audio/mpeg", &[".mp3"]),
    ("audio/wav", &[".wav"]),
    ("audio/mp4", &[".m4a"]),
    ("audio/aac", &[".aac"]),
    ("audio/ogg", &[".ogg", ".opus"]),
    ("audio/flac", &[".flac"]),
    ("audio/webm", &[]),
    ("image/jpeg", &[".jpeg", ".jpg"]),
    ("image/png", &[".png"]),
    ("image/webp", &[".webp"]),
    ("image/gif", &[".gif"]),
    ("video/mp4", &[".mp4"]),
];

/// Returns the type to pass on; `None` if it is not in the list.
fn content_type(sent: Option<&str>, url: &Url) -> Option<&'static str> {
    let sent = sent.map(|text| text.split(';').next().unwrap_or_default().trim());
    let sent = sent.unwrap_or_default().to_ascii_lowercase();
    let sent = match &*sent {
        "audio/mp3" => "audio/mpeg",
        "audio/x-wav" | "audio/wave" => "audio/wav",
        "audio/x-m4a" => "audio/mp4",
        other => other,
    };
    let says_nothing = matches!(
        sent,
        "" | "application/octet-stream" | "binary/octet-stream"
    );
    let path = url.path().to_ascii_lowercase();
    let is_it = |(known, ends): &&(&str, &[&str])| match says_nothing {
        true => ends.iter().any(|end| path.ends_with(end)),
        false => *known == sent,
    };
    TYPES.iter().find(is_it).map(|(known, _)| *known)
}

fn not_media() -> ClientError {
    let what = "the media host sent neither audio nor a picture";
    ClientError::new(ErrorKind::BadFile, what)
}

fn too_large() -> ClientError {
    ClientError::new(ErrorKind::TooLarge, "the file is larger than allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_of_the_list_are_passed_on() {
        let url = |text| Url::parse(text).unwrap();
        let song = url("https://a.example/one.MP3?x=1");
        for (sent, expected) in [
            (Some("audio/mpeg"), Some("audio/mpeg")),
            (Some("Audio/MP3; charset=x"), Some("audio/mpeg")),
            (Some("binary/octet-stream"), Some("audio/mpeg")),
            (None, Some("audio/mpeg")),
            (Some("text/html"), None),
            (Some("image/svg+xml"), None),
            (Some("application/javascript"), None),
        ] {
            assert_eq!(content_type(sent, &song), expected, "{sent:?}");
        }
        assert_eq!(content_type(None, &url("https://a.example/one")), None);
    }
}
