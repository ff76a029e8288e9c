//! Spans arrive at a collector, and one that does not answer delays the end by a few seconds at most.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use suno_callback::bytes::Bytes;
use suno_callback::{MemoryStore, Pipeline, Verification, handler_fn, http};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;

use super::*;

const KEY: &str = "whk-amber-otter";
const TASK: &str = "5c79be8e";

/// A collector that answers each request with `answer`, and what it got.
fn collector(answer: &'static str) -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut part = [0; 4_096];
            loop {
                let length = stream.read(&mut part).unwrap_or_default();
                request.extend_from_slice(&part[..length]);
                if length == 0 || is_whole(&request) {
                    break;
                }
            }
            let _ = tell.send(request);
            match answer {
                "" => thread::park(),
                answer => drop(stream.write_all(answer.as_bytes())),
            }
        }
    });
    (endpoint, told)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let length = text
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next());
    let length: Option<usize> = length.and_then(|length| length.parse().ok());
    let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    head.zip(length)
        .is_some_and(|(head, length)| request.len() >= head + 4 + length)
}

/// Handles one callback while an export to `endpoint` runs, and ends it within a time.
async fn export(endpoint: &str, time_max: Duration) {
    let export = Export::to(Some(endpoint)).unwrap();
    let (done, mut is_done) = tokio::sync::mpsc::unbounded_channel();
    let handler = handler_fn(move |_| {
        let sent = done.send(());
        async move { Ok(sent?) }
    });
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline::builder(store, handler, Verification::webhook_key(KEY));
    let pipeline = pipeline.with_observer(export.observer()).start().unwrap();
    let now = SystemClock.now().as_second().unsigned_abs();
    let signature = WebhookKey::new(KEY).sign(&TaskId::new(TASK).unwrap(), now);
    let request = http::Request::post("/suno/callback")
        .header("content-type", "application/json")
        .header("x-webhook-timestamp", now)
        .header("x-webhook-signature", &signature)
        .body(Bytes::from(format!(
            r#"{{"code":200,"data":{{"callbackType":"text","task_id":"{TASK}","data":[]}}}}"#
        )));
    let answer = pipeline.receiver().receive(request.unwrap()).await;
    assert_eq!(answer.status(), 200);
    is_done.recv().await.unwrap();
    pipeline.stop().await;
    export.finish_within(time_max).await;
}

#[tokio::test]
async fn the_spans_of_a_task_arrive_in_one_trace_without_anything_secret() {
    let (endpoint, requests) = collector("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    export(&endpoint, FLUSH_MAX).await;
    let mut all = Vec::new();
    for request in requests.try_iter() {
        assert!(request.starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
        all.extend(request);
    }
    let has = |part: &[u8]| {
        all.windows(part.len())
            .filter(|bytes| *bytes == part)
            .count()
    };
    for text in [
        "answer",
        "store",
        "handle",
        "suno.task_id",
        "suno.stage",
        "service.name",
    ] {
        assert!(has(text.as_bytes()) > 0, "{text}");
    }
    let trace = context(TASK).trace_id().to_bytes();
    assert_eq!(has(&trace), 2, "the spans of the store and of the handler");
    assert_eq!(
        has(KEY.as_bytes()) + has(b"callbackType") + has(b"x-webhook"),
        0
    );
}

#[tokio::test]
async fn a_collector_that_does_not_answer_delays_the_end_within_a_bound() {
    let (endpoint, requests) = collector("");
    let begun = std::time::Instant::now();
    export(&endpoint, FLUSH_MAX).await;
    assert!(requests.try_recv().is_ok());
    assert!(
        begun.elapsed() < FLUSH_MAX + Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_no_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    export(&endpoint, FLUSH_MAX).await;
}
