//! The admin service over real sockets: who may ask, and what is answered.

mod answers;
mod events;
mod guards;
mod headers;
mod health;
mod media;
mod openapi;
mod page;
mod streams;
mod tasks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use suno_callback::jiff::Timestamp;
use suno_callback::{
    ClaimRequest, Clock, DeadCause, Delivery, EventId, IdempotencyStore, MemoryStore, Settlement,
    SystemClock, WorkerId,
};
use suno_gateway::admin::{Admin, AdminToken};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::scene::callback;

pub(crate) const TOKEN: &str = "admin-token-of-the-tests";

pub(crate) fn token() -> AdminToken {
    AdminToken::new(TOKEN).unwrap()
}

/// A service that runs until it is stopped.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(admin: Admin) -> Self {
        Self::start_on(admin, 0).await
    }

    pub(crate) async fn start_on(admin: Admin, port: u16) -> Self {
        let server = admin.bind(([127, 0, 0, 1], port).into()).await.unwrap();
        let addr = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server.run(async { drop(stopped.await) }));
        Self {
            addr,
            stop: Some(stop),
            server,
        }
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.server.await.unwrap();
    }

    /// Sends a request as it is, and reads the answer to its end.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::read(&String::from_utf8(bytes).unwrap())
    }

    /// Asks as a program would.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let kind = match body {
            "" => "",
            _ => "content-type: application/json\r\n",
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{kind}\
             content-length: {length}\r\n{headers}\r\n{body}",
            self.addr
        );
        self.send(&request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, "", body).await
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_lowercase(), value.trim().to_owned())
        });
        Self {
            status: status.parse().unwrap(),
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The stable word of a problem.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        let kind = problem["type"].as_str().unwrap();
        kind.strip_prefix("urn:suno:problem:").unwrap().to_owned()
    }
}

pub(crate) fn store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new())
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) async fn accept(store: &dyn IdempotencyStore, task: &str, word: &str) {
    let body = callback(task, word, "Harbour");
    let delivery = Delivery::decode(body.into(), now());
    store.accept(&[delivery]).await.unwrap();
}

/// Claims everything and, unless there is no settlement, settles it.
pub(crate) async fn settle_all(
    store: &dyn IdempotencyStore,
    settlement: Option<Settlement>,
) -> Vec<EventId> {
    let minute = std::time::Duration::from_secs(60);
    let worker = WorkerId(7);
    let first = SystemClock.now().as_microsecond().unsigned_abs();
    let claims = store
        .claim(&ClaimRequest::new(worker, first, minute, 1_000))
        .await
        .unwrap()
        .claims;
    let ids = claims.iter().map(|claim| claim.ticket.event).collect();
    if let Some(settlement) = settlement {
        let settled = claims
            .iter()
            .map(|claim| (claim.ticket, settlement.clone()))
            .collect();
        let settle = ClaimRequest::new(worker, first + 1, minute, 0).with_settlements(settled);
        store.claim(&settle).await.unwrap();
    }
    ids
}

pub(crate) fn dead() -> Option<Settlement> {
    Some(Settlement::Dead {
        cause: DeadCause::GivenUp,
        reason: "shop answered 422".to_owned(),
    })
}
