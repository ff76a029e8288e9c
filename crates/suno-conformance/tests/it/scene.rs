//! Receivers to drive, right ones and wrong ones, and the runs against them.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use suno_callback::serve::{Serve, serve};
use suno_callback::{
    BackgroundTask, Dispatcher, Event, Inbox, MemoryStore, Receiver, Token, Verification,
};
use suno_conformance::{Events, Format, Options, Target, run};
use suno_types::Callback;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub(crate) const KEYS: [&str; 2] = ["whk-live-one", "whk-live-two"];
pub(crate) const TOKEN: &str = "t-live-c1f09a7be244";
/// The path of every receiver here.
pub(crate) const PATH: &str = "/hooks/suno";
pub(crate) const BODY_BYTES_MAX: usize = 100_000;

/// The cases of this workspace.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// What a receiver does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Answers everything with 200, and handles all that it can read.
    TakesEverything,
    /// Answers as it should, and handles every event twice.
    HandlesTwice,
    /// Answers as it should, and handles every delivery, late and repeated ones too.
    HandlesEveryDelivery,
    /// Answers as it should, and handles nothing.
    HandlesNothing,
    /// Answers nothing.
    Silent,
}

/// A receiver that listens in a thread of its own.
pub(crate) struct Desk {
    pub(crate) url: String,
    pub(crate) events: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Gone with the desk.
    _folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn start(fault: Fault, verification: Verification) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events.jsonl");
        let log = Log::create(&events);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                listen(listener, fault, verification, log, stopped).await;
            });
        });
        let address = told.recv().unwrap();
        Self {
            url: format!("http://{address}{PATH}"),
            events,
            stop: Some(stop),
            thread: Some(thread),
            _folder: folder,
        }
    }

    /// With one key.
    pub(crate) fn with_key(fault: Fault) -> Self {
        Self::start(fault, Verification::webhook_key(KEYS[0]))
    }

    pub(crate) fn target(&self) -> Target {
        Target::new(&self.url)
            .unwrap()
            .with_events(Events::File(self.events.clone()))
            .with_body_bytes_max(BODY_BYTES_MAX)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// The list of handled events.
#[derive(Clone)]
struct Log(Arc<Mutex<File>>);

impl Log {
    fn create(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self(Arc::new(Mutex::new(file.unwrap())))
    }

    fn note(&self, callback: &Callback) {
        let line = json!({
            "event": "handled", "task_id": callback.task_id.as_str(),
            "stage": callback.stage().as_str(), "code": callback.code.0,
        });
        writeln!(self.0.lock().unwrap(), "{line}").unwrap();
    }
}

async fn listen(
    listener: TcpListener,
    fault: Fault,
    verification: Verification,
    log: Log,
    stopped: oneshot::Receiver<()>,
) {
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let running = matches!(fault, Fault::None | Fault::HandlesTwice)
        .then(|| dispatch(inbox.clone(), fault, log.clone()));
    let receiver = Receiver::new(inbox, verification)
        .with_path(PATH)
        .with_body_bytes_max(BODY_BYTES_MAX);
    let stop = async {
        let _ = stopped.await;
    };
    match fault {
        Fault::None | Fault::HandlesTwice | Fault::HandlesNothing => {
            serve(listener, receiver, stop).await;
        }
        _ => tokio::select! {
            () = serve_wrongly(listener, receiver, fault, log) => {}
            () = stop => {}
        },
    }
    if let Some(running) = running {
        running.stop().await;
    }
}

fn dispatch(inbox: Inbox, fault: Fault, log: Log) -> BackgroundTask {
    let handler = suno_callback::handler_fn(move |event: Event| {
        log.note(event.callback());
        if fault == Fault::HandlesTwice {
            log.note(event.callback());
        }
        async { Ok(()) }
    });
    Dispatcher::new(inbox, handler).start()
}

async fn serve_wrongly(listener: TcpListener, receiver: Receiver, fault: Fault, log: Log) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (receiver, log) = (receiver.clone(), log.clone());
        let service =
            service_fn(move |request| answer(request, receiver.clone(), fault, log.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    receiver: Receiver,
    fault: Fault,
    log: Log,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if fault == Fault::Silent {
        std::future::pending::<()>().await;
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let response = match fault {
        Fault::TakesEverything => Response::new(Bytes::new()),
        _ => {
            receiver
                .receive(Request::from_parts(head, body.clone()))
                .await
        }
    };
    if let (200, Ok(callback)) = (response.status().as_u16(), Callback::decode(&body)) {
        log.note(&callback);
    }
    Ok(response.map(Full::new))
}

/// Answers every request with a file, in a thread that ends with the process.
pub(crate) struct FileServer {
    pub(crate) url: String,
}

impl FileServer {
    pub(crate) fn start(file: &Path) -> Self {
        let file = file.to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4_096]);
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
                let _ = stream.write_all((head + &text).as_bytes());
            }
        });
        Self { url }
    }
}

/// A run against a target: whether it was good, and the line of each case.
pub(crate) struct Ran {
    pub(crate) good: bool,
    pub(crate) lines: Vec<Value>,
}

impl Ran {
    pub(crate) fn ids(&self, verdict: &str) -> Vec<&str> {
        let fits = |line: &&Value| line["verdict"] == verdict;
        self.lines
            .iter()
            .filter(fits)
            .map(|line| line["id"].as_str().unwrap())
            .collect()
    }

    /// What was found in a case.
    pub(crate) fn details(&self, id: &str) -> String {
        let line = self.lines.iter().find(|line| line["id"] == id).unwrap();
        line["details"].to_string()
    }
}

/// Runs the cases that fit against a target.
pub(crate) fn drive(target: Target, filter: &str) -> Ran {
    let mut options = Options::new(fixtures());
    options.filter = Some(filter.parse().unwrap());
    options.format = Format::Json;
    options.target = Some(target.with_answer_time_max(Duration::from_secs(5)));
    let mut out = Vec::new();
    let good = run(options, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    Ran { good, lines }
}

pub(crate) fn token() -> Token {
    Token::new(TOKEN).unwrap()
}

/// Serves a receiver over TLS, and returns its port. It stops when the other part is dropped.
pub(crate) fn serve_over_tls(config: rustls::ServerConfig) -> (u16, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap().port()).unwrap();
            let inbox = Inbox::start(Arc::new(MemoryStore::new()));
            let receiver = Receiver::new(inbox, Verification::webhook_key(KEYS[0]));
            let serve = Serve::new(listener, receiver.with_path(PATH)).with_tls(config);
            serve.run(async { drop(stopped.await) }).await;
        });
    });
    (told.recv().unwrap(), stop)
}
