//! No web page can steer the emulator: what a browser would send for one is refused below
//! `/_emulator/`, and what programs send is not.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::receiver::Receiver;
use crate::wire;

const JSON: &str = "content-type: application/json";
const PUBLIC_URL: &str = "https://suno.example.com:8443/emulator";

/// An emulator with something to lose: a task whose callbacks were delivered, a time, a scenario.
pub(crate) struct Scene {
    pub(crate) emulator: Emulator,
    receiver: Receiver,
    pub(crate) task_id: String,
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let config = Config::default()
            .with_driven_clock(1_780_000_000_000)
            .with_seed(9)
            .with_public_base_url(PUBLIC_URL)
            .without_rate_limits();
        let emulator = Emulator::start(config).await.unwrap();
        let receiver = Receiver::start().await;
        let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
        emulator.advance(Duration::from_secs(300)).await.unwrap();
        emulator.set_scenario("stages=text", Some(3)).unwrap();
        Self {
            emulator,
            receiver,
            task_id,
        }
    }

    /// Everything that changes something: method, path below the prefix, body.
    fn changes(&self) -> Vec<(&'static str, String, &'static str)> {
        let again = format!("tasks/{}/deliver", self.task_id);
        vec![
            ("POST", "clock/advance".to_owned(), r#"{"ms":1000}"#),
            ("POST", again, r#"{"post":"complete"}"#),
            ("PUT", "scenario".to_owned(), r#"{"words":"cut"}"#),
            ("DELETE", "scenario".to_owned(), ""),
            ("POST", "scripts".to_owned(), r#"{"name":"sly","steps":[]}"#),
            ("POST", "reset".to_owned(), ""),
        ]
    }

    /// Fills in the port that the emulator listens on.
    fn filled(&self, text: &str) -> String {
        text.replace("PORT", &self.emulator.addr().port().to_string())
    }

    /// Sends a request exactly as it is written here.
    async fn ask(&self, target: &str, method: &str, headers: &[&str], body: &str) -> Reply {
        let mut lines = vec![format!("{method} {target} HTTP/1.1")];
        lines.extend(headers.iter().map(|header| (*header).to_owned()));
        lines.push("connection: close".to_owned());
        lines.push(format!("content-length: {}\r\n\r\n{body}", body.len()));
        let text = self.filled(&lines.join("\r\n"));
        let mut stream = TcpStream::connect(self.emulator.addr()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Reply {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// What a change would show in. What was ordered to leave later leaves now.
    pub(crate) async fn state(&self) -> Value {
        self.emulator.advance(Duration::ZERO).await.unwrap();
        let mut state = json!({ "received": self.receiver.received().len() });
        for path in ["status", "tasks", "attempts", "scenario", "scripts"] {
            let answer = wire::get(&self.emulator, &format!("/_emulator/{path}")).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            state[path] = answer.json();
        }
        state
    }
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    /// Checks a refusal, which must help and must not help a page.
    fn assert_is_refusal(&self, status: u16, scene: &Scene, at: &str) {
        assert_eq!(self.status, status, "{at}: {}", self.body);
        assert!(
            !self.head.contains("access-control-"),
            "{at}: {}",
            self.head
        );
        assert!(self.head.contains("x-suno-emulator: "), "{at}");
        let key = scene.emulator.api_key();
        let webhook_key = scene.emulator.webhook_key().unwrap();
        assert!(!self.body.contains(key) && !self.body.contains(webhook_key));
        assert!(!self.body.contains("evil"), "{at}: {}", self.body);
    }
}

/// Refused whatever is asked for: the headers of the request, and what the answer advises.
const FOREIGN: &[(&[&str], &str)] = &[
    // A name that resolves to this machine.
    (&["host: evil.example.com"], "localhost"),
    (&["host: evil.example.com:PORT"], "localhost"),
    (&["host: localhost.evil.example.com:PORT"], "localhost"),
    (&["host: 127.0.0.1.evil.example.com:PORT"], "localhost"),
    (&["host: evil.localhost:PORT"], "localhost"),
    (&["host: suno.example.com.evil.example.com"], "localhost"),
    (&["host: evil-suno.example.com:8443"], "localhost"),
    // What is no host, and none.
    (&["host: evil@127.0.0.1:PORT"], "localhost"),
    (&["host: 127.0.0.1:PORT, evil.example.com"], "localhost"),
    (&["host: 127.0.0.1:evil"], "localhost"),
    (&["host: 127.0.0.1:+80"], "localhost"),
    (&["host: 127.1:PORT"], "localhost"),
    (&["host: ::1"], "localhost"),
    (&["host: [::1"], "localhost"),
    (&["host: "], "localhost"),
    (&[], "localhost"),
    // Pages of other origins.
    (&["host: 127.0.0.1:PORT", "origin: null"], "web page"),
    (&["host: 127.0.0.1:PORT", "origin: "], "web page"),
    (
        &["host: 127.0.0.1:PORT", "origin: http://evil.example.com"],
        "web page",
    ),
    (
        &[
            "host: 127.0.0.1:PORT",
            "origin: http://evil.example.com:PORT",
        ],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: http://127.0.0.1:1"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: http://127.0.0.1"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: http://127.0.0.2:PORT"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: http://localhost:PORT"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: ftp://127.0.0.1:PORT"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: 127.0.0.1:PORT"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: http://evil@127.0.0.1:PORT"],
        "web page",
    ),
    (
        &[
            "host: 127.0.0.1:PORT",
            "origin: http://suno.example.com:8443",
        ],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "origin: https://suno.example.com"],
        "web page",
    ),
    (
        &[
            "host: 127.0.0.1:PORT",
            "origin: https://suno.example.com:8443/evil",
        ],
        "web page",
    ),
    (
        &[
            "host: 127.0.0.1:PORT",
            "origin: http://127.0.0.1:PORT",
            "origin: http://evil.example.com",
        ],
        "web page",
    ),
    (
        &["host: evil.example.com", "origin: http://evil.example.com"],
        "localhost",
    ),
    // Pages that a browser tells of by itself.
    (
        &["host: 127.0.0.1:PORT", "sec-fetch-site: cross-site"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "sec-fetch-site: same-site"],
        "web page",
    ),
    (
        &["host: 127.0.0.1:PORT", "sec-fetch-site: evil"],
        "web page",
    ),
    (
        &[
            "host: 127.0.0.1:PORT",
            "sec-fetch-site: none",
            "sec-fetch-site: cross-site",
        ],
        "web page",
    ),
    (
        &[
            "host: 127.0.0.1:PORT",
            "origin: http://127.0.0.1:PORT",
            "sec-fetch-site: cross-site",
        ],
        "web page",
    ),
];

#[tokio::test]
async fn a_foreign_host_origin_or_site_is_refused_with_403_and_changes_nothing() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let mut requests = scene.changes();
    for path in ["status", "tasks", "attempts", "openapi.json", "nothing"] {
        requests.push(("GET", path.to_owned(), ""));
    }
    for (headers, advice) in FOREIGN {
        let headers = [headers, &[JSON][..]].concat();
        for (method, path, body) in &requests {
            let at = format!("{method} {path} with {headers:?}");
            let target = format!("/_emulator/{path}");
            let reply = scene.ask(&target, method, &headers, body).await;
            reply.assert_is_refusal(403, &scene, &at);
            let error: Value = serde_json::from_str(&reply.body).unwrap();
            assert!(
                error["error"].as_str().unwrap().contains(advice),
                "{at}: {error}"
            );
        }
    }
    assert_eq!(scene.state().await, before);
}

#[tokio::test]
async fn what_changes_something_is_refused_with_415_unless_it_is_said_to_be_json() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    // The first three are what a page can send without a preflight.
    let wrong: &[&[&str]] = &[
        &["content-type: text/plain;charset=UTF-8"],
        &["content-type: application/x-www-form-urlencoded"],
        &["content-type: multipart/form-data; boundary=x"],
        &[],
        &["content-type: "],
        &["content-type: application/jsonp"],
        &["content-type: text/plain; application/json"],
        &["content-type: application/json, text/plain"],
        &["content-type: text/plain", JSON],
    ];
    for headers in wrong {
        let headers = [&["host: 127.0.0.1:PORT"], *headers].concat();
        let unknown = ["POST", "PUT", "PATCH", "DELETE"].map(|method| (method, "x".into(), ""));
        for (method, path, body) in scene.changes().into_iter().chain(unknown) {
            for body in [body, ""] {
                let at = format!("{method} {path} with {headers:?} and {body:?}");
                let target = format!("/_emulator/{path}");
                let reply = scene.ask(&target, method, &headers, body).await;
                reply.assert_is_refusal(415, &scene, &at);
                assert!(
                    reply.body.contains("application/json"),
                    "{at}: {}",
                    reply.body
                );
            }
        }
    }
    assert_eq!(scene.state().await, before);
}

#[tokio::test]
async fn two_hosts_are_refused_with_400_everywhere() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    let submission = wire::submission(&scene.receiver.url(), "Lantern").to_string();
    let large = "x".repeat(1024 * 1024 + 1);
    let bearer = format!("authorization: Bearer {}", scene.emulator.api_key());
    let mut requests = scene.changes();
    for (_, path, _) in &mut requests {
        path.insert_str(0, "/_emulator/");
    }
    requests.push(("GET", "/_emulator/status".to_owned(), ""));
    requests.push(("GET", "/api/v1/chat/credit".to_owned(), ""));
    requests.push(("POST", wire::SUBMIT.to_owned(), &submission));
    requests.push(("POST", wire::SUBMIT.to_owned(), &large));
    requests.push(("GET", "/nothing".to_owned(), ""));
    for second in ["host: evil.example.com", "host: 127.0.0.1:PORT"] {
        let headers = ["host: 127.0.0.1:PORT", second, JSON, &bearer];
        for (method, path, body) in &requests {
            let reply = scene.ask(path, method, &headers, body).await;
            reply.assert_is_refusal(400, &scene, &format!("{method} {path} with {second}"));
        }
    }
    assert_eq!(scene.state().await, before);
}

#[tokio::test]
async fn a_target_in_absolute_form_must_name_the_same_host() {
    let scene = Scene::start().await;
    let before = scene.state().await;
    for (target, headers, status) in [
        ("http://127.0.0.1:PORT", &["host: 127.0.0.1:PORT"][..], 200),
        ("http://LOCALHOST:PORT", &["host: localhost:PORT"], 200),
        ("http://evil.example.com", &["host: 127.0.0.1:PORT"], 403),
        ("http://127.0.0.1:PORT", &["host: evil.example.com"], 403),
        ("http://evil.example.com", &["host: evil.example.com"], 403),
        ("http://127.0.0.1:1", &["host: 127.0.0.1:PORT"], 403),
        ("http://127.0.0.1:PORT", &[], 403),
        ("http://127.0.0.1:PORT", &["host: 127.0.0.1:PORT"; 2], 400),
    ] {
        let target = format!("{target}/_emulator/status");
        let reply = scene.ask(&target, "GET", headers, "").await;
        assert_eq!(
            reply.status, status,
            "{target} with {headers:?}: {}",
            reply.body
        );
        if status != 200 {
            let target = target.replace("status", "reset");
            let headers = [headers, &[JSON][..]].concat();
            let reply = scene.ask(&target, "POST", &headers, "").await;
            reply.assert_is_refusal(status, &scene, &format!("{target} with {headers:?}"));
        }
    }
    assert_eq!(scene.state().await, before);
}

#[tokio::test]
async fn preflights_are_refused_and_no_answer_allows_another_origin() {
    let scene = Scene::start().await;
    let preflight = [
        "access-control-request-method: POST",
        "access-control-request-headers: content-type",
    ];
    for (origin, status) in [
        ("origin: http://evil.example.com", 403),
        ("origin: http://127.0.0.1:PORT", 405),
    ] {
        let headers = [&["host: 127.0.0.1:PORT", origin], &preflight[..]].concat();
        for (_, path, _) in scene.changes() {
            let reply = scene
                .ask(&format!("/_emulator/{path}"), "OPTIONS", &headers, "")
                .await;
            reply.assert_is_refusal(status, &scene, &format!("{path} with {headers:?}"));
        }
    }
    let headers = ["host: 127.0.0.1:PORT", "origin: http://127.0.0.1:PORT"];
    for path in [
        "/_emulator/status",
        "/api/v1/chat/credit",
        "/media/x/audio-1.wav",
    ] {
        let reply = scene.ask(path, "GET", &headers, "").await;
        assert!(
            !reply.head.contains("access-control-"),
            "{path}: {}",
            reply.head
        );
    }
}

#[tokio::test]
async fn programs_and_pages_of_the_emulators_own_origin_are_answered() {
    let own: &[&[&str]] = &[
        &["host: 127.0.0.1:PORT"],
        &["host: 127.0.0.1"],
        &["host: 192.0.2.7:4010"],
        &["host: [::1]:PORT"],
        &["host: [::1]"],
        &["host: localhost:PORT"],
        &["host: LocalHost"],
        &["host: suno.example.com:8443"],
        &["host: suno.example.com"],
        &["host: SUNO.example.com:4010"],
        &["host: 127.0.0.1:PORT", "origin: http://127.0.0.1:PORT"],
        &["host: [::1]:PORT", "origin: http://[::1]:PORT"],
        &[
            "host: localhost:PORT",
            "origin: http://localhost:PORT",
            "sec-fetch-site: same-origin",
        ],
        &["host: localhost", "origin: http://localhost"],
        &["host: localhost:80", "origin: http://localhost"],
        &["host: localhost", "origin: https://localhost"],
        &[
            "host: 127.0.0.1:PORT",
            "origin: https://suno.example.com:8443",
        ],
        &[
            "host: suno.example.com:8443",
            "origin: https://suno.example.com:8443",
        ],
        &["host: 127.0.0.1:PORT", "sec-fetch-site: none"],
    ];
    let types = [JSON, "Content-Type: Application/JSON ; charset=utf-8"];
    for (index, headers) in own.iter().enumerate() {
        let scene = Scene::start().await;
        let before = scene.state().await;
        let headers = [headers, &[types[index % 2]][..]].concat();
        for (method, path, body) in scene.changes() {
            let target = format!("/_emulator/{path}");
            let reply = scene.ask(&target, method, &headers, body).await;
            assert_eq!(
                reply.status, 200,
                "{method} {path} with {headers:?}: {}",
                reply.body
            );
        }
        assert_ne!(scene.state().await, before, "{headers:?}");
        let reply = scene
            .ask(
                "/_emulator/status",
                "GET",
                &headers[..headers.len() - 1],
                "",
            )
            .await;
        assert_eq!(reply.status, 200, "{headers:?}: {}", reply.body);
    }
}

#[tokio::test]
async fn without_a_public_base_url_no_name_but_localhost_is_the_emulators() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let url = format!("{}/_emulator/status", emulator.base_url());
    let answer = wire::send(http::Method::GET, &url, &[], "").await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    let origin = [("origin", "https://suno.example.com:8443")];
    let answer = wire::send(http::Method::GET, &url, &origin, "")
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_guard_holds_also_where_the_key_is_sent() {
    let config = Config::default()
        .with_addr(([0, 0, 0, 0], 0).into())
        .with_public_binding_allowed();
    let emulator = Emulator::start(config).await.unwrap();
    let url = format!("{}/_emulator/reset", emulator.base_url());
    let bearer = format!("Bearer {}", emulator.api_key());
    let key = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    let foreign = ("origin", "http://evil.example.com");
    for (headers, status) in [
        (&[key, json, foreign][..], 403),
        (&[key], 415),
        (&[key, json], 200),
    ] {
        let answer = wire::send(http::Method::POST, &url, headers, "")
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{headers:?}");
    }
}
