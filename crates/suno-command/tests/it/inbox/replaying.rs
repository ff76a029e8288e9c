//! Sending an event once more.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};
use suno_callback::Settlement;

use super::{Inbox, assert_described};
use crate::process::run;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Answers one request after the other with these statuses, and returns what was sent.
fn consumer(statuses: &'static [u16]) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "http://{}/suno?token=canary",
        listener.local_addr().unwrap()
    );
    let thread = thread::spawn(move || {
        let requests = statuses.iter().map(|status| {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
            loop {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&request);
                let length = text
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: Option<usize> = length.and_then(|length| length.parse().ok());
                if let (Some(end), Some(length)) = (text.find("\r\n\r\n"), length)
                    && request.len() >= end + 4 + length
                {
                    break;
                }
            }
            let answer =
                format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        requests.collect()
    });
    (url, thread)
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let prefix = format!("{name}: ");
    request
        .lines()
        .find_map(|line| line.strip_prefix(prefix.as_str()))
}

#[test]
fn a_replay_has_the_same_id_and_a_number_and_changes_no_state() {
    let inbox = Inbox::new();
    inbox.accept("a", "complete", "Harbour", 60);
    inbox.settle(Some(Settlement::Done));
    let (url, consumer) = consumer(&[200, 200, 500, 200]);
    let replay = |more: &[&str]| {
        let arguments = [
            "replay",
            "1",
            "--to",
            &url,
            "--signing-key-env",
            "KEY",
            "--json",
        ];
        run(inbox
            .command(&[&arguments[..], more].concat())
            .env("KEY", SECRET))
    };
    let (code, stdout, stderr) = replay(&[]);
    assert_eq!(code, 0, "{stderr}");
    let told: Value = serde_json::from_str(&stdout).unwrap();
    assert_described("replayed", std::slice::from_ref(&told));
    assert_eq!(
        (&told["replay"], &told["attempt"]["outcome"]["status"]),
        (&json!(1), &json!(200))
    );
    assert_eq!(replay(&[]).0, 0);
    let (code, _, stderr) = replay(&[]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("500") && !stderr.contains("canary"),
        "{stderr}"
    );
    assert_eq!(replay(&["--new-id"]).0, 0);
    let requests = consumer.join().unwrap();
    let ids: Vec<_> = requests
        .iter()
        .map(|it| header(it, "webhook-id").unwrap())
        .collect();
    assert_eq!(ids[..3], ["a_complete_0"; 3]);
    assert!(ids[3].starts_with("copy-"), "{}", ids[3]);
    let numbers = requests.iter().map(|it| header(it, "suno-replay").unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    let id_in_body = |request: &str| {
        let body = request.split("\r\n\r\n").nth(1).unwrap();
        serde_json::from_str::<Value>(body).unwrap()["data"]["id"].clone()
    };
    assert_eq!(id_in_body(&requests[0]), "a_complete_0");
    assert_eq!(id_in_body(&requests[3]), ids[3]);
    let story = inbox.json(&["show", "1", "--json"]).remove(0);
    assert_eq!(story["events"][0]["state"], "done");
    assert_eq!(story["history"].as_array().unwrap().len(), 4);
    let text = inbox.ok(&["show", "1"]);
    assert!(text.contains("3 to replay: 500 in "), "{text}");
}

#[test]
fn a_replay_needs_a_key_an_event_and_a_url() {
    let inbox = Inbox::new();
    let replay = |id: &str, url: &str, key: &str| {
        let arguments = ["replay", id, "--to", url, "--signing-key-env", "KEY"];
        run(inbox.command(&arguments).env("KEY", key))
    };
    let (code, _, stderr) = replay("1", "http://127.0.0.1:1/", "canary");
    assert_eq!(code, 2);
    assert!(!stderr.contains("canary"), "{stderr}");
    assert_eq!(replay("1", "file:///x", SECRET).0, 2);
    assert_eq!(replay("1", "http://127.0.0.1:1/", SECRET).0, 1);
}
