//! The server: connections, size and time limits, and the header that identifies the emulator.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::answer::Answer;
use super::body::AnswerBody;
use super::route::Router;
use super::upload::{self, UploadForm};

/// The maximum size of a request body, but for uploads of files.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The maximum size of a larger body that is read and discarded.
const BODY_BYTES_DRAINED_MAX: usize = 64 * 1024 * 1024;
/// The timeout for receiving the head of a request, and for receiving its body.
const READ_MAX: Duration = Duration::from_secs(10);
/// The pause after accepting a connection failed, for example because of too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The header of every answer, with the version of the emulator.
const EMULATOR_HEADER: &str = "x-suno-emulator";

/// Accepts connections until the emulator stops.
pub(crate) async fn serve(router: Arc<Router>, listener: TcpListener, connections_max: usize) {
    let places = Arc::new(Semaphore::new(connections_max));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve_connection(Arc::clone(&router), stream);
                router.runner.tasks.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(err) => {
                tracing::warn!(%err, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(router: Arc<Router>, stream: TcpStream) {
    // Without this, small answers wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let router = Arc::clone(&router);
        async move { respond(&router, request).await }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(err) = served {
        tracing::debug!(%err, "a connection ended early");
    }
}

/// Answers a request. An error closes the connection without an answer, as some faults require.
async fn respond(
    router: &Router,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, io::Error> {
    let (head, body) = request.into_parts();
    let profile = router.runner.provider().profile();
    let has_several_hosts = head.headers.get_all(HOST).iter().count() > 1;
    // Only a client with the key may send what needs much memory.
    let bytes_max = match UploadForm::at(head.uri.path()) {
        Some(_) if router.has_key(&head.headers) => upload::BODY_BYTES_MAX,
        _ => BODY_BYTES_MAX,
    };
    let answer = match read(body, bytes_max).await {
        // The body is read first: a client that is still sending would not see the answer.
        _ if has_several_hosts => Answer::several_hosts(profile),
        Ok(body) => router.answer(&Request::from_parts(head, body)).await,
        Err(BodyError::TooLarge) => Answer::too_large(profile),
        Err(BodyError::TooSlow) => Answer::too_slow(),
        Err(BodyError::Broken) => Answer::Cut,
    };
    let mut response = match answer {
        Answer::Send(response) => response.map(AnswerBody::whole),
        Answer::Break(response) => response.map(AnswerBody::broken),
        Answer::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    let version = HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
    response.headers_mut().insert(EMULATOR_HEADER, version);
    Ok(response)
}

enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

async fn read(body: Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let read = tokio::time::timeout(READ_MAX, collect(body, bytes_max)).await;
    read.unwrap_or(Err(BodyError::TooSlow))
}

/// Reads a body, also to the end if it is too large: a client that is still sending would not see
/// the answer.
async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut kept = BytesMut::new();
    let mut bytes: usize = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Broken)?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        bytes = bytes.saturating_add(data.len());
        if bytes > BODY_BYTES_DRAINED_MAX {
            break;
        }
        if bytes > bytes_max {
            kept.clear();
        } else {
            kept.extend_from_slice(data);
        }
    }
    if bytes > bytes_max {
        return Err(BodyError::TooLarge);
    }
    Ok(kept.freeze())
}
