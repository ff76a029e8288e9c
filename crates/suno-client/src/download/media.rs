//! A file of a media host, passed on while it arrives, such as to a player.

use std::fmt;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName,
    IF_RANGE, LAST_MODIFIED, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use url::Url;

use super::fetch::{bad, redirect};
use super::file_name::{self, Media};
use super::{NOT_A_FILE, media_url};
use crate::answer::status_passes;
use crate::endpoint::uri;
use crate::request::AGENT;
use crate::transport::Fault;
use crate::{Client, ClientError, ErrorKind};

/// A request for a file or for a part of it.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MediaRequest {
    range: Option<HeaderValue>,
    if_range: Option<HeaderValue>,
    is_head: bool,
}

impl MediaRequest {
    /// Requests the whole file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests a part, as the header `Range` names it, and the whole file if it is no longer of the
    /// version that `If-Range` names.
    #[must_use]
    pub fn with_range(mut self, range: HeaderValue, if_range: Option<HeaderValue>) -> Self {
        self.range = Some(range);
        self.if_range = if_range;
        self
    }

    /// Requests the headers only.
    #[must_use]
    pub fn without_body(mut self) -> Self {
        self.is_head = true;
        self
    }
}

/// A file while it arrives.
pub struct MediaFile {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    client: Client,
    /// The number of bytes that arrived.
    bytes: u64,
    /// Whether the first bytes are those of the file, and not of a part of it.
    is_beginning: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

impl MediaFile {
    /// The headers of the media host that are kept.
    pub const HEADERS: [HeaderName; 6] = [
        ACCEPT_RANGES,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        ETAG,
        LAST_MODIFIED,
    ];

    /// The status: 200, 206 or 416.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers: some of [`HEADERS`](Self::HEADERS).
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the next bytes, or `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection breaks or stalls, or if the file is a page or too large.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let settings = &self.client.shared.settings;
        loop {
            let frame = match timeout(settings.timeouts.stall, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame.map_err(|err| Fault::Broken(err.into())),
                Err(_) => Err(Fault::TimedOut("the download stalled")),
            };
            let frame = frame.map_err(|fault| fault.into_error(false))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if self.bytes == 0 && self.is_beginning && file_name::begins_like_text(&data) {
                return Err(bad(NOT_A_FILE));
            }
            self.bytes = self.bytes.saturating_add(data.len() as u64);
            if self.bytes > settings.download_bytes_max {
                return Err(too_large());
            }
            return Ok(Some(data));
        }
    }
}

fn too_large() -> ClientError {
    ClientError::new(ErrorKind::TooLarge, "the file is larger than allowed")
}

impl fmt::Debug for MediaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaFile")
            .field("status", &self.status)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Opens a file of a media host, to pass it on. The URL comes from outside: the same addresses
    /// are allowed as for [`download`](Self::download), also after a redirect.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`ForbiddenAddress`](ErrorKind::ForbiddenAddress) if the URL is
    /// not allowed, [`HttpStatus`](ErrorKind::HttpStatus) if the media host refuses it,
    /// [`BadFile`](ErrorKind::BadFile) if it answers with a page, or
    /// [`TooLarge`](ErrorKind::TooLarge) if the file exceeds
    /// [`download_bytes_max`](crate::ClientBuilder::download_bytes_max).
    pub async fn open_media(
        &self,
        url: &str,
        request: &MediaRequest,
    ) -> Result<MediaFile, ClientError> {
        let transport = self.shared.transport();
        let slot = transport.owned_media_slot().await;
        let mut url = media_url(url)?;
        for _ in 0..=Self::REDIRECTS_MAX {
            let response = transport.fetch(head(&url, request)?).await;
            let response = response.map_err(|fault| fault.into_error(false))?;
            match redirect(&url, &response)? {
                Some(next) => url = next,
                None => return self.media(response, request, slot),
            }
        }
        let what = "the file is redirected too often";
        Err(ClientError::new(ErrorKind::HttpStatus, what))
    }

    fn media(
        &self,
        response: Response<Incoming>,
        request: &MediaRequest,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<MediaFile, ClientError> {
        let (head, body) = response.into_parts();
        let is_part = head.status == StatusCode::PARTIAL_CONTENT && request.range.is_some();
        let is_refusal = head.status == StatusCode::RANGE_NOT_SATISFIABLE;
        if head.status != StatusCode::OK && !is_part && !is_refusal {
            let what = "the media host refused the file";
            return Err(ClientError::new(ErrorKind::HttpStatus, what)
                .with_status(head.status)
                .with_outlook(status_passes(head.status), false));
        }
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        if !is_refusal && file_name::is_surely_not(Media::Any, text(CONTENT_TYPE)) {
            return Err(bad(NOT_A_FILE));
        }
        let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.shared.settings.download_bytes_max) {
            return Err(too_large());
        }
        let kept = MediaFile::HEADERS.into_iter();
        let kept = kept.filter_map(|name| Some((name.clone(), head.headers.get(name)?.clone())));
        Ok(MediaFile {
            status: head.status,
            headers: kept.collect(),
            body,
            client: self.clone(),
            bytes: 0,
            is_beginning: head.status == StatusCode::OK,
            _slot: slot,
        })
    }
}

fn head(url: &Url, wanted: &MediaRequest) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = uri(url)?;
    if wanted.is_head {
        *request.method_mut() = Method::HEAD;
    }
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, AGENT);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in [(RANGE, &wanted.range), (IF_RANGE, &wanted.if_range)] {
        if let Some(value) = value {
            headers.insert(name, value.clone());
        }
    }
    Ok(request)
}
