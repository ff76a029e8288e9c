//! The limits: bare hyper, and hyper with a file that is synced once per batch.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
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
use suno_types::Peek;
use suno_types::signature::{SignatureHeaders, WebhookKey, verify};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use suno_testkit::callback::KEY;

pub(super) async fn serve_nothing(listener: TcpListener) -> Result<()> {
    serve(listener, Arc::new(Nothing)).await
}

pub(super) async fn serve_append(listener: TcpListener, dir: &Path) -> Result<()> {
    serve(listener, Arc::new(Append::start(dir)?)).await
}

/// The work of a plain server for a request.
#[async_trait]
trait Answer: Send + Sync + 'static {
    async fn answer(&self, request: Request<Incoming>) -> StatusCode;
}

async fn serve(listener: TcpListener, subject: Arc<dyn Answer>) -> Result<()> {
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

/// Reads the body and responds.
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

/// Verifies, appends to a file, and responds after the sync.
struct Append {
    key: [WebhookKey; 1],
    lines: mpsc::Sender<Line>,
}

struct Line {
    body: Bytes,
    synced: oneshot::Sender<()>,
}

/// The maximum number of bodies that wait for the file.
const WAITING_MAX: usize = 4_096;
/// The maximum number of bodies in a sync.
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
