//! Events as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use suno_callback::{
    Event, IdempotencyStore, Observer, Pipeline, Settlement, Verification, handler_fn,
};
use suno_gateway::admin::{Admin, Feed};
use suno_testkit::late::LateStore;
use suno_testkit::wrapper::Wrapped;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;

use super::{Running, accept, settle_all, store};

/// A stream that is being read.
struct Reader {
    lines: Lines<BufReader<OwnedReadHalf>>,
    head: String,
    _write: tokio::net::tcp::OwnedWriteHalf,
}

impl Reader {
    async fn open(running: &Running, path: &str, headers: &str) -> Self {
        let stream = TcpStream::connect(running.addr).await.unwrap();
        let (read, mut write) = stream.into_split();
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{headers}\r\n",
            running.addr
        );
        write.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(read).lines();
        let mut head = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.is_empty() {
                break;
            }
            head.push_str(&line);
            head.push('\n');
        }
        Self {
            lines,
            head,
            _write: write,
        }
    }

    /// The next line of a message; `None` at the end of the stream. Lines of the transfer are
    /// skipped.
    async fn line(&mut self) -> Option<String> {
        let reading = async {
            loop {
                let line = self.lines.next_line().await.ok()??;
                if line.contains(':') {
                    return Some(line);
                }
            }
        };
        timeout(Duration::from_secs(20), reading).await.unwrap()
    }

    /// The value of the next line with this field. Comments that keep the stream open do not extend
    /// the wait.
    async fn field(&mut self, name: &str) -> String {
        let reading = async {
            loop {
                let Some(line) = self.line().await else {
                    panic!("the stream has ended");
                };
                if let Some(value) = line.strip_prefix(&format!("{name}: ")) {
                    return value.to_owned();
                }
            }
        };
        timeout(Duration::from_secs(20), reading).await.unwrap()
    }
}

#[tokio::test]
async fn a_stream_begins_at_once_and_continues_after_the_last_id() {
    let store = store();
    for task in ["a", "b", "c"] {
        accept(&*store, task, "complete").await;
    }
    let running = Running::start(Admin::new(store.clone())).await;
    let mut reader = Reader::open(&running, "/v1/events", "").await;
    for line in [
        "content-type: text/event-stream\n",
        "cache-control: no-store, no-transform\n",
        "x-accel-buffering: no\n",
    ] {
        assert!(reader.head.contains(line), "{}", reader.head);
    }
    assert_eq!(reader.line().await.unwrap(), "retry: 1000");
    let mut ids = Vec::new();
    for task in ["a", "b", "c"] {
        assert_eq!(reader.field("event").await, "event");
        ids.push(reader.field("id").await);
        let event: serde_json::Value = serde_json::from_str(&reader.field("data").await).unwrap();
        assert_eq!(
            (event["task_id"].as_str(), event["id"].as_str()),
            (Some(task), Some(&*ids[ids.len() - 1]))
        );
    }
    // Stored by another process.
    accept(&*store, "d", "complete").await;
    let fourth = reader.field("id").await;
    assert!(!ids.contains(&fourth), "nothing is sent twice");

    let header = format!("last-event-id: {}\r\n", ids[1]);
    let mut again = Reader::open(&running, "/v1/events?after=0", &header).await;
    assert_eq!(again.field("event").await, "event");
    assert_eq!(again.field("id").await, ids[2]);
    let mut filtered = Reader::open(&running, "/v1/events?task=b", "").await;
    assert_eq!(filtered.field("id").await, ids[1]);
    running.stop().await;
}

#[tokio::test]
async fn a_cursor_that_the_store_does_not_know_is_told_to_read_again() {
    let store = store();
    let running = Running::start(Admin::new(store.clone())).await;
    for last in ["12345", "x", "-1"] {
        let header = format!("last-event-id: {last}\r\n");
        let mut reader = Reader::open(&running, "/v1/events", &header).await;
        assert_eq!(reader.field("event").await, "resync", "{last}");
    }
    let mut fresh = Reader::open(&running, "/v1/events?after=0", "").await;
    accept(&*store, "a", "complete").await;
    assert_eq!(fresh.field("event").await, "event");
    running.stop().await;
}

#[tokio::test]
async fn what_this_process_receives_and_handles_is_told_at_once_and_in_order() {
    let store = store();
    let feed = Arc::new(Feed::new());
    let running = Running::start(Admin::new(store.clone()).with_feed(feed.clone())).await;
    let mut reader = Reader::open(&running, "/v1/events", "").await;
    assert_eq!(reader.line().await.unwrap(), "retry: 1000");
    let observers: Vec<Arc<dyn Observer>> = vec![feed];
    let (go, gone) = tokio::sync::watch::channel(false);
    let handler = handler_fn(move |_: Event| {
        let mut gone = gone.clone();
        async move {
            gone.wait_for(|gone| *gone).await?;
            Ok(())
        }
    });
    let pipeline = Pipeline::builder(store.clone(), handler, Verification::dangerous_none())
        .with_observer(observers)
        .start()
        .unwrap();
    let body = crate::scene::callback("a", "complete", "x");
    let request = suno_callback::http::Request::post("/suno/callback")
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    assert_eq!(pipeline.receiver().receive(request).await.status(), 200);
    assert_eq!(reader.field("event").await, "event");
    let id = reader.field("id").await;
    go.send_replace(true);
    assert_eq!(reader.field("event").await, "changed");
    let changed: serde_json::Value = serde_json::from_str(&reader.field("data").await).unwrap();
    assert_eq!(
        (changed["id"].as_str(), changed["change"].as_str()),
        (Some(&*id), Some("done"))
    );
    // The store records the end of the event after the report.
    while store.counts().await.unwrap().done == 0 {
        tokio::task::yield_now().await;
    }
    let redriven = running.post(&format!("/v1/events/{id}/redrive"), "").await;
    assert_eq!(redriven.status, 200);
    assert_eq!(reader.field("event").await, "changed");
    assert!(reader.field("data").await.contains("\"redriven\""));
    pipeline.stop().await;
    running.stop().await;
}

#[tokio::test]
async fn an_event_that_becomes_visible_late_is_sent_to_an_open_reader_and_to_one_who_returns() {
    let store = Arc::new(Wrapped(LateStore::default()));
    store.hide(2);
    for task in ["a", "b", "c"] {
        accept(&*store, task, "complete").await;
    }
    let running = Running::start(Admin::new(store.clone())).await;
    let mut open = Reader::open(&running, "/v1/events", "").await;
    let message = async |reader: &mut Reader| {
        let id = reader.field("id").await;
        let event: serde_json::Value = serde_json::from_str(&reader.field("data").await).unwrap();
        (id, event["id"].as_str().unwrap().to_owned())
    };
    let pair = |id: &str, event: &str| (id.to_owned(), event.to_owned());
    assert_eq!(message(&mut open).await, pair("1", "1"));
    assert_eq!(message(&mut open).await, pair("1", "3"));
    store.show(2);
    assert_eq!(message(&mut open).await, pair("3", "2"));
    accept(&*store, "d", "complete").await;
    assert_eq!(message(&mut open).await, pair("4", "4"));
    // Its connection was cut after the third event.
    let mut back = Reader::open(&running, "/v1/events", "last-event-id: 1\r\n").await;
    for id in ["2", "3", "4"] {
        assert_eq!(message(&mut back).await, pair(id, id));
    }
    running.stop().await;
}

#[tokio::test]
async fn deliveries_that_make_no_event_are_told_once_for_each_task() {
    let store = store();
    let feed = Arc::new(Feed::new());
    let running = Running::start(Admin::new(store.clone()).with_feed(feed.clone())).await;
    let mut reader = Reader::open(&running, "/v1/events", "").await;
    assert_eq!(reader.line().await.unwrap(), "retry: 1000");
    let delivery = |task: &str, title: &str| {
        let body = crate::scene::callback(task, "complete", title);
        suno_callback::Delivery::decode(body.into(), super::now())
    };
    let deliver = async |delivery: suno_callback::Delivery| {
        let accepted = store.accept(std::slice::from_ref(&delivery)).await.unwrap();
        feed.on_delivery(&delivery, accepted[0]);
    };
    deliver(delivery("a", "x")).await;
    assert_eq!(reader.field("event").await, "event");
    for _ in 0..5 {
        deliver(delivery("a", "x")).await;
    }
    let broken = suno_callback::Delivery::decode("{".into(), super::now());
    deliver(broken).await;
    let mut changes = Vec::new();
    for _ in 0..2 {
        assert_eq!(reader.field("event").await, "changed");
        let data: serde_json::Value = serde_json::from_str(&reader.field("data").await).unwrap();
        changes.push((data["task_id"].clone(), data["change"].clone()));
    }
    use serde_json::json;
    assert_eq!(
        changes,
        [
            (json!(null), json!("quarantined")),
            (json!("a"), json!("duplicate"))
        ]
    );
    // More than fit into one look: the reader is told to read its list again.
    for task in 0..100 {
        deliver(delivery(&format!("t{task}"), "x")).await;
        feed.on_delivery(
            &delivery(&format!("t{task}"), "x"),
            suno_callback::Acceptance::Conflict,
        );
    }
    loop {
        match &*reader.field("event").await {
            "resync" => break,
            "event" => {}
            other => panic!("{other}"),
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn streams_end_at_a_stop_and_their_number_is_bounded() {
    let store = store();
    accept(&*store, "a", "complete").await;
    settle_all(&*store, Some(Settlement::Done)).await;
    let running = Running::start(Admin::new(store)).await;
    let mut readers = Vec::new();
    for _ in 0..32 {
        readers.push(Reader::open(&running, "/v1/events", "").await);
    }
    let refused = running
        .ask("GET", "/v1/events", "accept: text/event-stream\r\n", "")
        .await;
    assert_eq!(
        (refused.status, &*refused.problem()),
        (503, "too-many-streams")
    );
    let stopping = timeout(Duration::from_secs(4), running.stop());
    stopping.await.expect("no stream holds up the stop");
    for mut reader in readers {
        while reader.line().await.is_some() {}
    }
}
