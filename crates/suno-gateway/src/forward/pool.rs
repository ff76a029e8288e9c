//! The connections to one destination.
//!
//! A connection that is not used for two seconds is closed, because many servers close theirs after
//! a few seconds, and a request must not meet that moment. One that is older than a minute is closed
//! after its request, so that a name that has moved is followed: each new connection looks the name
//! up.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// The largest head of an answer, in bytes, and the largest number of headers in it. As much of a body is
/// buffered by each connection.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 512;

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;
pub(super) type Dialing = Pin<Box<dyn Future<Output = Result<Io, Cause>> + Send>>;
/// Makes a connection: looks the name up, connects, and sets TLS up.
pub(super) type Dial = Box<dyn Fn() -> Dialing + Send + Sync>;

/// The time limits and the number of connections that are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifetimes {
    /// The time after which a connection that is not used is closed.
    pub(super) idle: Duration,
    /// The age after which a connection is not used again.
    pub(super) age: Duration,
    /// The maximum number of connections that are kept.
    pub(super) idle_max: usize,
}

pub(super) struct Pool {
    dial: Dial,
    lifetimes: Lifetimes,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The one that was used last is at the end.
    idle: Vec<Idle>,
    is_swept: bool,
}

struct Idle {
    connection: Connection,
    until: Instant,
}

/// A connection that one request uses.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Full<Bytes>>,
    made: Instant,
    /// True if a request was sent on it before.
    pub(super) is_reused: bool,
}

impl Pool {
    pub(super) fn new(dial: Dial, lifetimes: Lifetimes) -> Arc<Self> {
        Arc::new(Self {
            dial,
            lifetimes,
            kept: Mutex::default(),
        })
    }

    /// Returns a connection that was used before, if there is one that is still good.
    pub(super) fn reuse(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut kept = self.kept();
        kept.sweep(now);
        Some(kept.idle.pop()?.connection)
    }

    /// Makes a connection.
    pub(super) async fn connect(&self) -> Result<Connection, Cause> {
        let io = (self.dial)().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(io)
            .await?;
        // It ends with the server, or when the sender and the body of the last answer are dropped.
        tokio::spawn(async move {
            if let Err(err) = connection.await {
                tracing::debug!(%err, "a connection to a destination ended");
            }
        });
        Ok(Connection {
            sender,
            made: Instant::now(),
            is_reused: false,
        })
    }

    /// Keeps a connection for the next request. `hint` is how long the server says that it keeps it.
    pub(super) fn keep(self: &Arc<Self>, mut connection: Connection, hint: Option<Duration>) {
        let now = Instant::now();
        let Lifetimes {
            idle,
            age,
            idle_max,
        } = self.lifetimes;
        // Half of what the server says, because its time began before ours.
        let idle = hint.map_or(idle, |hint| idle.min(hint / 2));
        let mut kept = self.kept();
        kept.sweep(now);
        let is_old = connection.made + age <= now;
        if is_old || idle.is_zero() || connection.sender.is_closed() || kept.idle.len() >= idle_max
        {
            return;
        }
        connection.is_reused = true;
        kept.idle.push(Idle {
            until: (now + idle).min(connection.made + age),
            connection,
        });
        if !kept.is_swept {
            kept.is_swept = true;
            tokio::spawn(close_idle(Arc::downgrade(self), self.lifetimes.idle));
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn sweep(&mut self, now: Instant) {
        self.idle
            .retain(|idle| idle.until > now && !idle.connection.sender.is_closed());
    }
}

/// Closes connections that were not used in time, until none is left.
async fn close_idle(pool: Weak<Pool>, interval: Duration) {
    loop {
        sleep(interval).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let mut kept = pool.kept();
        kept.sweep(Instant::now());
        if kept.idle.is_empty() {
            kept.is_swept = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Request;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers each request with the number of its listener.
    async fn server(number: usize) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        let answer =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        address
    }

    async fn ask(pool: &Arc<Pool>) -> (String, bool) {
        let mut connection = match pool.reuse() {
            Some(connection) => connection,
            None => pool.connect().await.unwrap(),
        };
        connection.sender.ready().await.unwrap();
        let request = Request::get("/").body(Full::default()).unwrap();
        let answer = connection.sender.send_request(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let is_reused = connection.is_reused;
        connection.sender.ready().await.unwrap();
        pool.keep(connection, None);
        (String::from_utf8(body.to_vec()).unwrap(), is_reused)
    }

    fn pool(
        addresses: Vec<std::net::SocketAddr>,
        lifetimes: Lifetimes,
    ) -> (Arc<Pool>, Arc<AtomicUsize>) {
        let place = Arc::new(AtomicUsize::new(0));
        let dialed = place.clone();
        let dial = move || -> Dialing {
            let address = addresses[dialed.load(Ordering::SeqCst)];
            Box::pin(async move {
                let stream = TcpStream::connect(address).await?;
                Ok(MaybeHttpsStream::Http(TokioIo::new(stream)))
            })
        };
        (Pool::new(Box::new(dial), lifetimes), place)
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_name_that_moves_is_followed_when_connections_are_old() {
        let lifetimes = Lifetimes {
            idle: LONG,
            age: Duration::from_millis(300),
            idle_max: 4,
        };
        let (pool, place) = pool(vec![server(1).await, server(2).await], lifetimes);
        assert_eq!(ask(&pool).await, ("1".to_owned(), false));
        place.store(1, Ordering::SeqCst);
        assert_eq!(
            ask(&pool).await,
            ("1".to_owned(), true),
            "still the old connection"
        );
        let start = Instant::now();
        while ask(&pool).await.0 == "1" {
            assert!(
                start.elapsed() < LONG / 60,
                "the name is never looked up again"
            );
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(ask(&pool).await, ("2".to_owned(), true));
    }

    #[tokio::test]
    async fn a_connection_that_is_not_used_is_closed_and_not_used_again() {
        let lifetimes = Lifetimes {
            idle: Duration::from_millis(50),
            age: LONG,
            idle_max: 4,
        };
        let (pool, _) = pool(vec![server(1).await], lifetimes);
        ask(&pool).await;
        let weak = pool.kept().idle.len();
        sleep(Duration::from_millis(200)).await;
        assert_eq!(
            (weak, pool.kept().idle.len()),
            (1, 0),
            "swept without a request"
        );
        assert!(!pool.kept().is_swept, "the sweeper ends");
        assert!(!ask(&pool).await.1);
    }

    #[tokio::test]
    async fn a_server_that_closes_early_says_so_and_no_more_than_allowed_are_kept() {
        let lifetimes = Lifetimes {
            idle: LONG,
            age: LONG,
            idle_max: 1,
        };
        let (pool, _) = pool(vec![server(1).await], lifetimes);
        let (one, two) = (pool.connect().await.unwrap(), pool.connect().await.unwrap());
        pool.keep(one, Some(Duration::ZERO));
        assert_eq!(pool.kept().idle.len(), 0);
        pool.keep(two, Some(Duration::from_secs(10)));
        let left = pool.kept().idle[0].until - Instant::now();
        assert!(left <= Duration::from_secs(5), "{left:?}");
        let three = pool.connect().await.unwrap();
        pool.keep(three, None);
        assert_eq!(pool.kept().idle.len(), 1);
    }
}
