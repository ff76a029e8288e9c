//! Callbacks over real HTTP: each event is handled once, whatever is sent how often.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use suno_callback::serve::serve;
use suno_callback::{
    BackgroundTask, Clock, Dispatcher, Event, Inbox, Receiver, SystemClock, Verification,
    handler_fn,
};
use suno_store_sqlite::SqliteStore;
use suno_types::TaskId;
use suno_types::signature::WebhookKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

const KEY: &str = "whk-amber-otter";
const TASK: &str = "0f8c1b6de2a94c7f8e5d3b2a1c0f9e8d";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A receiver that listens, with a dispatcher that tells what it handles.
struct Listening {
    address: std::net::SocketAddr,
    handled: mpsc::UnboundedReceiver<String>,
    dispatcher: BackgroundTask,
    server: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Listening {
    async fn start(file: &Path) -> Self {
        let inbox = Inbox::start(Arc::new(SqliteStore::open(file).unwrap()));
        let (tell, handled) = mpsc::unbounded_channel();
        let handler = handler_fn(move |event: Event| {
            let told = tell.send(format!("{} {}", event.task_id(), event.stage()));
            async move { Ok(told?) }
        });
        let dispatcher = Dispatcher::new(inbox.clone(), handler).start();
        let receiver = Receiver::new(inbox, Verification::webhook_key(KEY));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, receiver, async {
            let _ = stopped.await;
        }));
        Self {
            address,
            handled,
            dispatcher,
            server,
            stop,
        }
    }

    /// POSTs a signed body on a connection of its own.
    async fn post(&self, task_id: &str, body: &str) -> StatusCode {
        let now = SystemClock.now().as_second().unsigned_abs();
        let task_id = TaskId::new(task_id).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = Request::post(Receiver::PATH)
            .header("host", self.address.to_string())
            .header("content-type", "application/json")
            .header("x-webhook-timestamp", now)
            .header(
                "x-webhook-signature",
                WebhookKey::new(KEY).sign(&task_id, now),
            )
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        sender.send_request(request).await.unwrap().status()
    }

    async fn next(&mut self) -> String {
        let handled = tokio::time::timeout(PATIENCE, self.handled.recv());
        handled.await.unwrap().unwrap()
    }

    /// Stops everything, and returns what was handled and not yet asked for.
    async fn stop(mut self) -> Vec<String> {
        self.stop.send(()).unwrap();
        self.server.await.unwrap();
        self.dispatcher.stop().await;
        let mut rest = Vec::new();
        while let Ok(handled) = self.handled.try_recv() {
            rest.push(handled);
        }
        rest
    }
}

/// The text of a fixture's body.
fn fixture(name: &str) -> (String, String) {
    let path = format!(
        "{}/../../fixtures/decode/callback/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let case: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let body = case["input"]["body"]["text"].as_str().unwrap().to_owned();
    let task_id = case["expect"]["ok"]["task_id"].as_str().unwrap().to_owned();
    (task_id, body)
}

fn stage(word: &str) -> String {
    format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{word}","task_id":"{TASK}","data":[]}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_complete_callback_is_handled_once_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("suno.db");
    let (task_id, body) = fixture("complete-documented");

    let mut first = Listening::start(&file).await;
    assert_eq!(first.post(&task_id, &body).await, StatusCode::OK);
    assert_eq!(first.next().await, format!("{task_id} complete"));
    assert_eq!(first.post(&task_id, &body).await, StatusCode::OK);
    assert_eq!(first.stop().await, Vec::<String>::new());

    let second = Listening::start(&file).await;
    assert_eq!(second.post(&task_id, &body).await, StatusCode::OK);
    assert_eq!(second.stop().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_deliveries_at_once_on_ten_connections_are_one_event() {
    let dir = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(&dir.path().join("suno.db")).await;
    let (task_id, body) = fixture("complete-documented");
    let posts = std::array::from_fn::<_, 10, _>(|_| listening.post(&task_id, &body));
    for answer in futures_util::future::join_all(posts).await {
        assert_eq!(answer, StatusCode::OK);
    }
    assert_eq!(listening.next().await, format!("{task_id} complete"));
    assert_eq!(listening.stop().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stages_of_a_task_are_handled_in_order_and_a_late_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut listening = Listening::start(&dir.path().join("suno.db")).await;
    for word in ["text", "complete"] {
        assert_eq!(listening.post(TASK, &stage(word)).await, StatusCode::OK);
        assert_eq!(listening.next().await, format!("{TASK} {word}"));
    }
    assert_eq!(listening.post(TASK, &stage("first")).await, StatusCode::OK);
    assert_eq!(listening.stop().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_is_refused_and_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let listening = Listening::start(&dir.path().join("suno.db")).await;
    let other = "ffffffffffffffffffffffffffffffff";
    assert_eq!(
        listening.post(other, &stage("complete")).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(listening.post(TASK, "{").await, StatusCode::BAD_REQUEST);
    assert_eq!(listening.stop().await, Vec::<String>::new());
}
