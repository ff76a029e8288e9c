//! Serves a [`Receiver`] over HTTP/1.1 with hyper, within bounds on what senders can make it hold.
//! It routes nothing and serves nothing else: for that, mount a
//! [`CallbackService`] in a server of yours.

mod connection;
mod connections;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

use connection::{Connection, Served};
use connections::{Connections, Progress};

use crate::receiver::Receiver;
use crate::service::CallbackService;

/// Serves until `stop` resolves, with the defaults of [`Serve`].
pub async fn serve(listener: TcpListener, receiver: Receiver, stop: impl Future<Output = ()>) {
    Serve::new(listener, receiver).run(stop).await;
}

/// How many connections may wait to be accepted. When there are more, the kernel drops what comes, and
/// senders try again only after a second: most systems wait with 128 or 1,024 unless asked.
const BACKLOG: u32 = 4_096;

/// A listener for [`Serve`] that stands thousands of connections at once. The kernel may have a lower
/// bound (`net.core.somaxconn`). To be called on a tokio runtime.
///
/// # Errors
///
/// That of the operating system, if it cannot listen on `addr`.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As TcpListener::bind: elsewhere it would let two processes listen on one port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// A server for a [`Receiver`], and its bounds.
///
/// No sender can hold up the others. A connection whose sender takes too long, for a head, for a
/// body or for taking its answers, is closed. When as many connections are open as may be, or the
/// process has no file handles left, the one whose sender has kept the receiver waiting longest is
/// closed for the new one: an idle one, then, or a slow one, and never one whose callback is being
/// stored.
///
/// ```no_run
/// # async fn run(receiver: suno_callback::Receiver) -> std::io::Result<()> {
/// use std::time::Duration;
///
/// use suno_callback::serve::{Serve, bind};
///
/// let listener = bind(([127, 0, 0, 1], 3000).into())?;
/// Serve::new(listener, receiver)
///     .with_connections_max(200)
///     .with_header_timeout(Duration::from_secs(5))
///     .run(async { tokio::signal::ctrl_c().await.unwrap_or(()) })
///     .await;
/// # Ok(())
/// # }
/// ```
pub struct Serve {
    listener: TcpListener,
    served: Served,
    connections_max: usize,
    stop_grace: Duration,
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("service", &self.served.service)
            .field("connections_max", &self.connections_max)
            .field("header_timeout", &self.served.header_timeout)
            .field("stop_grace", &self.stop_grace)
            .finish_non_exhaustive()
    }
}

impl Serve {
    /// How many connections are open at the same time unless set otherwise.
    pub const CONNECTIONS_MAX: usize = 1_024;
    /// How long a head may take unless set otherwise.
    pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long a body may take unless set otherwise.
    pub const BODY_TIMEOUT: Duration = CallbackService::BODY_TIMEOUT;
    /// How long requests may go on after the stop unless set otherwise.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);
    /// How many bytes a head may have; a longer one is answered 431.
    pub const HEAD_BYTES_MAX: usize = 64 * 1_024;
    /// How long to wait after a connection could not be accepted and none could be closed.
    const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
    /// How often at most the log says that connections cannot be accepted.
    const WARNING_INTERVAL: Duration = Duration::from_secs(10);

    /// A server of `receiver` behind `listener`.
    #[must_use]
    pub fn new(listener: TcpListener, receiver: Receiver) -> Self {
        Self {
            listener,
            served: Served {
                service: CallbackService::new(receiver),
                header_timeout: Self::HEADER_TIMEOUT,
                #[cfg(feature = "tls")]
                tls: None,
            },
            connections_max: Self::CONNECTIONS_MAX,
            stop_grace: Self::STOP_GRACE,
        }
    }

    /// How many connections are open at the same time, at least one. Each may hold a head and a
    /// body in memory.
    #[must_use]
    pub fn with_connections_max(mut self, connections_max: usize) -> Self {
        self.connections_max = connections_max.max(1);
        self
    }

    /// How long a sender may take until its next head is complete, counted from the connection, the
    /// TLS handshake or the answer before it. So it also bounds how long a connection is kept idle,
    /// how long a handshake takes, and how long answers are not taken.
    #[must_use]
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.served.header_timeout = timeout;
        self
    }

    /// How long a body may take, from its head to its end; after that the answer is 408.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.served.service = self.served.service.with_body_timeout(timeout);
        self
    }

    /// How long requests may go on after the stop.
    #[must_use]
    pub fn with_stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// Serves over TLS. Certificates, keys and the crypto provider are those of `config`; its ALPN
    /// protocols are replaced by HTTP/1.1, the only one that is spoken here.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, mut config: tokio_rustls::rustls::ServerConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        self.served.tls = Some(Arc::new(config).into());
        self
    }

    /// Serves until `stop` resolves; then stops accepting, answers what is under way, and returns.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let served = Arc::new(self.served);
        let mut connections = Connections::new(self.connections_max, served.header_timeout);
        let mut warned_at = None;
        tokio::pin!(stop);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stop => break,
                () = connections.tend() => continue,
                accepted = self.listener.accept() => accepted,
            };
            let begin = |stream, progress| {
                let connection = Connection {
                    served: served.clone(),
                    progress,
                };
                connection.run(stream)
            };
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = take(accepted, &mut connections, begin, &mut warned_at) => {}
            }
        }
        drop(self.listener);
        connections.stop();
        if tokio::time::timeout(self.stop_grace, connections.all_ended())
            .await
            .is_err()
        {
            tracing::warn!("requests were cut off at the stop");
        }
    }
}

/// Makes room for a connection and begins it.
async fn take<F>(
    accepted: io::Result<(TcpStream, SocketAddr)>,
    connections: &mut Connections,
    begin: impl FnOnce(TcpStream, Arc<Progress>) -> F,
    warned_at: &mut Option<Instant>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    match accepted {
        Ok((stream, _)) => {
            connections.make_room().await;
            connections.begin(|progress| begin(stream, progress));
        }
        Err(err) if is_of_one_connection(&err) => {
            tracing::debug!(%err, "a connection ended before it was accepted");
        }
        // Most likely for want of file handles.
        Err(err) => {
            if warned_at.is_none_or(|at| at.elapsed() >= Serve::WARNING_INTERVAL) {
                tracing::warn!(%err, "a connection could not be accepted");
                *warned_at = Some(Instant::now());
            }
            connections.close_one(Serve::ACCEPT_PAUSE).await;
        }
    }
}

/// True if it says nothing about the connections that come next.
fn is_of_one_connection(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
