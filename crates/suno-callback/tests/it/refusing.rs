//! What the log says of refusals.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Request;
use suno_callback::{Receiver, Verification};

use crate::logs::Logs;
use crate::receiving::receiver;
use crate::scene::{KEY, TASK, body, post, signed};

/// The commonest reason why a callback does not arrive is that its address, method or type is wrong,
/// and only this side can see it.
#[tokio::test]
async fn each_refusal_is_a_warning_that_says_what_was_asked_for_and_what_is_served() {
    let logs = Logs::collect();
    let (receiver, store) = receiver(Verification::webhook_key(KEY));
    let typed = |method: &str, path: &str, name: &str, value: &str| {
        let request = Request::builder().method(method).uri(path);
        request.header(name, value).body(Bytes::new()).unwrap()
    };
    let json = "application/json";
    let large = Receiver::BODY_BYTES_MAX + 1;
    let signed_body = |body: &str| signed(TASK, body);
    store.down.store(true, Ordering::SeqCst);
    let cases = [
        (
            typed("POST", "/webhook/suno", "content-type", json),
            404,
            "no callbacks are received",
        ),
        (
            typed("GET", "/suno/callback", "accept", "*/*"),
            405,
            "the method is not POST",
        ),
        (
            typed("POST", "/suno/callback", "content-type", "text/xml"),
            415,
            "not application/json",
        ),
        (
            typed("POST", "/suno/callback", "content-encoding", "gzip"),
            415,
            "compressed",
        ),
        (
            typed(
                "POST",
                "/suno/callback",
                "content-length",
                &large.to_string(),
            ),
            413,
            "too large",
        ),
        (
            typed("POST", "/suno/callback", "content-type", json),
            401,
            "callback rejected",
        ),
        (signed_body("{"), 400, "callback rejected"),
        (
            signed_body(&body(TASK, "complete")),
            503,
            "callback not stored",
        ),
    ];
    for (request, status, reason) in cases {
        let (method, path) = (
            request.method().to_string(),
            request.uri().path().to_owned(),
        );
        assert_eq!(receiver.receive(request).await.status(), status, "{reason}");
        let lines = logs.lines("WARN", reason);
        let line = lines
            .last()
            .unwrap_or_else(|| panic!("not logged: {reason}"));
        assert!(line.contains(&format!("status={status}")), "{line}");
        if status != 503 && status != 400 {
            assert!(line.contains(&format!("method=\"{method}\"")), "{line}");
            assert!(line.contains(&format!("path=\"{path}\"")), "{line}");
            assert!(line.contains("served=\"/suno/callback\""), "{line}");
        }
    }
}

#[tokio::test]
async fn a_flood_of_refusals_is_a_few_lines_of_each_reason() {
    let logs = Logs::collect();
    let (receiver, _) = receiver(Verification::webhook_key(KEY));
    for number in 0..200 {
        let elsewhere = post(&format!("/elsewhere/{number}"));
        let elsewhere = elsewhere.body(Bytes::new()).unwrap();
        assert_eq!(receiver.receive(elsewhere).await.status(), 404);
    }
    assert_eq!(logs.lines("WARN", "no callbacks are received").len(), 5);
}
