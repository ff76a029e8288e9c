//! A receiver of callbacks that answers as it is told and keeps what came.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the receiver does with a callback.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// 200, and so many bytes.
    Long(usize),
    /// It never answers.
    Silence,
    /// It closes the connection instead of answering.
    Close,
}

/// A callback as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the callback is JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `data.callbackType`.
    pub(crate) fn stage(&self) -> String {
        self.json()["data"]["callbackType"]
            .as_str()
            .unwrap_or("-")
            .to_owned()
    }
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Reply>,
    received: Vec<Received>,
    count: usize,
    forgets: bool,
}

/// A receiver on loopback.
#[derive(Debug)]
pub(crate) struct Receiver {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Answers 200 to everything.
    pub(crate) async fn start() -> Self {
        Self::with_script(&[]).await
    }

    /// Answers the first callbacks as the script says, and 200 to the rest.
    pub(crate) async fn with_script(script: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            script: script.iter().copied().collect(),
            ..State::default()
        }));
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self {
            addr,
            state,
            serving,
        }
    }

    /// Answers 200 to everything and only counts.
    pub(crate) async fn start_forgetful() -> Self {
        let receiver = Self::start().await;
        receiver.state.lock().unwrap().forgets = true;
        receiver
    }

    /// How many callbacks came.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().count
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/callback", self.addr)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// The stages in the order in which they came.
    pub(crate) fn stages(&self) -> Vec<String> {
        self.received().iter().map(Received::stage).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(Arc::clone(&state), request));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let reply = {
        let mut state = state.lock().unwrap();
        state.count += 1;
        if !state.forgets {
            state.received.push(Received {
                method: head.method,
                path: head.uri.path().to_owned(),
                headers: head.headers,
                body,
            });
        }
        state.script.pop_front().unwrap_or(Reply::Status(200))
    };
    match reply {
        Reply::Status(status) => {
            let mut response = Response::new(Full::new(Bytes::from("{\"status\":\"received\"}")));
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        }
        Reply::Long(bytes) => Ok(Response::new(Full::new(Bytes::from(vec![b'x'; bytes])))),
        Reply::Silence => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Err(std::io::Error::other("never"))
        }
        Reply::Close => Err(std::io::Error::other("closed on purpose")),
    }
}
