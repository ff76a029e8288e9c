//! No key, no token, no signature and no body in anything that is logged or shown. Every secret here
//! has the word `canary` in it.

use std::fmt::Debug;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use suno_callback::serve::Serve;
use suno_callback::{
    CallbackService, ClaimRequest, Dispatcher, Event, EventFilter, HandlerError, IdempotencyStore,
    Inbox, ListRequest, MemoryStore, Receiver, Retention, Token, Verification, WorkerId,
    handler_fn,
};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing_subscriber::fmt::MakeWriter;

use crate::scene::{HandClock, NOW, TASK, WatchedStore, post};
use crate::wire::talk;

const KEY: &str = "whk-canary-otter";
const TOKEN: &str = "canary-token-4711";

/// Everything that was logged or shown.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn show(&self, value: &impl Debug) {
        let text = format!("{value:?}\n{value:#?}\n");
        self.0.lock().unwrap().extend_from_slice(text.as_bytes());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    /// Fails if a secret was shown, or if one of these was not.
    fn assert_silent_but_for(&self, expected: &[&str]) {
        let text = self.text();
        let signature = signature();
        for line in text.lines() {
            assert!(!line.contains("canary"), "{line}");
            assert!(!line.contains(&signature), "the signature: {line}");
        }
        for expected in expected {
            assert!(text.contains(expected), "not shown: {expected}\n{text}");
        }
    }
}

impl io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Shown {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Collects all that is logged by this thread while the guard lives.
fn collect(shown: &Shown) -> tracing::subscriber::DefaultGuard {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(shown.clone())
        .finish();
    crate::logs::log_to(subscriber)
}

/// What a receiver expects for the task at this moment.
fn signature() -> String {
    WebhookKey::new(KEY).sign(&TaskId::new(TASK).unwrap(), NOW.unsigned_abs())
}

fn verification() -> Verification {
    Verification::webhook_key(KEY).with_token(Token::new(TOKEN).unwrap())
}

/// A callback whose every text is a secret of somebody.
fn secret_body(word: &str) -> String {
    format!(
        r#"{{"code":200,"msg":"canary message","data":{{"callbackType":"{word}",
            "task_id":"{TASK}","canary":"member","data":[{{"id":"canary-id",
            "title":"canary title","prompt":"canary lyrics","duration":1.5,
            "audio_url":"https://media.example.com/canary.mp3?sign=canary"}}]}}}}"#
    )
}

fn request(path: &str, signature: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    post(path)
        .header("x-webhook-timestamp", NOW)
        .header("x-webhook-signature", signature)
        .body(body.into())
        .unwrap()
}

/// A request that is signed, and has the token.
fn trusted(body: impl Into<Bytes>) -> Request<Bytes> {
    request(&format!("/suno/callback/{TOKEN}"), &signature(), body)
}

/// Requests that are refused, each for another reason, with the answer to each.
fn refused() -> Vec<(Request<Bytes>, u16)> {
    let body = secret_body("complete");
    let path = format!("/suno/callback/{TOKEN}");
    let two = body.replace(r#""canary":"member""#, r#""taskId":"canary-other""#);
    let mut stale = trusted(body.clone());
    let long_ago = (NOW - 1_000).into();
    stale.headers_mut().insert("x-webhook-timestamp", long_ago);
    let mut unsigned = trusted(body.clone());
    unsigned.headers_mut().remove("x-webhook-signature");
    let mut typed = trusted(body.clone());
    let text = http::HeaderValue::from_static("text/canary");
    typed.headers_mut().insert("content-type", text);
    vec![
        (
            request(&path, "Y2FuYXJ5LXNpZ25hdHVyZQ==", body.clone()),
            401,
        ),
        (request(&path, "canary-no-base64", body.clone()), 401),
        (
            request(
                "/suno/callback/canary-token-4712",
                &signature(),
                body.clone(),
            ),
            401,
        ),
        (request("/suno/callback", &signature(), body.clone()), 401),
        (
            request("/elsewhere/canary-token-4712", &signature(), body),
            404,
        ),
        (stale, 401),
        (unsigned, 401),
        (typed, 415),
        (trusted(two), 400),
        (trusted(r#"{"canary":"#), 400),
        (trusted(vec![b' '; Receiver::BODY_BYTES_MAX + 1]), 413),
    ]
}

#[tokio::test]
async fn receiving_logs_no_secret() {
    let shown = Shown::default();
    let _guard = collect(&shown);
    let store = Arc::new(WatchedStore::default());
    let inbox = Inbox::start(store.clone());
    let receiver = Receiver::new(inbox, verification()).with_clock(HandClock::new());
    for (request, status) in refused() {
        assert_eq!(receiver.receive(request).await.status(), status);
    }
    let changed = secret_body("complete").replace("1.5", "2.5");
    let quarantined = format!(r#"{{"code":["canary"],"data":{{"task_id":"{TASK}"}}}}"#);
    for body in [
        secret_body("complete"),
        secret_body("complete"),
        changed,
        quarantined,
    ] {
        assert_eq!(receiver.receive(trusted(body)).await.status(), 200);
    }
    store.down.store(true, Ordering::SeqCst);
    let answer = receiver.receive(trusted(secret_body("text"))).await;
    assert_eq!(answer.status(), 503);
    let expected = [
        "accepted",
        "rejected",
        "quarantine",
        "not stored",
        "the store is full",
    ];
    shown.assert_silent_but_for(&expected);
}

#[tokio::test]
async fn serving_logs_no_secret() {
    let shown = Shown::default();
    let _guard = collect(&shown);
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let receiver = Receiver::new(inbox, verification()).with_clock(HandClock::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Serve::new(listener, receiver);
    shown.show(&serve);
    let server = tokio::spawn(serve.run(std::future::pending()));
    let (signature, body) = (signature(), secret_body("complete"));
    for (path, status) in [(TOKEN, 200), ("canary-token-4712", 401)] {
        let request = format!(
            "POST /suno/callback/{path} HTTP/1.1\r\nhost: canary\r\nconnection: close\r\n\
             x-webhook-timestamp: {NOW}\r\nx-webhook-signature: {signature}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = talk(address, request.into_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        assert!(!answer.contains("canary"), "{answer}");
    }
    // It is no HTTP at all, and the connection ends with an error.
    talk(address, b"canary \x00\r\n\r\n".to_vec()).await;
    server.abort();
    shown.assert_silent_but_for(&["accepted", "rejected", "connection ended"]);
}

#[tokio::test(start_paused = true)]
async fn dispatching_logs_no_secret() {
    let shown = Shown::default();
    let _guard = collect(&shown);
    let store = Arc::new(WatchedStore::default());
    let inbox = Inbox::start(store.clone());
    let receiver = Receiver::new(inbox.clone(), verification()).with_clock(HandClock::new());
    let answer = receiver.receive(trusted(secret_body("complete"))).await;
    assert_eq!(answer.status(), 200);
    let (tell, mut told) = mpsc::unbounded_channel();
    let shows = shown.clone();
    let handler = handler_fn(move |event: Event| {
        shows.show(&event);
        let attempt = event.attempt();
        let _ = tell.send(attempt);
        async move {
            assert!(attempt != 2, "the second attempt panics");
            // As HTTP clients word it.
            let url = event.tracks()[0].audio_url.as_ref().unwrap().as_str();
            let text = format!("out of luck with {url}");
            Err(HandlerError::retry_after(Duration::ZERO, text))
        }
    });
    let running = Dispatcher::new(inbox, handler).with_attempts_max(3).start();
    for attempt in 1..=3 {
        assert_eq!(told.recv().await, Some(attempt));
    }
    running.stop().await;
    shown.show(&*store.settled.lock().unwrap());
    let expected = [
        "out of luck with https://media.example.com/…",
        "panicked",
        "dead letter",
        "Dead {",
    ];
    shown.assert_silent_but_for(&expected);
}

#[tokio::test]
async fn nothing_that_can_be_shown_shows_a_secret() {
    let shown = Shown::default();
    let store = Arc::new(MemoryStore::new());
    let receiver = Receiver::new(Inbox::start(store.clone()), verification());
    let receiver = receiver.with_clock(HandClock::new());
    shown.show(&verification());
    shown.show(&Token::new(TOKEN).unwrap());
    shown.show(&receiver);
    shown.show(&CallbackService::new(receiver.clone()));
    shown.show(&Retention::new(store.clone()));
    let undecodable = format!(r#"{{"code":["canary"],"data":{{"task_id":"{TASK}"}}}}"#);
    for body in [secret_body("complete"), undecodable] {
        let (head, body) = trusted(body).into_parts();
        let admitted = receiver.admit(&head).unwrap();
        shown.show(&admitted);
        let unnamed = Bytes::from("canary");
        shown.show(&receiver.verify(&admitted, unnamed).unwrap_err());
        let delivery = receiver.verify(&admitted, body).unwrap();
        shown.show(&delivery);
        shown.show(&receiver.accept(delivery).await);
    }
    shown.show(&store.find(&TaskId::new(TASK).unwrap()).await);
    let all = ListRequest::first(9, EventFilter::default());
    shown.show(&store.list(&all).await);
    shown.show(&store.quarantine(None, 9).await);
    let request = ClaimRequest::new(WorkerId(1), 1, Duration::from_secs(60), 1);
    shown.show(&store.claim(&request).await);
    shown.show(&store);
    let types = [
        "Claim {",
        "EventRecord {",
        "QuarantinedDelivery {",
        "Delivery {",
        "AdmittedRequest {",
    ];
    shown.assert_silent_but_for(&types);
}
