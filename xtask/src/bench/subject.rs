//! What is measured: servers that answer signed callbacks, each a little more than the one before.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use suno_callback::{
    Dispatcher, Event, IdempotencyStore, Inbox, MemoryStore, Receiver, Verification, handler_fn,
};
use suno_store_sqlite::SqliteStore;
use suno_types::Peek;
use suno_types::signature::{SignatureHeaders, WebhookKey, verify};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::load::KEY;

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
#[non_exhaustive]
pub enum Subject {
    /// hyper that reads the body and answers: the ceiling.
    Hyper,
    /// The same, verified and appended to a file with one sync for each batch: the durable limit.
    Append,
    /// The receiver with the store in memory.
    Memory,
    /// The receiver with the SQLite store, nothing handled.
    Sqlite,
    /// The same with a dispatcher that handles everything as it comes.
    Handled,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Hyper => "hyper",
            Self::Append => "append",
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Handled => "handled",
        })
    }
}

/// Serves a subject until the process is killed; its first line is the address.
///
/// # Errors
///
/// If it cannot listen, or cannot write into `dir`.
pub async fn serve(subject: Subject, dir: &Path) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    drop(stdout);
    match subject {
        Subject::Hyper => serve_with(listener, Arc::new(Nothing)).await,
        Subject::Append => serve_with(listener, Arc::new(Append::start(dir)?)).await,
        Subject::Memory => receive(listener, Arc::new(MemoryStore::new()), false).await,
        Subject::Sqlite => receive(listener, sqlite(dir)?, false).await,
        Subject::Handled => receive(listener, sqlite(dir)?, true).await,
    }
}

fn sqlite(dir: &Path) -> Result<Arc<SqliteStore>> {
    Ok(Arc::new(SqliteStore::open(dir.join("suno.db"))?))
}

async fn receive(
    listener: TcpListener,
    store: Arc<dyn IdempotencyStore>,
    handled: bool,
) -> Result<()> {
    let inbox = Inbox::start(store);
    let dispatcher = handled.then(|| {
        let handler = handler_fn(|_: Event| async { Ok(()) });
        Dispatcher::new(inbox.clone(), handler)
            .with_handlers_max(256)
            .start()
    });
    let receiver = Receiver::new(inbox, Verification::webhook_key(KEY));
    suno_callback::serve::serve(listener, receiver, std::future::pending()).await;
    drop(dispatcher);
    Ok(())
}

/// What a plain server does with a request.
#[async_trait]
trait Answer: Send + Sync + 'static {
    async fn answer(&self, request: Request<Incoming>) -> StatusCode;
}

async fn serve_with(listener: TcpListener, subject: Arc<dyn Answer>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let subject = subject.clone();
        let service = service_fn(move |request| {
            let subject = subject.clone();
            async move {
                let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
                *response.status_mut() = subject.answer(request).await;
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Reads the body and answers.
struct Nothing;

#[async_trait]
impl Answer for Nothing {
    async fn answer(&self, request: Request<Incoming>) -> StatusCode {
        match request.into_body().collect().await {
            Ok(_) => StatusCode::OK,
            Err(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Verifies, appends to a file, and answers after the sync.
struct Append {
    key: [WebhookKey; 1],
    lines: mpsc::Sender<Line>,
}

struct Line {
    body: Bytes,
    synced: oneshot::Sender<()>,
}

/// How many bodies wait for the file at most.
const WAITING_MAX: usize = 4_096;
/// How many bodies share a sync at most.
const BATCH_MAX: usize = 512;

impl Append {
    fn start(dir: &Path) -> Result<Self> {
        let file = File::create(dir.join("bodies"))?;
        let (lines, waiting) = mpsc::channel(WAITING_MAX);
        std::thread::spawn(move || write_all(file, waiting));
        Ok(Self {
            key: [WebhookKey::new(KEY)],
            lines,
        })
    }
}

fn write_all(mut file: File, mut waiting: mpsc::Receiver<Line>) {
    let (mut batch, mut bytes) = (Vec::new(), Vec::new());
    while waiting.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
        bytes.clear();
        for line in &batch {
            bytes.extend_from_slice(&line.body);
            bytes.push(b'\n');
        }
        if file
            .write_all(&bytes)
            .and_then(|()| file.sync_data())
            .is_err()
        {
            return;
        }
        for line in batch.drain(..) {
            let _ = line.synced.send(());
        }
    }
}

#[async_trait]
impl Answer for Append {
    async fn answer(&self, request: Request<Incoming>) -> StatusCode {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return StatusCode::BAD_REQUEST;
        };
        let body = body.to_bytes();
        let now = SystemTime::UNIX_EPOCH.elapsed();
        let now = now.unwrap_or_default().as_secs();
        let pairs = head.headers.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_bytes()));
        let verified = SignatureHeaders::find(pairs).is_ok_and(|headers| {
            Peek::callback(&body).is_ok_and(|peek| {
                let window = Duration::from_secs(300);
                verify(&self.key, &peek.task_id, headers, now, window).is_ok()
            })
        });
        if !verified {
            return StatusCode::UNAUTHORIZED;
        }
        let (synced, is_synced) = oneshot::channel();
        if self.lines.send(Line { body, synced }).await.is_err() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        match is_synced.await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
