//! The headers of a delivery in its history: what is kept, what never is, and how much at most.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use serde_json::{Value, json};
use suno_callback::history::{History, HistoryEntry, HistoryWriter, MemoryHistory};
use suno_callback::serve::Serve;
use suno_callback::{
    Acceptance, CallbackService, Delivery, Inbox, MemoryStore, Observer, Receiver, RedactedHeaders,
    SubmitId, Token, TokenPlace, Verification, router,
};
use suno_types::TaskId;
use tokio::net::TcpListener;
use tower_service::Service;

use crate::scene::{HandClock, KEY, NOW, TASK, body, delivery, signed};
use crate::wire::talk;

const TOKEN: &str = "aWs83_kd02-LmQzX71";
const OLD_TOKEN: &str = "pR55-xk20_VvBn4g9Q";
const SUBMIT: &str = "00112233445566778899aabbccddeeff";

/// A receiver with a history.
struct Scene {
    receiver: Receiver,
    history: Arc<MemoryHistory>,
    writing: suno_callback::BackgroundTask,
}

impl Scene {
    fn new(verification: Verification) -> Self {
        let history = Arc::new(MemoryHistory::new());
        let (writer, writing) = HistoryWriter::start_with_clock(history.clone(), HandClock::new());
        // A gateway has several observers too, and only one of them wants headers.
        let ignoring: Arc<dyn Observer> = Arc::new(|_: &Delivery, _: Acceptance| {});
        let observers = vec![ignoring, Arc::new(writer) as Arc<dyn Observer>];
        let inbox = Inbox::start_observed(Arc::new(MemoryStore::new()), Arc::new(observers));
        let receiver = Receiver::new(inbox, verification).with_clock(HandClock::new());
        Self {
            receiver,
            history,
            writing,
        }
    }

    fn signed() -> Self {
        Self::new(Verification::webhook_key(KEY))
    }

    /// Returns the details of all deliveries.
    async fn noted(self) -> Vec<Value> {
        self.writing.stop().await;
        let entries = self.history.of_task(&TaskId::new(TASK).unwrap()).await;
        let entries = entries.unwrap();
        entries
            .iter()
            .map(|entry| {
                assert_eq!(entry.kind.as_str(), "delivery");
                assert!(entry.detail().len() <= HistoryEntry::DETAIL_BYTES_MAX);
                serde_json::from_str(entry.detail()).unwrap()
            })
            .collect()
    }

    /// Receives a callback with these headers besides those of its signature, and returns its detail.
    async fn note(self, path: &str, headers: &HeaderMap) -> Value {
        let answer = self.receiver.receive(request(path, headers)).await;
        assert_eq!(answer.status(), 200);
        let [detail] = &self.noted().await[..] else {
            panic!()
        };
        detail.clone()
    }
}

/// A signed callback with more headers, which replace its own.
fn request(path: &str, headers: &HeaderMap) -> Request<Bytes> {
    let mut request = signed(TASK, &body(TASK, "complete"));
    *request.uri_mut() = path.parse().unwrap();
    request.headers_mut().extend(headers.clone());
    request
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let lines = lines.iter().map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        (http::HeaderName::from_static(name), value)
    });
    lines.collect()
}

/// Returns the value that was noted of a header.
fn value<'a>(detail: &'a Value, name: &str) -> &'a Value {
    let lines = detail["headers"].as_array().unwrap();
    let line = lines.iter().find(|line| line[0] == name);
    &line.unwrap_or_else(|| panic!("{name} is not in {lines:?}"))[1]
}

#[tokio::test]
async fn names_are_kept_in_their_order_and_values_only_of_headers_that_hold_no_secret() {
    let sent = headers(&[
        ("x-forwarded-for", "203.0.113.7"),
        ("x-house", "canary"),
        ("x-forwarded-for", "198.51.100.2, 192.0.2.1"),
        ("user-agent", "okhttp/4.12.0"),
    ]);
    let detail = Scene::signed().note("/suno/callback", &sent).await;
    let expected = json!([
        ["content-type", "application/json"],
        ["x-webhook-timestamp", NOW.to_string()],
        ["x-webhook-signature", null],
        ["x-forwarded-for", "203.0.113.7"],
        ["x-forwarded-for", "198.51.100.2, 192.0.2.1"],
        ["x-house", null],
        ["user-agent", "okhttp/4.12.0"],
    ]);
    assert_eq!(detail["headers"], expected);
    assert_eq!(detail.get("headers_omitted"), None);
    assert_eq!(detail["accepted"], "new");
}

#[tokio::test]
async fn what_can_prove_a_sender_or_repeat_the_callback_url_is_never_kept() {
    const NEVER: [&str; 19] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "forwarded",
        "referer",
        "origin",
        "x-api-key",
        "x-auth-token",
        "x-envoy-original-path",
        "x-forwarded-access-token",
        "x-forwarded-client-cert",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "x-forwarded-uri",
        "x-forwarded-url",
        "x-original-uri",
        "x-original-url",
        "x-rewrite-url",
        "x-waf-secret",
    ];
    let sent = headers(&NEVER.map(|name| (name, "canary")));
    let detail = Scene::signed().note("/suno/callback", &sent).await;
    for name in NEVER {
        assert_eq!(*value(&detail, name), Value::Null, "{name}");
    }
    assert_eq!(*value(&detail, "x-webhook-signature"), Value::Null);
}

#[tokio::test]
async fn a_value_that_repeats_a_secret_of_the_callback_url_is_not_kept() {
    let verification = || {
        Verification::webhook_key(KEY)
            .with_token(Token::new(TOKEN).unwrap())
            .with_token(Token::new(OLD_TOKEN).unwrap())
    };
    let in_query = TokenPlace::query("secret").unwrap();
    let places = [
        (verification(), format!("/suno/callback/{TOKEN}/{SUBMIT}")),
        (
            verification().with_token_in(in_query),
            format!("/suno/callback/{SUBMIT}?secret={TOKEN}"),
        ),
    ];
    for (verification, path) in places {
        let sent = headers(&[
            ("x-request-id", &format!("a{TOKEN}b")),
            ("via", &TOKEN.to_lowercase()),
            ("user-agent", &format!("agent {}", SUBMIT.to_uppercase())),
            ("x-trace-id", &format!("\u{ff}{OLD_TOKEN};")),
            ("x-forwarded-host", "hooks.example.com"),
        ]);
        let mut named = sent.clone();
        let secret_name = http::HeaderName::try_from(TOKEN.to_lowercase()).unwrap();
        named.insert(secret_name, HeaderValue::from_static("1"));
        let detail = Scene::new(verification).note(&path, &named).await;
        for name in ["x-request-id", "via", "user-agent", "x-trace-id"] {
            assert_eq!(*value(&detail, name), Value::Null, "{name}");
        }
        assert_eq!(*value(&detail, "x-forwarded-host"), "hooks.example.com");
        assert_eq!(detail["headers_omitted"], 1);
        let text = detail.to_string().to_lowercase();
        for secret in [TOKEN, OLD_TOKEN, SUBMIT] {
            assert!(!text.contains(&secret.to_lowercase()), "{text}");
        }
        let submit: SubmitId = SUBMIT.parse().unwrap();
        assert_eq!(detail["submit"], submit.to_string()[..8]);
    }
}

#[tokio::test]
async fn headers_have_bounds_and_those_beyond_are_counted() {
    let mut sent = HeaderMap::new();
    let long = |length: usize, byte: u8| HeaderValue::from_bytes(&vec![byte; length]).unwrap();
    let value_max = RedactedHeaders::VALUE_BYTES_MAX;
    sent.insert("via", long(value_max, b'v'));
    sent.insert("user-agent", long(value_max + 1, b'u'));
    sent.insert("x-real-ip", long(value_max / 4 + 1, 0xff));
    let huge = http::HeaderName::try_from("n".repeat(RedactedHeaders::BYTES_MAX)).unwrap();
    sent.insert(huge, long(1, b'1'));
    sent.insert("x-large", long(64 << 10, b'x'));
    for number in 0..500 {
        let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
        sent.insert(name, long(1, b'1'));
    }
    sent.insert("x-request-id", long(1, b'1'));
    let detail = Scene::signed().note("/suno/callback", &sent).await;
    assert_eq!(*value(&detail, "via"), "v".repeat(value_max));
    for name in ["user-agent", "x-real-ip", "x-large", "x-0", "x-55"] {
        assert_eq!(*value(&detail, name), Value::Null, "{name}");
    }
    // Three of the callback itself, 505 here.
    let kept = detail["headers"].as_array().unwrap().len();
    assert_eq!(kept, RedactedHeaders::HEADERS_MAX);
    assert_eq!(detail["headers_omitted"], 3 + 506 - kept);
}

#[tokio::test]
async fn the_most_that_is_kept_leaves_every_other_member_as_it_is() {
    let mut sent = HeaderMap::new();
    // Two bytes of JSON for each.
    let quotes = HeaderValue::from_bytes(&[b'"'; RedactedHeaders::VALUE_BYTES_MAX]).unwrap();
    for _ in 0..RedactedHeaders::BYTES_MAX / quotes.len() {
        sent.append("via", quotes.clone());
    }
    for number in 0..500 {
        let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
        sent.insert(name, HeaderValue::from_static(""));
    }
    let scene = Scene::signed();
    let mut request = request("/suno/callback", &sent);
    let undecodable = format!(
        r#"{{"code":200,"{0}":1,"{0}":1,"data":{{"task_id":"{TASK}"}}}}"#,
        "k".repeat(64)
    );
    *request.body_mut() = undecodable.into();
    assert_eq!(scene.receiver.receive(request).await.status(), 200);
    let [detail] = &scene.noted().await[..] else {
        panic!()
    };
    assert!(detail.to_string().len() > 8_192, "{detail}");
    assert_eq!(detail["headers"].as_array().unwrap().len(), 64);
    assert_eq!(detail["accepted"], "quarantined");
    assert_eq!(detail["verified_by"], json!(["signature"]));
    let reason = format!("duplicate key at {}", "k".repeat(64));
    assert_eq!(detail["reason"], reason);
}

#[tokio::test]
async fn bytes_that_are_not_visible_are_written_as_escapes() {
    let mut sent = HeaderMap::new();
    let value_sent = HeaderValue::from_bytes(b"a\t\xff\xc3\xa9 \"quoted\" \\").unwrap();
    sent.insert("user-agent", value_sent);
    let detail = Scene::signed().note("/suno/callback", &sent).await;
    let shown = r#"a\t\xff\xc3\xa9 "quoted" \"#;
    assert_eq!(*value(&detail, "user-agent"), shown);
}

#[tokio::test]
async fn a_header_that_a_server_marked_as_sensitive_is_not_kept() {
    let mut marked = HeaderValue::from_static("canary");
    marked.set_sensitive(true);
    let mut sent = HeaderMap::new();
    sent.insert("user-agent", marked);
    let detail = Scene::signed().note("/suno/callback", &sent).await;
    assert_eq!(*value(&detail, "user-agent"), Value::Null);
}

#[tokio::test]
async fn every_way_into_the_receiver_keeps_headers() {
    let scene = Scene::signed();
    let sent = headers(&[("user-agent", "otter/1")]);
    let request = || request("/suno/callback", &sent);
    let receiver = &scene.receiver;
    assert_eq!(receiver.receive(request()).await.status(), 200);

    let head = request();
    let lines = head.headers().iter();
    let lines = lines.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let body = head.body().clone();
    let answer = receiver.receive_plain("POST", "/suno/callback", lines, body);
    assert_eq!(answer.await.status, 200);

    let service = CallbackService::new(receiver.clone());
    let answer = service.answer(request().map(http_body_util::Full::new));
    assert_eq!(answer.await.status(), 200);

    let mut routes = router::<()>(receiver.clone());
    let answer = routes.call(request().map(Body::from)).await.unwrap();
    assert_eq!(answer.status(), 200);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = Serve::new(listener, receiver.clone()).run(std::future::pending());
    let served = tokio::spawn(served);
    let mut wire = String::from("POST /suno/callback HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    for (name, value) in head.headers() {
        wire += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    let text = str::from_utf8(head.body()).unwrap();
    wire += &format!("content-length: {}\r\n\r\n{text}", text.len());
    let answer = talk(address, wire.into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    served.abort();

    let noted = scene.noted().await;
    assert_eq!(noted.len(), 5);
    for detail in noted {
        assert_eq!(*value(&detail, "user-agent"), "otter/1");
    }
}

#[tokio::test]
async fn what_was_not_received_has_no_headers_and_neither_has_what_nobody_observes() {
    let scene = Scene::signed();
    let accepted = scene.receiver.accept(delivery(TASK, "complete")).await;
    accepted.unwrap();
    assert_eq!(scene.noted().await[0].get("headers"), None);

    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let observer = move |delivery: &Delivery, _: Acceptance| {
        told.lock().unwrap().push(delivery.headers.is_some());
    };
    let observers = vec![Arc::new(observer) as Arc<dyn Observer>];
    let inbox = Inbox::start_observed(Arc::new(MemoryStore::new()), Arc::new(observers));
    let receiver = Receiver::new(inbox, Verification::webhook_key(KEY));
    let receiver = receiver.with_clock(HandClock::new());
    let answer = receiver.receive(request("/suno/callback", &HeaderMap::new()));
    assert_eq!(answer.await.status(), 200);
    assert_eq!(*seen.lock().unwrap(), [false]);
}

#[tokio::test]
async fn no_debug_output_shows_a_header() {
    let scene = Scene::signed();
    let sent = headers(&[("user-agent", "canary"), ("x-canary", "1")]);
    let (head, body) = request("/suno/callback", &sent).into_parts();
    let admitted = scene.receiver.admit(&head).unwrap();
    let delivery = scene.receiver.verify(&admitted, body).unwrap();
    let kept = delivery.headers.as_ref().unwrap();
    assert!(
        kept.iter()
            .any(|line| line == ("user-agent", Some("canary")))
    );
    let shown = format!("{admitted:?} {delivery:?} {kept:#?}");
    assert!(
        shown.contains("kept: 5") && !shown.contains("canary"),
        "{shown}"
    );
}
