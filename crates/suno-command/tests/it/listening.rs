//! `suno listen` stores durably, handles once, and says so a line each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use serde_json::json;
use suno_callback::{ClaimRequest, Clock, Delivery, IdempotencyStore, Settlement, WorkerId};
use suno_store_sqlite::SqliteStore;
use suno_types::TaskId;

use crate::process::{PATIENCE, TASK, body, listen, listen_with, post, status, talk};

const VERIFY: [&str; 2] = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];

#[test]
fn a_handled_event_is_one_json_object_with_all_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (process, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let mut line = process.json();
    let received_at: Timestamp = line["received_at"].as_str().unwrap().parse().unwrap();
    assert!(received_at.as_second() > 1_780_000_000);
    line["received_at"] = json!(null);
    let expected = json!({
        "event": "handled", "id": 1, "verified_by": ["signature"], "task_id": TASK,
        "product": "song", "stage": "complete", "revision": 0, "code": 200, "msg": "ok",
        "error": null, "fail_code": null, "source": "callback", "received_at": null, "attempt": 1,
        "path": "", "query": "", "submit": null, "reference": null, "output": null,
        "data": {}, "extra": {},
        "tracks": [{
            "id": "a", "title": "Harbour", "tags": "warm", "prompt": null, "duration": 12.5,
            "audio_url": "https://media.example.com/a.mp3", "source_audio_url": null,
            "stream_audio_url": null, "source_stream_audio_url": null, "image_url": null,
            "source_image_url": null, "model_name": "chirp-v5",
            "created_at": "2026-05-28T20:26:40Z", "extra": {},
        }],
    });
    assert_eq!(line, expected);
    assert_eq!(process.terminate(), (0, Vec::new()));
}

#[test]
fn deliveries_that_do_not_fit_what_is_known_are_lines_and_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, address) = listen_with(&dir.path().join("suno.db"), &VERIFY, |command| {
        command.stderr(std::process::Stdio::piped())
    });
    let complete = body("complete");
    assert_eq!(post(address, TASK, &complete), 200);
    assert_eq!(process.json()["event"], "handled");
    assert_eq!(post(address, TASK, &complete.replace("12.5", "99.5")), 200);
    let odd = process.json();
    assert_eq!(
        (&odd["event"], &odd["task_id"]),
        (&json!("conflict"), &json!(TASK))
    );
    assert_eq!(odd["tracks"][0]["duration"], 99.5);
    assert_eq!(odd["verified_by"], json!(["signature"]));
    assert_eq!(post(address, TASK, &body("first")), 200);
    let late = process.json();
    assert_eq!(
        (&late["event"], &late["stage"]),
        (&json!("late"), &json!("first"))
    );
    assert_eq!(
        late["tracks"][0]["audio_url"],
        "https://media.example.com/a.mp3"
    );
    let unread = body("complete").replace(r#""code":200"#, r#""code":"two hundred""#);
    assert_eq!(post(address, TASK, &unread), 200);
    let kept = process.json();
    assert_eq!(
        (&kept["event"], &kept["task_id"]),
        (&json!("quarantined"), &json!(TASK))
    );
    assert!(kept["reason"].as_str().unwrap().contains("code"), "{kept}");
    assert_eq!(post(address, TASK, &body("error")), 200);
    let odd = process.json();
    assert_eq!(
        (&odd["event"], &odd["stage"]),
        (&json!("contradiction"), &json!("failed"))
    );
    process.signal("TERM");
    assert_eq!(process.wait(), 0);
    let log = process.stderr();
    for says in ["differs from the stored event", "complete and failed"] {
        assert!(log.contains(says), "{log}");
    }
}

#[test]
fn ten_at_once_and_again_after_restarts_are_handled_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let (process, address) = listen(&store, &VERIFY);
    let posts: Vec<_> = (0..10)
        .map(|_| thread::spawn(move || post(address, TASK, &body("complete"))))
        .collect();
    for answer in posts {
        assert_eq!(answer.join().unwrap(), 200);
    }
    assert_eq!(process.json()["stage"], "complete");
    // A crash, and then an orderly stop.
    process.kill();
    let (process, address) = listen(&store, &VERIFY);
    assert_eq!(post(address, TASK, &body("complete")), 200);
    assert_eq!(post(address, TASK, &body("first")), 200);
    let (code, lines) = process.terminate();
    assert!(lines.len() <= 1, "{lines:?}");
    let (process, address) = listen(&store, &VERIFY);
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let (code_after, lines) = process.terminate();
    assert_eq!((code, code_after, lines), (0, 0, Vec::new()));
}

#[test]
fn what_is_wrong_is_refused_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (process, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let raw = |request: &str| status(&talk(address, request.as_bytes()));
    assert_eq!(post(address, TASK, "{"), 400);
    assert_eq!(post(address, "another", &body("complete")), 401);
    assert_eq!(
        raw("GET /suno/callback HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        405
    );
    assert_eq!(
        raw("POST /other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
        404
    );
    assert_eq!(raw(&unsigned("application/json", 4_194_305)), 413);
    assert_eq!(raw(&unsigned("text/plain", 0)), 415);
    assert_eq!(raw("nonsense\r\n\r\n"), 400);
    assert_eq!(post(address, TASK, &body("text")), 200);
    assert_eq!(process.json()["stage"], "text");
    assert_eq!(process.terminate(), (0, Vec::new()));
}

fn unsigned(content_type: &str, length: usize) -> String {
    format!(
        "POST /suno/callback HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[test]
fn a_reader_that_goes_away_ends_it_with_74_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let command = format!(
        "'{}' listen --addr 127.0.0.1:0 --store 'sqlite:{}' --json {} | head -n 1",
        env!("CARGO_BIN_EXE_suno"),
        store.display(),
        VERIFY.join(" ")
    );
    let mut shell = std::process::Command::new("bash");
    shell
        .args(["-c", &format!("set -o pipefail; {command}")])
        .env("TEST_WEBHOOK_KEY", crate::process::KEY)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let listening: serde_json::Value = serde_json::from_str(&line).unwrap();
    let url = listening["url"].as_str().unwrap();
    let address: SocketAddr = url["http://".len()..]
        .split('/')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(post(address, TASK, &body("complete")), 200);
    assert_eq!(child.wait().unwrap().code(), Some(74));
    let mut log = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut log).unwrap();
    assert!(log.contains("stdout cannot be written"), "{log}");
    let (process, _) = listen(&store, &VERIFY);
    assert_eq!(process.json()["stage"], "complete");
}

/// A clock that shows a time so many days ago.
#[derive(Debug, Clone, Default)]
struct DaysAgo(Arc<AtomicU64>);

impl DaysAgo {
    fn set(&self, days: u64) {
        self.0.store(days, Ordering::SeqCst);
    }
}

impl Clock for DaysAgo {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.monotonic().as_secs().cast_signed()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        now - Duration::from_secs(self.0.load(Ordering::SeqCst) * 86_400)
    }
}

#[test]
fn what_was_handled_long_ago_is_forgotten_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("suno.db");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let clock = DaysAgo::default();
    let handle = async |store: &SqliteStore, days: u64, task: &str| {
        clock.set(days);
        let body = body("complete").replace(TASK, task);
        let delivery = Delivery::decode(body.into(), clock.now());
        store.accept(&[delivery]).await.unwrap();
        let worker = WorkerId(days);
        let request = |number| ClaimRequest::new(worker, number, Duration::from_secs(1), 1);
        let claims = store.claim(&request(1)).await.unwrap().claims;
        let settlements = vec![(claims[0].ticket, Settlement::Done)];
        let settling = request(2).with_settlements(settlements);
        store.claim(&settling).await.unwrap();
    };
    runtime.block_on(async {
        clock.set(31);
        // Open all the time: for the store, time passes only then.
        let store = SqliteStore::open_with_clock(&file, clock.clone()).unwrap();
        handle(&store, 31, "forgotten").await;
        handle(&store, 29, "known").await;
        clock.set(0);
        store.accept(&[]).await.unwrap();
    });
    let (process, _) = listen(&file, &VERIFY);
    let find = |task: &str| {
        let store = SqliteStore::open(&file).unwrap();
        let found = runtime.block_on(store.find(&TaskId::new(task).unwrap()));
        found.unwrap().pop()
    };
    let deadline = Instant::now() + PATIENCE;
    while find("forgotten").is_some() || find("known").unwrap().raw.is_some() {
        assert!(Instant::now() < deadline, "it is still there");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(process.terminate(), (0, Vec::new()));
}
