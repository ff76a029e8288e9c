//! One attempt at a download: the request, the redirects, and the checks of the answer.

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tokio::time::timeout;
use url::Url;

use super::file_name::{self, Media};
use super::part::Part;
use super::{Callback, DownloadProgress};
use crate::answer::{retry_after, status_passes};
use crate::client::Shared;
use crate::endpoint::uri;
use crate::request::AGENT;
use crate::settings::Settings;
use crate::transport::{Fault, Transport, wall_clock};
use crate::{Client, ClientError, ErrorKind};

const NOT_A_FILE: &str = "the media host sent a page or a message instead of the file";

/// A download under way.
pub(super) struct Fetch<'a> {
    pub(super) settings: &'a Settings,
    pub(super) part: Part,
    transport: &'a Transport,
    url: Url,
    media: Media,
    on_progress: Option<Callback>,
    /// The headers that came with the beginning of the file. The rest may come without them.
    content_type: Option<String>,
    version: Option<HeaderValue>,
    total: Option<u64>,
}

/// The properties of a complete file.
pub(super) struct Whole {
    pub(super) extension: &'static str,
    pub(super) is_size_checked: bool,
}

impl<'a> Fetch<'a> {
    /// Creates a download that has sent no request yet.
    pub(super) fn new(
        shared: &'a Shared,
        url: Url,
        media: Media,
        part: Part,
        on_progress: Option<Callback>,
    ) -> Self {
        Self {
            settings: &shared.settings,
            part,
            transport: shared.transport(),
            url,
            media,
            on_progress,
            content_type: None,
            version: None,
            total: None,
        }
    }

    /// Returns whether some bytes were received and the version of their file is known, so that the
    /// rest can be requested.
    pub(super) fn can_resume(&self) -> bool {
        self.part.bytes() > 0 && self.version.is_some()
    }

    /// Requests the missing bytes and writes them to the file.
    pub(super) async fn attempt(&mut self) -> Result<Whole, ClientError> {
        let (url, response) = self.response().await?;
        match response.status() {
            StatusCode::OK => self.begin(&response).await?,
            StatusCode::PARTIAL_CONTENT => self.go_on(response.headers()).await?,
            status => return Err(self.refused(status, response.headers()).await?),
        }
        if file_name::is_surely_not(self.media, self.content_type.as_deref()) {
            return Err(bad(NOT_A_FILE));
        }
        self.pour(response.into_body()).await?;
        if self.part.bytes() == 0 {
            return Err(bad("the file is empty; its URL has probably expired"));
        }
        if self.total.is_some_and(|total| total != self.part.bytes()) {
            self.forget().await?;
            return Err(bad("the size of the file differs from the announced size")
                .with_outlook(true, false));
        }
        Ok(Whole {
            extension: file_name::extension(self.media, self.content_type.as_deref(), &url),
            is_size_checked: self.total.is_some(),
        })
    }

    /// The answer of the last host in a chain of redirects.
    async fn response(&mut self) -> Result<(Url, Response<Incoming>), ClientError> {
        if !self.can_resume() && self.part.bytes() > 0 {
            self.part.start_again().await?;
        }
        let mut url = self.url.clone();
        for _ in 0..=Client::REDIRECTS_MAX {
            let response = self.transport.fetch(self.request(&url)?).await;
            let response = response.map_err(|fault| fault.into_error(false))?;
            match redirect(&url, &response)? {
                Some(next) => url = next,
                None => return Ok((url, response)),
            }
        }
        Err(ClientError::new(
            ErrorKind::HttpStatus,
            "the download is redirected too often",
        ))
    }

    fn request(&self, url: &Url) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = uri(url)?;
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, AGENT);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let (Some(version), true) = (&self.version, self.can_resume()) {
            let range = HeaderValue::try_from(format!("bytes={}-", self.part.bytes()));
            let range = range.map_err(|_| ClientError::setting("no range can be requested"))?;
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, version.clone());
        }
        Ok(request)
    }

    /// Starts the file, or starts it again because it has changed on the host.
    async fn begin(&mut self, response: &Response<Incoming>) -> Result<(), ClientError> {
        if self.part.bytes() > 0 {
            self.part.start_again().await?;
        }
        let encoding = text(response.headers(), &CONTENT_ENCODING).unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            return Err(bad(
                "the media host sent an encoded file that was not requested",
            ));
        }
        self.content_type = text(response.headers(), &CONTENT_TYPE).map(str::to_owned);
        self.version = version(response.headers());
        self.total = response.body().size_hint().exact();
        self.check_size(self.total.unwrap_or(0))
    }

    /// Continues the file, if the answer has the requested range.
    async fn go_on(&mut self, headers: &HeaderMap) -> Result<(), ClientError> {
        let range = text(headers, &CONTENT_RANGE).and_then(content_range);
        // Some hosts ignore If-Range and send the rest of another version.
        let is_same = version(headers).is_none_or(|sent| self.version.as_ref() == Some(&sent));
        let fits = is_same
            && self.can_resume()
            && range.is_some_and(|(start, total)| {
                start == self.part.bytes() && self.total.is_none_or(|known| known == total)
            });
        if let (true, Some((_, total))) = (fits, range) {
            self.total = Some(total);
            return self.check_size(total);
        }
        self.forget().await?;
        Err(
            bad("the media host sent a part of the file that was not requested")
                .with_outlook(true, false),
        )
    }

    async fn refused(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<ClientError, ClientError> {
        let range_is_wrong = status == StatusCode::RANGE_NOT_SATISFIABLE && self.can_resume();
        if range_is_wrong {
            self.forget().await?;
        }
        let what = "the media host refused the download";
        Ok(ClientError::new(ErrorKind::HttpStatus, what)
            .with_status(status)
            .with_retry_after(retry_after(headers, wall_clock()))
            .with_outlook(range_is_wrong || status_passes(status), false))
    }

    /// Discards the bytes, so that the next attempt starts from the beginning.
    async fn forget(&mut self) -> Result<(), ClientError> {
        self.version = None;
        self.total = None;
        self.part.start_again().await
    }

    async fn pour(&mut self, mut body: Incoming) -> Result<(), ClientError> {
        loop {
            let frame = match timeout(self.settings.timeouts.stall, body.frame()).await {
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => frame.map_err(|err| Fault::Broken(err.into())),
                Err(_) => Err(Fault::TimedOut("the download stalled")),
            };
            let frame = frame.map_err(|fault| fault.into_error(false))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if self.part.bytes() == 0 && file_name::begins_like_text(&data) {
                return Err(bad(NOT_A_FILE));
            }
            self.check_size(self.part.bytes().saturating_add(data.len() as u64))?;
            self.part.append(&data).await?;
            if let Some(report) = &mut self.on_progress {
                report(DownloadProgress {
                    bytes: self.part.bytes(),
                    bytes_total: self.total,
                });
            }
        }
    }

    fn check_size(&self, bytes: u64) -> Result<(), ClientError> {
        if bytes > self.settings.download_bytes_max {
            let what = "the file is larger than allowed";
            return Err(ClientError::new(ErrorKind::TooLarge, what));
        }
        Ok(())
    }
}

/// The target of a redirect, if the answer is one. Whether its address is allowed is checked when
/// the connection is made.
pub(super) fn redirect(
    url: &Url,
    response: &Response<Incoming>,
) -> Result<Option<Url>, ClientError> {
    let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    if !is_redirect {
        return Ok(None);
    }
    let to = text(response.headers(), &LOCATION).and_then(|to| url.join(to).ok());
    match to {
        Some(to) if matches!(to.scheme(), "http" | "https") => Ok(Some(to)),
        _ => Err(ClientError::new(
            ErrorKind::ForbiddenAddress,
            "the download is redirected to a URL that is not http or https",
        )
        .with_status(response.status())),
    }
}

/// The value with which `If-Range` can identify this version of the file.
fn version(headers: &HeaderMap) -> Option<HeaderValue> {
    let strong = headers
        .get(ETAG)
        .filter(|tag| tag.as_bytes().starts_with(b"\""));
    strong.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

/// Start and total of `bytes 5-9/10`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (start.parse().ok()?, end.parse::<u64>().ok()?);
    let total = total.parse().ok()?;
    (start <= end && end.checked_add(1)? == total).then_some((start, total))
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn bad(what: &'static str) -> ClientError {
    ClientError::new(ErrorKind::BadFile, what)
}
