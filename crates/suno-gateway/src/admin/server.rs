//! The connections of the service, within bounds on their number and on the time of a head.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// The maximum number of open connections. Others wait to be accepted.
const CONNECTIONS_MAX: usize = 128;
/// The time limit for a head, from the end of the last answer. So it is also the time for which an
/// idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum number of bytes of a head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The time limit for requests under way after a stop.
pub(super) const STOP_GRACE: Duration = Duration::from_secs(5);
/// The pause after a connection could not be accepted, such as for lack of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` resolves. Then `stopping` is told, and requests under way may end.
pub(super) async fn serve<A>(
    listener: TcpListener,
    answer: Arc<dyn Fn(Request<Incoming>) -> A + Send + Sync>,
    stopping: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) where
    A: Future<Output = Response> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepting = async {
            // It is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = accepting => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(stream, answer.clone(), stopping.subscribe());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(err) => pause(&err).await,
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_GRACE, all_ended).await.is_err() {
        tracing::warn!("requests to the admin address were cut off at the stop");
    }
}

async fn pause(err: &io::Error) {
    tracing::debug!(%err, "a connection to the admin address could not be accepted");
    sleep(ACCEPT_PAUSE).await;
}

async fn connection<A>(
    stream: TcpStream,
    answer: Arc<dyn Fn(Request<Incoming>) -> A + Send + Sync>,
    mut stopping: watch::Receiver<bool>,
) where
    A: Future<Output = Response> + Send + 'static,
{
    // Events of a stream are small, and should leave at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = async { drop(stopping.wait_for(|is_stopping| *is_stopping).await) } => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(err) = ended {
        tracing::debug!(%err, "a connection to the admin address ended");
    }
}
