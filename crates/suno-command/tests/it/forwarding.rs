//! `suno listen` as a gateway of services: what they get, and when.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use suno_gateway::signing::Secret;

use crate::consumer::{Consumer, Request, until};
use crate::process::{PATIENCE, Process, TASK, body, listen_with, post, suno};

pub(crate) const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const SIGNED: [&str; 4] = [
    "--webhook-key-env",
    "TEST_WEBHOOK_KEY",
    "--signing-key-env",
    "TEST_NEW_KEY",
];

pub(crate) fn with_keys(command: &mut Command) -> &mut Command {
    command
        .env("TEST_NEW_KEY", NEW)
        .env("TEST_OLD_KEY", OLD)
        .env("TEST_TOKEN", "Bearer canary-token")
        .stderr(Stdio::piped())
}

/// A gateway on a store, and the address of its receiver.
pub(crate) fn gateway(store: &Path, more: &[&str]) -> (Process, SocketAddr) {
    listen_with(store, &[&SIGNED, more].concat(), with_keys)
}

/// The next line of a kind.
pub(crate) fn next(process: &Process, event: &str) -> Value {
    loop {
        let line = process.json();
        if line["event"] == event {
            return line;
        }
    }
}

pub(crate) fn body_of(task: &str, word: &str) -> String {
    body(word).replace(TASK, task)
}

/// The events in a state; 0 if the store is not there yet.
pub(crate) fn events(store: &Path, state: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {state}");
    let raw = rusqlite::Connection::open(store).unwrap();
    raw.query_row(&count, (), |row| row.get(0)).unwrap_or(0)
}

#[test]
fn an_event_has_the_same_id_and_bytes_after_a_failure_and_a_crash_and_every_signature_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let consumer = Consumer::start_slow(|number, _| match number {
        0 => (Duration::ZERO, "500 No".to_owned()),
        // Killed while it waits for this answer.
        1 => (PATIENCE, "200 OK".to_owned()),
        _ => (Duration::ZERO, "204 OK".to_owned()),
    });
    let url = consumer.url();
    let options = [
        "--forward-to",
        &url,
        "--lease",
        "100ms",
        "--signing-key-env",
        "TEST_OLD_KEY",
    ];
    let (process, address) = gateway(&store, &options);
    let destination = next(&process, "destination");
    assert_eq!(
        (&destination["name"], &destination["is_reachable"]),
        (&json!("forward"), &json!(true))
    );
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let attempt = next(&process, "attempt");
    assert_eq!(
        (&attempt["number"], &attempt["outcome"]["status"]),
        (&json!(1), &json!(500))
    );
    consumer.wait_for(2);
    process.kill();
    let (process, _) = gateway(&store, &options);
    let attempt = next(&process, "attempt");
    assert_eq!(
        (&attempt["action"], &attempt["task_id"]),
        (&json!("done"), &json!(TASK))
    );
    assert_eq!(process.terminate().0, 0);
    let requests = consumer.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!(request.id(), format!("{TASK}_complete_0"));
        assert_eq!(request.body, requests[0].body);
        assert_signed(request);
    }
    assert_eq!(attempt["id"], requests[0].id());
    assert_eq!(requests[0].json()["type"], "suno.songs.complete");
}

/// Fails unless a consumer with either key accepts a request.
fn assert_signed(request: &Request) {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &request.headers {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let now = suno_callback::Clock::now(&suno_callback::SystemClock);
    for key in [NEW, OLD] {
        let result = suno_gateway::signing::verify(
            &[Secret::parse(key).unwrap()],
            &headers,
            &request.body,
            now.as_second().unsigned_abs(),
            PATIENCE,
        );
        assert!(result.is_ok(), "{result:?}");
    }
}

#[test]
fn a_destination_that_is_done_gets_nothing_again_because_another_failed() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let shop = Consumer::start(|_, _| "204 OK".to_owned());
    let is_down = Arc::new(AtomicUsize::new(1));
    let down = is_down.clone();
    let books = Consumer::start(move |_, _| match down.load(Ordering::SeqCst) {
        0 => "204 OK".to_owned(),
        _ => "500 No".to_owned(),
    });
    let (to_shop, to_books) = (
        format!("shop={}", shop.url()),
        format!("books={}", books.url()),
    );
    let options = ["--forward-to", &to_shop, "--forward-to", &to_books];
    let options = [
        &options[..],
        &["--lease", "100ms", "--probe-interval", "50ms"],
    ]
    .concat();
    let (process, address) = gateway(&store, &options);
    for word in ["text", "complete"] {
        assert_eq!(post(address, TASK, &body(word)), 200);
    }
    let queue = dir.path().join("suno.db.queue-shop");
    until("the shop", || events(&queue, "settled") == 2);
    books.wait_for(2);
    process.kill();
    let (process, _) = gateway(&store, &options);
    is_down.store(0, Ordering::SeqCst);
    let complete = format!("{TASK}_complete_0");
    until("the books", || books.ids().last() == Some(&complete));
    let (code, _) = process.terminate();
    assert_eq!(code, 0);
    assert_eq!(shop.ids(), [format!("{TASK}_text_0"), complete.clone()]);
    // Alone again, it keeps its queue; the other queue is named.
    let (mut process, address) = gateway(&store, &["--forward-to", &to_shop]);
    assert_eq!(
        post(address, "another", &body_of("another", "complete")),
        200
    );
    shop.wait_for(3);
    process.signal("TERM");
    assert_eq!(process.wait(), 0);
    let log = process.stderr();
    assert!(log.contains("queue=\"books\""), "{log}");
    assert_eq!(shop.ids().last().unwrap(), "another_complete_0");
    until("the queue", || events(&queue, "settled") == 3);
}

#[test]
fn a_destination_that_is_gone_is_paused_and_gets_everything_later_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let is_gone = Arc::new(AtomicUsize::new(1));
    let gone = is_gone.clone();
    let consumer = Consumer::start(move |_, _| match gone.load(Ordering::SeqCst) {
        0 => "200 OK".to_owned(),
        _ => "410 Gone".to_owned(),
    });
    let url = consumer.url();
    let options = [
        "--forward-to",
        &url,
        "--concurrency",
        "4",
        "--paused-interval",
        "1s",
    ];
    let (process, address) = gateway(&store, &options);
    for number in 0..25 {
        let task = format!("task-{number}");
        for word in ["text", "complete"] {
            assert_eq!(post(address, &task, &body_of(&task, word)), 200);
        }
    }
    let state = next(&process, "destination_state");
    assert_eq!(
        state,
        json!({"event": "destination_state", "name": "forward", "state": "paused"})
    );
    let before = consumer.requests().len();
    assert!(before <= 4 + 3, "{before}");
    is_gone.store(0, Ordering::SeqCst);
    consumer.wait_for(before + 50);
    let state = next(&process, "destination_state");
    assert_eq!(state["state"], "closed");
    assert_eq!(process.terminate().0, 0);
    let ids = consumer.ids();
    for number in 0..25 {
        let place = |word: &str| {
            let id = format!("task-{number}_{word}_0");
            ids[before..].iter().position(|it| *it == id)
        };
        assert!(
            place("text").is_some() && place("text") < place("complete"),
            "{number}"
        );
    }
}

#[test]
fn a_destination_that_is_down_for_200_events_gets_all_of_them_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let is_down = Arc::new(AtomicUsize::new(1));
    let down = is_down.clone();
    let consumer = Consumer::start(move |_, _| match down.load(Ordering::SeqCst) {
        0 => "200 OK".to_owned(),
        _ => "503 Busy".to_owned(),
    });
    let url = consumer.url();
    let options = ["--forward-to", &url, "--probe-interval", "200ms"];
    let (process, address) = gateway(&store, &options);
    for number in 0..200 {
        let task = format!("task-{number}");
        assert_eq!(post(address, &task, &body_of(&task, "complete")), 200);
    }
    assert_eq!(next(&process, "destination_state")["state"], "open");
    is_down.store(0, Ordering::SeqCst);
    // What failed before it was down waits for its back-off of 5 s at first.
    let started = std::time::Instant::now();
    let done = || {
        let mut ids: Vec<String> = consumer.ids();
        ids.sort();
        ids.dedup();
        ids.len()
    };
    until("all events", || {
        done() == 200 && events(&store, "settled") == 200
    });
    assert!(started.elapsed() < PATIENCE);
    let (code, lines) = process.terminate();
    assert_eq!(code, 0);
    // No more attempts than what was on its way when it went down.
    let attempts = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let most = attempts.filter_map(|line| line["number"].as_u64()).max();
    assert!(most <= Some(3), "{most:?}");
}

#[test]
fn a_slow_service_holds_up_only_its_own_task() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let consumer = Consumer::start_slow(|_, request| match request.id().starts_with("slow") {
        true => (Duration::from_secs(1), "200 OK".to_owned()),
        false => (Duration::ZERO, "200 OK".to_owned()),
    });
    let url = consumer.url();
    let (process, address) = gateway(&store, &["--forward-to", &url]);
    for word in ["text", "first"] {
        assert_eq!(post(address, "slow", &body_of("slow", word)), 200);
    }
    for number in 0..20 {
        let task = format!("task-{number}");
        assert_eq!(post(address, &task, &body_of(&task, "complete")), 200);
    }
    let ids: Vec<String> = consumer
        .wait_for(22)
        .iter()
        .map(|it| it.id().to_owned())
        .collect();
    assert_eq!((&*ids[0], &*ids[21]), ("slow_text_0", "slow_first_0"));
    assert_eq!(process.terminate().0, 0);
}

#[test]
fn a_reader_of_stdout_that_goes_away_stops_no_forwarding() {
    use std::io::BufRead;

    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let consumer = Consumer::start(|_, _| "200 OK".to_owned());
    let listen = [
        "listen",
        "--addr",
        "127.0.0.1:0",
        "--store",
        &store,
        "--json",
    ];
    let url = consumer.url();
    let mut command = suno(&[&listen[..], &SIGNED, &["--forward-to", &url]].concat());
    command.env("TEST_WEBHOOK_KEY", crate::process::KEY);
    with_keys(&mut command).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let address = suno_testkit::receiver::address_of(&line).unwrap();
    for (number, task) in ["one", "two", "three"].into_iter().enumerate() {
        assert_eq!(post(address, task, &body_of(task, "complete")), 200);
        consumer.wait_for(number + 1);
    }
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
