//! Serves a [`Receiver`] over HTTP/1.1 with hyper, with limits on the resources that senders can
//! use. It serves nothing else and has no routes: for those, mount a [`CallbackService`] in your
//! own server.

#[cfg(feature = "tls")]
mod certificate;
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

#[cfg(feature = "tls")]
pub use certificate::{CertificateFiles, InvalidCertificate, certificate_not_after};
use connection::{Connection, Served, keep_alive};
use connections::{Connections, Progress};

use crate::receiver::Receiver;
use crate::service::CallbackService;

/// Serves until `stop` resolves, with the defaults of [`Serve`].
pub async fn serve(listener: TcpListener, receiver: Receiver, stop: impl Future<Output = ()>) {
    Serve::new(listener, receiver).run(stop).await;
}

/// The maximum number of connections that wait to be accepted. Beyond that, the kernel drops new
/// connections, and senders retry only after a second. The default of most systems is 128 or 1,024.
const BACKLOG: u32 = 4_096;

/// Creates a listener for [`Serve`] that can queue thousands of connections. The kernel may have a
/// lower limit (`net.core.somaxconn`). Must be called on a tokio runtime.
///
/// # Errors
///
/// Returns the operating system's error if it cannot listen on `addr`.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // As in TcpListener::bind: on other systems this option would let two processes listen on one
    // port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// A server for a [`Receiver`], with its limits.
///
/// No sender can block the others. A connection is closed if its sender takes too long to send a
/// head or a body, or to read its responses. If the maximum number of connections is open, or the
/// process has no file handles left, a new connection replaces the one whose sender has kept the
/// receiver waiting longest: an idle or a slow one, but never one whose callback is being stored.
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
    /// The default maximum number of open connections.
    pub const CONNECTIONS_MAX: usize = 1_024;
    /// The default time limit for a head.
    pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
    /// The default time limit for a body.
    pub const BODY_TIMEOUT: Duration = CallbackService::BODY_TIMEOUT;
    /// The default time limit for requests in progress after a stop.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);
    /// The maximum size of a head, in bytes; a longer one is answered with 431.
    pub const HEAD_BYTES_MAX: usize = 64 * 1_024;
    /// The wait after a connection could not be accepted and none could be closed.
    const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
    /// The minimum interval between log lines about connections that cannot be accepted.
    const WARNING_INTERVAL: Duration = Duration::from_secs(10);

    /// Creates a server that passes the requests on `listener` to `receiver`.
    #[must_use]
    pub fn new(listener: TcpListener, receiver: Receiver) -> Self {
        Self {
            listener,
            served: Served {
                service: CallbackService::new(receiver),
                header_timeout: Self::HEADER_TIMEOUT,
                keep_alive: keep_alive(Self::HEADER_TIMEOUT),
                #[cfg(feature = "tls")]
                tls: None,
            },
            connections_max: Self::CONNECTIONS_MAX,
            stop_grace: Self::STOP_GRACE,
        }
    }

    /// Sets the maximum number of open connections, at least one. Each may hold a head and a body
    /// in memory.
    #[must_use]
    pub fn with_connections_max(mut self, connections_max: usize) -> Self {
        self.connections_max = connections_max.max(1);
        self
    }

    /// Sets the time within which a sender must complete its next head, counted from the
    /// connection, the TLS handshake or the previous response. So it also limits how long an idle
    /// connection is kept, how long a handshake takes, and how long responses remain unread. Answers
    /// tell the sender by `Keep-Alive: timeout` to use a connection again only until 2 s before.
    #[must_use]
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.served.header_timeout = timeout;
        self.served.keep_alive = keep_alive(timeout);
        self
    }

    /// Sets the time limit for a body, from the end of its head to its last byte. After that the
    /// response is 408.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.served.service = self.served.service.with_body_timeout(timeout);
        self
    }

    /// Sets the time limit for requests in progress after a stop.
    #[must_use]
    pub fn with_stop_grace(mut self, grace: Duration) -> Self {
        self.stop_grace = grace;
        self
    }

    /// Serves over TLS. Certificates, keys and the crypto provider are those of `config`, such as
    /// [`CertificateFiles::server_config`]. Its ALPN
    /// protocols are replaced by HTTP/1.1, the only one that is supported here.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, mut config: tokio_rustls::rustls::ServerConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        self.served.tls = Some(Arc::new(config).into());
        self
    }

    /// Serves until `stop` resolves; then stops accepting, finishes the requests in progress, and
    /// returns.
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

/// Makes room for a connection and starts it.
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
        // The likely cause is a lack of file handles.
        Err(err) => {
            if warned_at.is_none_or(|at| at.elapsed() >= Serve::WARNING_INTERVAL) {
                tracing::warn!(%err, "a connection could not be accepted");
                *warned_at = Some(Instant::now());
            }
            connections.close_one(Serve::ACCEPT_PAUSE).await;
        }
    }
}

/// Whether the error concerns only this connection and not the next ones.
fn is_of_one_connection(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
