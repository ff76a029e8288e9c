//! One connection: the TLS handshake if there is one, then HTTP until either side closes it.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Serve;
use super::connections::{Phase, Progress};
use crate::service::{Admitted, CallbackService, Refused};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// What a request may take to arrive.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(2);
const HEAD_TOO_LARGE: StatusCode = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;

/// The settings and counters that all connections share.
pub(super) struct Served {
    pub(super) service: CallbackService,
    pub(super) header_timeout: Duration,
    /// See [`keep_alive`].
    pub(super) keep_alive: Option<HeaderValue>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
}

/// The data that a connection needs besides its stream. There may be many connections, most of them
/// idle, so it is small.
pub(super) struct Connection {
    pub(super) served: Arc<Served>,
    pub(super) progress: Arc<Progress>,
}

impl Connection {
    /// Serves the connection until either side closes it.
    pub(super) fn run(self, stream: TcpStream) -> impl Future<Output = ()> {
        // Responses are small: waiting to fill a packet would only delay them.
        let _ = stream.set_nodelay(true);
        self.talk(stream)
    }

    #[cfg(not(feature = "tls"))]
    fn talk(self, stream: TcpStream) -> impl Future<Output = ()> {
        self.talk_http(stream)
    }

    #[cfg(feature = "tls")]
    async fn talk(self, stream: TcpStream) {
        match self.served.tls {
            None => self.talk_http(stream).await,
            // Boxed, so that a connection without TLS does not reserve space for it.
            Some(_) => Box::pin(self.talk_tls(stream)).await,
        }
    }

    #[cfg(feature = "tls")]
    async fn talk_tls(self, stream: TcpStream) {
        let Some(acceptor) = &self.served.tls else {
            return;
        };
        let handshake = tokio::select! {
            biased;
            handshake = acceptor.accept(stream) => handshake,
            // The sender has not sent a request yet.
            () = self.progress.stopping() => return,
        };
        match handshake {
            Ok(stream) => {
                self.progress.set(Phase::Head(Instant::now()));
                self.talk_http(stream).await;
            }
            Err(err) => tracing::debug!(%err, "the TLS handshake failed"),
        }
    }

    fn talk_http(self, stream: impl AsyncRead + AsyncWrite + Unpin) -> impl Future<Output = ()> {
        let Self { served, progress } = self;
        let (stop, refusing) = (progress.clone(), served.clone());
        // Boxed, so that an idle connection does not reserve the space of a response. The head is
        // checked first, so that the box is small. Idle connections have large buffers with few
        // touched pages, and a response uses memory between them: a large one touches more pages.
        let service = service_fn(move |request| {
            progress.set(Phase::Body(Instant::now()));
            let admitted = match head_bytes(&request) > Serve::HEAD_BYTES_MAX {
                true => Err(served.service.refuse(HEAD_TOO_LARGE)),
                false => served.service.admit(request),
            };
            Box::pin(answer(served.clone(), progress.clone(), admitted))
        });
        let mut connection = http1::Builder::new()
            // `Progress` limits the time for the head, and more.
            .header_read_timeout(None)
            .max_buf_size(Serve::HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        poll_fn(move |cx| {
            if stop.is_stopping(cx) {
                Pin::new(&mut connection).graceful_shutdown();
            }
            Pin::new(&mut connection).poll(cx).map(|result| {
                if let Err(err) = result {
                    // The server itself has answered, or could not even do that.
                    if err.is_parse() {
                        let is_large = err.is_parse_too_large();
                        let status = if is_large {
                            HEAD_TOO_LARGE
                        } else {
                            StatusCode::BAD_REQUEST
                        };
                        drop(refusing.service.refuse(status));
                    }
                    tracing::debug!(%err, "connection ended");
                }
            })
        })
    }
}

/// Says for how long a sender may use the connection again: shorter than it is kept, so that no request
/// meets a connection that is just being closed. `None` if it is kept for hardly longer.
pub(super) fn keep_alive(header_timeout: Duration) -> Option<HeaderValue> {
    let promised = header_timeout.checked_sub(KEEP_ALIVE_MARGIN)?.as_secs();
    let promised = (promised > 0).then(|| format!("timeout={promised}"))?;
    HeaderValue::from_str(&promised).ok()
}

/// Returns the size of a request's head in bytes, as it is usually written. The server's own limit
/// applies to its buffer: it lets a longer head pass if the head arrives at once.
fn head_bytes<B>(request: &Request<B>) -> usize {
    // Spaces, line ends and the version.
    const LINE: usize = " ".len() + " HTTP/1.1\r\n".len() + "\r\n".len();
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    request.method().as_str().len() + target + LINE + headers.sum::<usize>()
}

async fn answer(
    served: Arc<Served>,
    progress: Arc<Progress>,
    admitted: Result<Admitted<Incoming>, Refused>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut answer = match served.service.read(admitted).await {
        Ok(request) => {
            progress.set(Phase::Answer);
            served.service.receive(request).await
        }
        Err(refused) => *refused,
    };
    progress.set(Phase::Head(Instant::now()));
    if let Some(keep_alive) = &served.keep_alive {
        answer.headers_mut().insert(KEEP_ALIVE, keep_alive.clone());
    }
    Ok(answer)
}
