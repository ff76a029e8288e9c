//! The sender of callbacks over HTTP.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;

use crate::background::BackgroundTasks;
use crate::sender::sign::{SIGNATURE_HEADER, TIMESTAMP_HEADER};
#[cfg(feature = "tls")]
use crate::sender::tls::Tls;
use crate::task::attempt::{AttemptInFlight, AttemptOutcome};

mod host;
mod pool;
pub(crate) mod sign;
#[cfg(feature = "tls")]
pub(crate) mod tls;

/// The maximum size of an answer that is read to reuse its connection.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The maximum size of an answer that is kept.
const ANSWER_BYTES_KEPT_MAX: usize = 4 * 1024;
/// An HTTP client for callbacks.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    client: Client<HttpConnector, Full<Bytes>>,
    #[cfg(feature = "tls")]
    tls: Tls,
    user_agent: HeaderValue,
    answer_timeout: Duration,
    delivers_outside: bool,
}

impl Sender {
    pub(crate) fn new(
        tasks: BackgroundTasks,
        #[cfg(feature = "tls")] tls: Tls,
        user_agent: HeaderValue,
        answer_timeout: Duration,
        delivers_outside: bool,
    ) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: pool::client_builder(tasks).build(connector),
            #[cfg(feature = "tls")]
            tls,
            user_agent,
            answer_timeout,
            delivers_outside,
        }
    }

    /// Makes one attempt, which takes at most the answer timeout.
    pub(crate) async fn send(&self, attempt: &AttemptInFlight) -> (AttemptOutcome, Bytes) {
        if !self.delivers_outside && host::is_outside(&attempt.url) {
            return (AttemptOutcome::Withheld, Bytes::new());
        }
        match tokio::time::timeout(self.answer_timeout, self.exchange(attempt)).await {
            Ok(Ok((status, answer))) => (AttemptOutcome::Answered { status }, answer),
            Ok(Err(reason)) => (AttemptOutcome::Failed { reason }, Bytes::new()),
            Err(_) => (AttemptOutcome::TimedOut, Bytes::new()),
        }
    }

    async fn exchange(&self, attempt: &AttemptInFlight) -> Result<(u16, Bytes), String> {
        let uri = uri(&attempt.url).ok_or("the URL is not valid")?;
        let request = self.request(attempt, uri);
        let sent = match request.uri().scheme_str() {
            Some("http") => self.client.request(request),
            #[cfg(feature = "tls")]
            Some("https") => self.tls.client()?.request(request),
            #[cfg(not(feature = "tls"))]
            Some("https") => return Err("this emulator was built without TLS".to_owned()),
            _ => return Err("the URL does not begin with http:// or https://".to_owned()),
        };
        let answer = sent.await.map_err(|err| innermost(&err))?;
        let status = answer.status().as_u16();
        Ok((status, beginning(answer.into_body()).await))
    }

    fn request(&self, attempt: &AttemptInFlight, uri: Uri) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(attempt.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, self.user_agent.clone());
        let mut put = |name: &'static str, text: &Option<String>| {
            // Digits and base64 always fit into a header.
            if let Some(Ok(value)) = text.as_deref().map(HeaderValue::from_str) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put(TIMESTAMP_HEADER, &attempt.timestamp);
        put(SIGNATURE_HEADER, &attempt.signature);
        request
    }
}

/// Returns the beginning of a body. More is read than is returned, since a connection can be reused
/// only after the whole body.
async fn beginning(mut body: Incoming) -> Bytes {
    let (mut kept, mut read) = (BytesMut::new(), 0);
    while read <= ANSWER_BYTES_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        let data = frame.into_data().unwrap_or_default();
        let room = ANSWER_BYTES_KEPT_MAX - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        read = read.saturating_add(data.len());
    }
    kept.freeze()
}

/// Parses a URL as browsers do: spaces and non-ASCII letters are escaped.
fn uri(url: &str) -> Option<Uri> {
    url::Url::parse(url).ok()?.as_str().parse().ok()
}

/// Returns the most specific cause: the last one of the chain.
fn innermost(err: &(dyn Error + 'static)) -> String {
    let mut cause = err;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
