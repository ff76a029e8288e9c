//! `suno listen --ack`: an event is handled when its reader says so, and not before.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::process::{KEY, PATIENCE, Process, TASK, body, listen_with, post, skipped};

const ACK: [&str; 3] = ["--webhook-key-env", "TEST_WEBHOOK_KEY", "--ack"];

fn listening(store: &Path) -> (Process, SocketAddr) {
    listen_with(store, &ACK, |command| {
        command.stdin(Stdio::piped()).stderr(Stdio::null())
    })
}

#[test]
fn what_was_not_acknowledged_is_printed_again_and_what_was_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let (mut process, address) = listening(&store);
    assert_eq!(post(address, TASK, &body("text")), 200);
    let text = process.json();
    assert_eq!(text["verified_by"], serde_json::json!(["signature"]));
    process.say(&format!(r#"{{"ack":{}}}"#, text["id"]));
    assert_eq!(post(address, TASK, &body("complete")), 200);
    assert_eq!(process.json()["stage"], "complete");
    // The reader goes away without a word about it.
    process.hang_up();
    assert_eq!(process.wait(), 74);
    let (mut process, _) = listening(&store);
    let again = process.json();
    assert_eq!(again["stage"], "complete");
    process.say(&format!(r#"{{"ack":{}}}"#, again["id"]));
    assert_eq!(process.terminate(), (0, Vec::new()));
}

#[test]
fn a_reader_can_have_an_event_again_or_never_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let (mut process, address) = listening(&store);
    process.say("nonsense");
    process.say(r#"{"ack":4711}"#);
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let first = process.json();
    process.say(&format!(
        r#"{{"retry":{},"after":"10ms","reason":"busy"}}"#,
        first["id"]
    ));
    let second = process.json();
    assert_eq!(second["attempt"], 2);
    process.say(&format!(
        r#"{{"dead":{},"reason":"no such user"}}"#,
        second["id"]
    ));
    let raw = rusqlite::Connection::open(&store).unwrap();
    let started = Instant::now();
    let dead = |raw: &rusqlite::Connection| {
        let reason = "SELECT reason FROM dead";
        raw.query_row(reason, (), |row| row.get::<_, String>(0))
    };
    while dead(&raw).is_err() {
        assert!(started.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(dead(&raw).unwrap(), "no such user");
    assert_eq!(process.terminate(), (0, Vec::new()));
}

/// Runs `suno listen --ack` and writes down the task of each event before it acknowledges it.
const READER: &str = r#"
import json, os, subprocess, sys
program, store, url, done = sys.argv[1:]
child = subprocess.Popen(
    [program, "listen", "--addr", "127.0.0.1:0", "--store", "sqlite:" + store,
     "--webhook-key-env", "TEST_WEBHOOK_KEY", "--ack"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
with open(done, "a") as tasks:
    for line in child.stdout:
        line = json.loads(line)
        if line["event"] == "listening":
            with open(url + ".new", "w") as file:
                file.write(line["url"])
            os.rename(url + ".new", url)
            continue
        tasks.write(line["task_id"] + "\n")
        tasks.flush()
        os.fsync(tasks.fileno())
        print(json.dumps({"ack": line["id"]}), file=child.stdin, flush=True)
"#;

struct Reader(Child);

impl Reader {
    /// Starts it, and returns the address of its receiver.
    fn start(dir: &Path) -> (Self, SocketAddr) {
        let url = dir.join("url");
        let _ = fs::remove_file(&url);
        let child = Command::new("python3")
            .args(["-c", READER, env!("CARGO_BIN_EXE_suno")])
            .args([dir.join("suno.db"), url.clone(), dir.join("done")])
            .env("TEST_WEBHOOK_KEY", KEY)
            .spawn()
            .unwrap();
        let reader = Self(child);
        let started = Instant::now();
        let url = loop {
            assert!(started.elapsed() < PATIENCE);
            match fs::read_to_string(&url) {
                Ok(url) => break url,
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let address = url.strip_prefix("http://").unwrap().split('/').next();
        (reader, address.unwrap().parse().unwrap())
    }
}

impl Drop for Reader {
    /// As a crash does: whatever it was doing.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_reader_in_python_that_is_killed_again_and_again_loses_nothing() {
    let has_python = Command::new("python3").arg("--version").output();
    if !has_python.is_ok_and(|output| output.status.success()) {
        skipped("python3 was not found");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut sent = BTreeSet::new();
    for round in 0..4 {
        let (reader, address) = Reader::start(dir.path());
        for number in 0..12 {
            let task = format!("{round:016x}{number:016x}");
            assert_eq!(
                post(address, &task, &body("complete").replace(TASK, &task)),
                200
            );
            sent.insert(task);
        }
        drop(reader);
    }
    let (_reader, _) = Reader::start(dir.path());
    let started = Instant::now();
    loop {
        let done = fs::read_to_string(dir.path().join("done")).unwrap_or_default();
        let done: BTreeSet<String> = done.lines().map(str::to_owned).collect();
        if done == sent {
            break;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{} of {}",
            done.len(),
            sent.len()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
