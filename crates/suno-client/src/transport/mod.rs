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
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;
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

/// The future of a connection, or of the addresses for one.
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Cause>> + Send>>;

/// The connections of a client.
pub(crate) struct Transport {
    api: Pool<Connector, Full<Bytes>>,
    media: Pool<Connector, Full<Bytes>>,
    api_slots: Semaphore,
    media_slots: Semaphore,
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
        let pool = |purpose, connections| {
            Pool::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_MAX)
                .pool_max_idle_per_host(connections)
                .http2_keep_alive_interval(PING_INTERVAL)
                .http2_keep_alive_timeout(PING_TIMEOUT)
                .build(connector(settings, purpose, &tls))
        };
        let connections = settings.connections_max.get().min(Semaphore::MAX_PERMITS);
        Self {
            api: pool(Purpose::Api, connections),
            media: pool(Purpose::Media, DOWNLOADS_MAX),
            api_slots: Semaphore::new(connections),
            media_slots: Semaphore::new(DOWNLOADS_MAX),
            timeouts: settings.timeouts,
            answer_bytes_max: settings.answer_bytes_max,
            plain_proxy: settings.proxy.clone(),
        }
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<RawResponse, Fault> {
        // The semaphore is never closed. If it were, the bound would be missing, nothing else.
        let _slot = self.api_slots.acquire().await.ok();
        let total = after(Instant::now(), self.timeouts.total);
        let (head, body) = self.head(&self.api, request, total).await?.into_parts();
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

    /// Sends a request for a download and returns the answer before its body.
    pub(crate) async fn fetch(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Fault> {
        let total = after(Instant::now(), self.timeouts.download);
        self.head(&self.media, request, total).await
    }

    async fn head(
        &self,
        pool: &Pool<Connector, Full<Bytes>>,
        mut request: Request<Full<Bytes>>,
        total: Instant,
    ) -> Result<Response<Incoming>, Fault> {
        let is_plain = request.uri().scheme_str() == Some("http");
        let proxy = self.plain_proxy.as_ref().filter(|_| is_plain);
        if let Some(value) = proxy.and_then(crate::Proxy::authorization) {
            let name = http::header::PROXY_AUTHORIZATION;
            request.headers_mut().insert(name, value.clone());
        }
        // Whether a request was sent matters only if it is not safe to repeat.
        let is_safe = request.method().is_safe();
        let connection = (!is_safe).then(|| capture_connection(&mut request));
        let until = total.min(after(Instant::now(), self.timeouts.headers));
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
