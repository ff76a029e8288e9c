//! The only code that uses the network: two pools of connections, bounds and time limits.
//!
//! Requests with the key and downloads never share a connection, because they may connect to
//! different addresses.

mod connect;
mod fault;
mod guard;
mod io;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod tls;

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, timeout_at};

use self::connect::{Connector, Purpose, connector, shared_tls};
use self::fault::ConnectFault;
pub(crate) use self::fault::Fault;
use crate::error::Cause;
use crate::settings::{Settings, Timeouts};
use crate::time::after;

/// The time after which an idle connection is closed, which is before most servers close it.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// The time between pings on an HTTP/2 connection in use, and the time to wait for an answer to
/// one. All requests share the connection, so a dead one that is not noticed would fail them all.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of downloads that run at the same time.
pub(crate) const DOWNLOADS_MAX: usize = 16;

/// The number of uploads that run at the same time.
const UPLOADS_MAX: usize = 4;

/// The body of an upload, which is read while it is sent.
pub(crate) type UploadBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// The future of a connection, or of the addresses for one.
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Cause>> + Send>>;

/// The connections of a client.
pub(crate) struct Transport {
    api: Pool<Connector, Full<Bytes>>,
    uploads: Pool<Connector, UploadBody>,
    media: Pool<Connector, Full<Bytes>>,
    api_slots: Semaphore,
    upload_slots: Semaphore,
    media_slots: Arc<Semaphore>,
    timeouts: Timeouts,
    answer_bytes_max: usize,
    plain_proxy: Option<crate::Proxy>,
}

/// A complete answer.
pub(crate) struct RawResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The time at which its head arrived.
    pub(crate) received_at: SystemTime,
}

/// The current time, to compare with dates in headers. Everything else uses tokio's clock.
#[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Self {
        let tls = shared_tls(settings);
        let pool = |connections| {
            Pool::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_MAX)
                .pool_max_idle_per_host(connections)
                .http2_keep_alive_interval(PING_INTERVAL)
                .http2_keep_alive_timeout(PING_TIMEOUT)
                .clone()
        };
        let api = || connector(settings, Purpose::Api, &tls);
        let connections = settings.connections_max.get().min(Semaphore::MAX_PERMITS);
        Self {
            api: pool(connections).build(api()),
            uploads: pool(UPLOADS_MAX).build(api()),
            media: pool(DOWNLOADS_MAX).build(connector(settings, Purpose::Media, &tls)),
            api_slots: Semaphore::new(connections),
            upload_slots: Semaphore::new(UPLOADS_MAX),
            media_slots: Arc::new(Semaphore::new(DOWNLOADS_MAX)),
            timeouts: settings.timeouts,
            answer_bytes_max: settings.answer_bytes_max,
            plain_proxy: settings.proxy.clone(),
        }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<RawResponse, Fault> {
        // The semaphore is never closed. If it were, the bound would be missing, nothing else.
        let _slot = self.api_slots.acquire().await.ok();
        let now = Instant::now();
        let total = after(now, self.timeouts.total);
        let head = total.min(after(now, self.timeouts.headers));
        let response = self.head(&self.api, request, head).await?;
        self.read(response, total).await
    }

    /// Sends a file and reads the whole answer, whose head arrives after the file was read.
    pub(crate) async fn upload(&self, request: Request<UploadBody>) -> Result<RawResponse, Fault> {
        let _slot = self.upload_slots.acquire().await.ok();
        let total = after(Instant::now(), self.timeouts.upload);
        let response = self.head(&self.uploads, request, total).await?;
        self.read(response, total).await
    }

    /// Reads the rest of an answer until `total` at the latest.
    async fn read(
        &self,
        response: Response<Incoming>,
        total: Instant,
    ) -> Result<RawResponse, Fault> {
        let (head, body) = response.into_parts();
        let received_at = wall_clock();
        let body = timeout_at(total, collect(body, self.answer_bytes_max));
        Ok(RawResponse {
            status: head.status,
            headers: head.headers,
            received_at,
            body: body
                .await
                .unwrap_or(Err(Fault::TimedOut("the answer did not end in time")))?,
        })
    }

    /// Waits for a turn to download. The caller holds it until it has read the body.
    pub(crate) async fn media_slot(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.media_slots.acquire().await.ok()
    }

    /// As [`media_slot`](Self::media_slot), for a body that is read later.
    pub(crate) async fn owned_media_slot(&self) -> Option<OwnedSemaphorePermit> {
        self.media_slots.clone().acquire_owned().await.ok()
    }

    /// Sends a request for a download and returns the answer before its body.
    pub(crate) async fn fetch(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Fault> {
        let now = Instant::now();
        let until = after(now, self.timeouts.download).min(after(now, self.timeouts.headers));
        self.head(&self.media, request, until).await
    }

    /// Sends a request and waits for the head of its answer.
    async fn head<B>(
        &self,
        pool: &Pool<Connector, B>,
        mut request: Request<B>,
        until: Instant,
    ) -> Result<Response<Incoming>, Fault>
    where
        B: Body<Data: Send, Error: Into<Cause>> + Send + Unpin + 'static,
    {
        let is_plain = request.uri().scheme_str() == Some("http");
        let proxy = self.plain_proxy.as_ref().filter(|_| is_plain);
        if let Some(value) = proxy.and_then(crate::Proxy::authorization) {
            let name = http::header::PROXY_AUTHORIZATION;
            request.headers_mut().insert(name, value.clone());
        }
        // Whether a request was sent matters only if it is not safe to repeat.
        let is_safe = request.method().is_safe();
        let connection = (!is_safe).then(|| capture_connection(&mut request));
        if let Ok(sent) = timeout_at(until, pool.request(request)).await {
            return sent.map_err(Fault::from_pool);
        }
        match connection {
            // The request was never given to a connection, and never will be.
            Some(connection) if connection.connection_metadata().is_none() => {
                Err(Fault::Connect(ConnectFault::TimedOut.into()))
            }
            _ => Err(Fault::TimedOut("no answer began in time")),
        }
    }
}

/// Reads a body of at most `bytes_max` bytes.
async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Fault> {
    // Most answers arrive in one piece, which is not copied.
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|err| Fault::Broken(err.into()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > bytes_max - first.len().max(whole.len()) {
            return Err(Fault::TooLarge);
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() {
        first
    } else {
        whole.freeze()
    })
}
