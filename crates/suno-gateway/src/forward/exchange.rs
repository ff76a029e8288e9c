//! One request and its answer, within one deadline.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::pool::{Connection, Pool};
use crate::attempt::KeptText;
use crate::destination::Failure;

/// The maximum number of bytes of an answer's body that are read.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The number of bytes of it that are kept: what is stored, and room for what redaction removes.
const KEPT_BYTES: usize = 4 * KeptText::BYTES_MAX;
/// The maximum time for the body, after the head has decided what the answer means.
const BODY_TIME_MAX: Duration = Duration::from_secs(2);

/// An answer, with the beginning of its body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// True if the body was longer, or did not end in time.
    pub(super) is_cut: bool,
}

/// The reason why no answer was received, with details for people.
#[derive(Debug)]
pub(super) struct NoAnswer {
    pub(super) failure: Failure,
    pub(super) detail: String,
}

/// The end of an exchange.
pub(super) struct Exchange {
    pub(super) result: Result<Answer, NoAnswer>,
    /// True if the request was sent a second time.
    pub(super) is_resent: bool,
}

/// Sends a request and reads the answer until `deadline` at the latest.
///
/// A server may close a connection while the next request is on its way. If that happens on a
/// connection that was used before, the request is sent once more at once, on a new one. The consumer
/// may have got it twice then, which the id of the event makes safe.
pub(super) async fn exchange(
    pool: &Arc<Pool>,
    request: &Request<Full<Bytes>>,
    deadline: Instant,
) -> Exchange {
    let mut is_resent = false;
    let result = loop {
        // The second time, a new connection is used, so that the request is never sent a third time.
        let reused = match pool.reuse() {
            Some(connection) if !is_resent => ready(connection, deadline).await,
            _ => None,
        };
        let mut connection = match reused {
            Some(connection) => connection,
            None => match connect(pool, deadline).await {
                Ok(connection) => connection,
                Err(no_answer) => break Err(no_answer),
            },
        };
        let sending = connection.sender.send_request(request.clone());
        match timeout_at(deadline, sending).await {
            Ok(Ok(response)) => break Ok(read(pool, connection, response, deadline).await),
            Ok(Err(err)) if connection.is_reused && is_closed(&err) => is_resent = true,
            Ok(Err(err)) => break Err(NoAnswer::from_hyper(&err)),
            Err(_) => break Err(NoAnswer::timed_out("no answer began in time")),
        }
    };
    Exchange { result, is_resent }
}

/// Waits until a connection that was used before takes a request; `None` if it is closed.
async fn ready(mut connection: Connection, deadline: Instant) -> Option<Connection> {
    let ready = timeout_at(deadline, connection.sender.ready()).await;
    matches!(ready, Ok(Ok(()))).then_some(connection)
}

pub(super) async fn connect(pool: &Pool, deadline: Instant) -> Result<Connection, NoAnswer> {
    match timeout_at(deadline, pool.connect()).await {
        Ok(connected) => connected.map_err(|cause| NoAnswer::from_connect(&*cause)),
        Err(_) => Err(NoAnswer::timed_out("no connection was made in time")),
    }
}

/// Reads the beginning of the body, and keeps the connection if the body ended.
async fn read(
    pool: &Arc<Pool>,
    connection: Connection,
    response: http::Response<Incoming>,
    deadline: Instant,
) -> Answer {
    let (head, body) = response.into_parts();
    let until = deadline.min(Instant::now() + BODY_TIME_MAX);
    let mut beginning = Beginning::default();
    let has_ended = timeout_at(until, beginning.fill(body)).await;
    let has_ended = has_ended.unwrap_or(false);
    if has_ended {
        pool.keep(connection, keep_alive_hint(&head.headers));
    }
    Answer {
        status: head.status,
        headers: head.headers,
        is_cut: !has_ended || beginning.read > beginning.kept.len(),
        body: beginning.kept,
    }
}

/// The beginning of a body.
#[derive(Default)]
struct Beginning {
    kept: Vec<u8>,
    /// The number of bytes that were read.
    read: usize,
}

impl Beginning {
    /// Returns whether the body ended within its bound.
    async fn fill(&mut self, mut body: Incoming) -> bool {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return false;
            };
            let Some(data) = frame.data_ref() else {
                continue;
            };
            let room = KEPT_BYTES - self.kept.len();
            self.kept.extend_from_slice(&data[..data.len().min(room)]);
            self.read = self.read.saturating_add(data.len());
            if self.read > BODY_BYTES_MAX {
                return false;
            }
        }
        true
    }
}

/// The `timeout` of the header `Keep-Alive`.
fn keep_alive_hint(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|part| {
        let (name, seconds) = part.split_once('=')?;
        let is_timeout = name.trim().eq_ignore_ascii_case("timeout");
        seconds.trim().parse().ok().filter(|_| is_timeout)
    })?;
    Some(Duration::from_secs(seconds))
}

/// Returns whether the server closed the connection before it answered.
fn is_closed(err: &hyper::Error) -> bool {
    let is_reset = |err: &io::Error| {
        matches!(
            err.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected
                | io::ErrorKind::UnexpectedEof
        )
    };
    err.is_incomplete_message()
        || err.is_canceled()
        || err.is_closed()
        || chain(err).any(|err| err.downcast_ref().is_some_and(is_reset))
}

impl NoAnswer {
    fn timed_out(detail: &str) -> Self {
        Self {
            failure: Failure::TimedOut,
            detail: detail.to_owned(),
        }
    }

    fn from_connect(cause: &(dyn Error + 'static)) -> Self {
        let tls = chain(cause).find_map(|err| err.downcast_ref::<rustls::Error>());
        let failure = match tls {
            Some(_) => Failure::Tls,
            None => Failure::Connect,
        };
        // The last cause is the one to show, such as "Connection refused".
        let last = chain(cause).last().map(ToString::to_string);
        Self {
            failure,
            detail: last.unwrap_or_default(),
        }
    }

    fn from_hyper(err: &hyper::Error) -> Self {
        let failure = match err {
            err if err.is_parse() => Failure::Malformed,
            _ => Failure::Closed,
        };
        Self {
            failure,
            detail: err.to_string(),
        }
    }
}

/// The error and its causes. `Error::source` skips the error that an `io::Error` wraps, so that one
/// is added.
fn chain<'a>(err: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(err), |err| {
        let err: &'a (dyn Error + 'static) = *err;
        match err.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => err.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_of_a_server_is_read() {
        for (value, expected) in [
            ("timeout=5", Some(5)),
            ("max=100, Timeout = 72", Some(72)),
            ("max=100", None),
            ("timeout=", None),
            ("timeout=-1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("keep-alive", value.parse().unwrap());
            let hint = keep_alive_hint(&headers).map(|hint| hint.as_secs());
            assert_eq!(hint, expected, "{value}");
        }
    }
}
