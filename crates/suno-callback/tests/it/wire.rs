//! A receiver behind a socket, and what a sender writes to it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::serve::Serve;
use suno_callback::{Inbox, Receiver, Verification};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scene::{HandClock, KEY, TASK, WatchedStore, body, signed};

/// How long a test waits for what must come: longer than any bound of the server.
const PATIENCE: Duration = Duration::from_secs(30);

async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// A receiver that listens. It goes on when this is dropped, until the test ends.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<WatchedStore>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Listening {
    pub(crate) async fn start() -> Self {
        Self::with(|serve| serve).await
    }

    /// Starts with other settings.
    pub(crate) async fn with(settings: impl FnOnce(Serve) -> Serve) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::behind(listener, settings)
    }

    pub(crate) fn behind(listener: TcpListener, settings: impl FnOnce(Serve) -> Serve) -> Self {
        let store = Arc::new(WatchedStore::default());
        let address = listener.local_addr().unwrap();
        let serve = settings(Serve::new(listener, receiver(store.clone())));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve.run(until(stopped)));
        Self {
            address,
            store,
            stop,
            server,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(Serve::STOP_GRACE / 2, self.server).await;
        ended.unwrap().unwrap();
    }

    /// Drops the server as it is.
    pub(crate) async fn abandon(self) {
        self.server.abort();
        assert!(self.server.await.unwrap_err().is_cancelled());
    }

    /// Posts one callback on a connection of its own.
    pub(crate) async fn assert_answers(&self) {
        let answer = talk(self.address, whole("connection: close\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

pub(crate) fn receiver(store: Arc<WatchedStore>) -> Receiver {
    Receiver::new(Inbox::start(store), Verification::webhook_key(KEY)).with_clock(HandClock::new())
}

/// A stop: when it is sent, and never if its sender is dropped.
pub(crate) async fn until(stopped: oneshot::Receiver<()>) {
    if stopped.await.is_err() {
        // Tests that do not stop the server drop the sender.
        std::future::pending::<()>().await;
    }
}

/// Sends bytes and returns all that comes back.
pub(crate) async fn talk(address: SocketAddr, bytes: Vec<u8>) -> String {
    talk_over(TcpStream::connect(address).await.unwrap(), bytes).await
}

pub(crate) async fn talk_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    bytes: Vec<u8>,
) -> String {
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    patiently(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The head of a signed callback up to `rest`, which ends it.
pub(crate) fn head(rest: &str) -> Vec<u8> {
    let request = signed(TASK, &body(TASK, "complete"));
    let mut text = "POST /suno/callback HTTP/1.1\r\nhost: localhost\r\n".to_owned();
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    text += rest;
    text.into_bytes()
}

/// A signed callback, with these header lines too.
pub(crate) fn whole(lines: &str) -> Vec<u8> {
    let body = body(TASK, "complete");
    let rest = format!("{lines}content-length: {}\r\n\r\n", body.len());
    [head(&rest), body.into_bytes()].concat()
}

/// Posts a callback on a connection that stays open, and expects it to be taken.
pub(crate) async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    stream.write_all(&whole("")).await.unwrap();
    read_answer(stream).await;
}

/// Reads one answer to its end, and expects that it says that a callback was taken.
pub(crate) async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) {
    let mut answer = Vec::new();
    while !answer.ends_with(br#"{"status":"received"}"#) {
        let length = patiently(stream.read_buf(&mut answer)).await.unwrap();
        assert!(
            length > 0,
            "closed after {}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Resolves when the other side has closed; what it sends until then is dropped.
pub(crate) async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 1_024];
    while patiently(stream.read(&mut bytes))
        .await
        .is_ok_and(|length| length > 0)
    {}
}
