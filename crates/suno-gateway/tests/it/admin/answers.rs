//! What all answers have in common.

use std::io;
use std::sync::{Arc, Mutex};

use suno_gateway::admin::{Admin, Asset};

use super::{Running, accept, store, token};
use crate::scene::TASK;

#[tokio::test]
async fn every_answer_has_the_policy_and_is_not_stored() {
    let page = Asset::new("/", "text/html; charset=utf-8", "<!doctype html>");
    let running = Running::start(Admin::new(store()).with_token(token()).with_asset(page)).await;
    for path in ["/", "/livez", "/v1/events", "/nothing"] {
        let answer = running.get(path).await;
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'") && policy.contains("trusted-types 'none'"));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        let expected = if path == "/" { "no-cache" } else { "no-store" };
        assert_eq!(answer.headers["cache-control"], expected);
    }
    // Anyone may navigate to the page, and nothing else may load it.
    let from_elsewhere = "sec-fetch-site: cross-site\r\nsec-fetch-dest: ";
    for (dest, status) in [("document", 200), ("iframe", 403), ("script", 403)] {
        let headers = format!("{from_elsewhere}{dest}\r\n");
        assert_eq!(running.ask("GET", "/", &headers, "").await.status, status);
    }
    let etag = format!(
        "if-none-match: {}\r\n",
        running.get("/").await.headers["etag"]
    );
    assert_eq!(running.ask("GET", "/", &etag, "").await.status, 304);
    running.stop().await;
}

#[tokio::test]
async fn a_body_is_bounded_whether_or_not_its_length_is_announced() {
    let running = Running::start(Admin::new(store())).await;
    let head = format!(
        "POST /v1/events/1/redrive HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
         content-type: application/json\r\n",
        running.addr
    );
    let announced = format!("{head}content-length: 300000\r\n\r\n");
    assert_eq!(running.send(&announced).await.problem(), "too-large");
    let chunk = "a".repeat(0x48000);
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n48000\r\n{chunk}\r\n");
    let answer = running.send(&chunked).await;
    assert_eq!((answer.status, &*answer.problem()), (413, "too-large"));
    running.stop().await;
}

/// Collects log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_answer_and_no_log_line_repeats_what_was_sent() {
    const CANARY: &str = "canary-5up3rs3cr3t";
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // One that takes everything lives as long as the process. Otherwise a line of code that another
    // test reaches at the wrong moment is taken for one that nobody wants to log.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(subscriber);
    let store = store();
    accept(&*store, TASK, "complete").await;
    let running = Running::start(Admin::new(store).with_token(token())).await;
    let bearer = format!("authorization: Bearer {}\r\n", super::TOKEN);
    let canaries = format!("{bearer}x-secret: {CANARY}\r\ncookie: a={CANARY}\r\n");
    let mut answers = Vec::new();
    for (method, path, headers, body) in [
        ("GET", format!("/v1/events?task={CANARY}"), &canaries, ""),
        ("GET", format!("/v1/events?{CANARY}=1"), &canaries, ""),
        ("GET", format!("/v1/events?state={CANARY}"), &canaries, ""),
        ("GET", format!("/v1/events/{CANARY}"), &canaries, ""),
        ("GET", format!("/{CANARY}"), &canaries, ""),
        (
            "GET",
            "/v1/events".to_owned(),
            &format!("authorization: Bearer {CANARY}\r\n"),
            "",
        ),
        (
            "GET",
            "/v1/events".to_owned(),
            &format!("{bearer}origin: http://{CANARY}\r\n"),
            "",
        ),
        ("POST", "/v1/events/1/replay".to_owned(), &canaries, CANARY),
        (
            "POST",
            "/v1/events/1/replay".to_owned(),
            &canaries,
            r#"{"destination":"canary-5up3rs3cr3t"}"#,
        ),
        (
            "POST",
            "/v1/events/1/redrive".to_owned(),
            &canaries,
            r#"{"canary-5up3rs3cr3t":1}"#,
        ),
        (
            "POST",
            format!("/v1/destinations/{CANARY}/resume"),
            &canaries,
            "",
        ),
    ] {
        let answer = running.ask(method, &path, headers, body).await;
        let shown = format!("{answer:?}");
        assert!(!shown.contains(CANARY), "{method} {path}: {shown}");
        answers.push(answer.status);
    }
    assert_eq!(
        answers,
        [200, 400, 400, 404, 404, 401, 403, 400, 404, 400, 404]
    );
    running.stop().await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("a request to the admin address was refused"),
        "{log}"
    );
    assert!(
        !log.contains(CANARY) && !log.contains(super::TOKEN),
        "{log}"
    );
}
