//! `suno emulate` as a new user meets it.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::process::{Process, run, status, suno, talk};

/// A running `suno emulate` and what it printed.
struct Emulator {
    process: Process,
    variables: BTreeMap<String, String>,
}

impl Emulator {
    /// Starts it; it prints so many lines.
    fn start(mut command: Command, lines: usize) -> Self {
        command.stderr(Stdio::null());
        Self::start_logging(command, lines)
    }

    /// The same, with its stderr where the command has it.
    fn start_logging(mut command: Command, lines: usize) -> Self {
        command.env("TEST_API_KEY", "sk_of_this_test");
        let process = Process::start_logging(command);
        let variables = (0..lines).map(|_| {
            let line = process.line();
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        let variables = variables.collect();
        Self { process, variables }
    }

    fn address(&self) -> SocketAddr {
        let url = self.variables["SUNO_BASE_URL"].strip_prefix("http://");
        url.unwrap().parse().unwrap()
    }

    /// The answer to a request, head and all.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let address = self.address();
        let key = &self.variables["SUNO_API_KEY"];
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\
             authorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = talk(address, request.as_bytes());
        assert!(answer.contains("\r\nx-suno-emulator: "), "{answer}");
        answer
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.ask(method, path, "content-type: application/json\r\n", &body);
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn submit(&self, title: &str) -> Value {
        self.submit_to(title, "http://127.0.0.1:9/callback")
    }

    fn submit_to(&self, title: &str, callback_url: &str) -> Value {
        let body = json!({
            "uploadUrl": "https://files.example.com/voice.mp3", "title": title, "tags": "folk",
            "negativeTags": "drums", "callBackUrl": callback_url,
        });
        self.json("POST", "/api/v1/generate/add-instrumental", &body)
    }
}

#[test]
fn it_prints_what_a_client_needs_and_ends_with_0_when_it_is_told_to() {
    let emulator = Emulator::start(suno(&["emulate"]), 3);
    let names: Vec<&str> = emulator.variables.keys().map(String::as_str).collect();
    assert_eq!(names, ["SUNO_API_KEY", "SUNO_BASE_URL", "SUNO_WEBHOOK_KEY"]);
    assert!(emulator.address().ip().is_loopback());
    assert_eq!(emulator.submit("Lantern")["code"], 200);
    assert_eq!(emulator.process.terminate(), (0, vec![]));

    let unsigned = Emulator::start(suno(&["emulate", "--provider", "sunoapi"]), 2);
    assert!(!unsigned.variables.contains_key("SUNO_WEBHOOK_KEY"));
    let more = [
        "emulate",
        "--no-webhook-key",
        "--api-key-env",
        "TEST_API_KEY",
    ];
    let given = Emulator::start(suno(&more), 2);
    assert_eq!(given.variables["SUNO_API_KEY"], "sk_of_this_test");
    assert_eq!(given.submit("Lantern")["code"], 200);
}

#[test]
fn its_clock_can_be_driven_over_http() {
    let start_ms = 1_780_000_000_000_u64;
    let clock = format!("--driven-clock={start_ms}");
    let more = ["--seed", "7", "--no-rate-limits", "--retry-pauses", "1s,2s"];
    let run = || {
        let emulator = Emulator::start(suno(&[&["emulate", &clock], &more[..]].concat()), 3);
        for index in 0..25 {
            let taken = emulator.submit(&format!("[emulator:stages=text] Song {index}"));
            assert_eq!(taken["code"], 200, "there are no rate limits");
        }
        let path = "/_emulator/clock/advance";
        let clock = emulator.json("POST", path, &json!({ "ms": 300_000 }));
        assert_eq!(clock["unix_ms"], start_ms + 300_000);
        let attempts = emulator.json("GET", "/_emulator/attempts?limit=1000", &Value::Null);
        let tasks = emulator.json("GET", "/_emulator/tasks", &Value::Null);
        (attempts["attempts"].as_array().unwrap().clone(), tasks)
    };
    let (attempts, tasks) = run();
    assert_eq!(attempts.len(), 75, "an attempt and two retries each");
    let of_first = attempts
        .iter()
        .filter(|attempt| attempt["task_id"] == attempts[0]["task_id"]);
    let times: Vec<u64> = of_first
        .map(|attempt| attempt["unix_ms"].as_u64().unwrap())
        .collect();
    assert_eq!([times[1] - times[0], times[2] - times[1]], [1000, 2000]);
    let (again, tasks_again) = run();
    assert_eq!(tasks, tasks_again);
    let bodies = |attempts: &[Value]| -> Vec<(Value, Value, Value)> {
        let fields = attempts
            .iter()
            .map(|a| (&a["unix_ms"], &a["post"], &a["task_id"]));
        fields
            .map(|(a, b, c)| (a.clone(), b.clone(), c.clone()))
            .collect()
    };
    assert_eq!(bodies(&attempts), bodies(&again));
}

#[test]
fn a_scenario_for_all_a_script_and_where_media_are_can_be_given() {
    let mut script = tempfile::NamedTempFile::new().unwrap();
    let text = r#"{"name": "odd", "steps": [{"at_ms": 0, "status": "STRANGE"}]}"#;
    script.write_all(text.as_bytes()).unwrap();
    let file = script.path().display().to_string();
    let arguments = [
        "emulate",
        "--driven-clock",
        "--script",
        &file,
        "--scenario",
        "script=odd",
        "--credits",
        "24",
        "--public-url",
        "https://media.example.com/",
    ];
    let emulator = Emulator::start(suno(&arguments), 3);
    let odd = emulator.submit("Lantern")["data"]["taskId"].clone();
    let usual = emulator.submit("[emulator:] Lantern")["data"]["taskId"].clone();
    assert_eq!(emulator.submit("Lantern")["code"], 402);
    emulator.json(
        "POST",
        "/_emulator/clock/advance",
        &json!({ "ms": 300_000 }),
    );
    let record = |task_id: &Value| {
        let path = format!(
            "/api/v1/generate/record-info?taskId={}",
            task_id.as_str().unwrap()
        );
        emulator.json("GET", &path, &Value::Null)["data"].clone()
    };
    assert_eq!(record(&odd)["status"], "STRANGE");
    let track = &record(&usual)["response"]["sunoData"][1];
    let url = track["audioUrl"].as_str().unwrap();
    let path = url.strip_prefix("https://media.example.com").unwrap();
    let audio = emulator.ask("HEAD", path, "", "");
    assert_eq!(status(&audio), 200, "{audio}");
    assert!(audio.contains("content-type: audio/wav"), "{audio}");
}

#[test]
fn a_callback_to_another_host_is_sent_only_when_that_is_asked_for() {
    for (more, status, reason) in [
        (
            &[][..],
            "SUCCESS",
            "not sent to another host, counts as answered with 200",
        ),
        (
            &["--deliver-outside", "--retry-pauses=1ms"],
            "CALLBACK_EXCEPTION",
            "",
        ),
    ] {
        let arguments = [&["emulate", "--driven-clock", "--json"], more].concat();
        let mut command = suno(&arguments);
        command.stderr(Stdio::piped());
        let mut emulator = Emulator::start_logging(command, 3);
        // A name that never resolves.
        let url = "http://nobody.invalid/suno/callback?token=canary";
        let task = emulator.submit_to("[emulator:stages=complete] Lantern", url);
        let advance = json!({ "ms": 300_000 });
        emulator.json("POST", "/_emulator/clock/advance", &advance);
        let task_id = task["data"]["taskId"].as_str().unwrap();
        let path = format!("/api/v1/generate/record-info?taskId={task_id}");
        let record = emulator.json("GET", &path, &Value::Null);
        assert_eq!(record["data"]["status"], status, "{record}");
        emulator.process.signal("TERM");
        assert_eq!(emulator.process.wait(), 0);
        let stderr = emulator.process.stderr();
        assert!(!stderr.contains("canary"), "{stderr}");
        let line: Value = serde_json::from_str(stderr.lines().nth(1).unwrap()).unwrap();
        let expected = "http://nobody.invalid/suno/callback";
        assert_eq!(
            (&line["stage"], &line["to"]),
            (&json!("complete"), &json!(expected))
        );
        assert_eq!(line["status"], Value::Null);
        let is_sent = !more.is_empty();
        assert_eq!(line["attempt"].is_number(), is_sent, "{line}");
        assert!(line["reason"].as_str().unwrap().contains(reason), "{line}");
    }
}

#[test]
fn every_product_is_served_by_the_provider_that_is_chosen() {
    let emulator = Emulator::start(suno(&["emulate", "--provider", "sunoapi"]), 2);
    let body = json!({ "prompt": "A lantern", "callBackUrl": "https://app.example.com/callback" });
    let answer = emulator.json("POST", "/api/v1/lyrics", &body);
    assert_eq!(answer["code"], 200, "{answer}");
    let jobs = emulator.json("POST", "/api/v1/jobs/createTask", &body);
    assert_eq!(jobs["code"], 404, "only kie.ai has jobs");
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let mut certificates = tempfile::NamedTempFile::new().unwrap();
    certificates.write_all(b"no certificate").unwrap();
    let file = certificates.path().display().to_string();
    for (file, says) in [(&*file, "extra roots"), ("/no/such/file", "/no/such/file")] {
        let (code, stdout, stderr) = run(&mut suno(&["emulate", "--trust", file]));
        assert_eq!(
            (code, &*stdout, stderr.lines().count()),
            (2, "", 1),
            "{stderr}"
        );
        assert!(stderr.contains(says), "{stderr}");
    }
}

#[test]
fn what_cannot_be_is_said_in_one_line() {
    let mut script = tempfile::NamedTempFile::new().unwrap();
    script.write_all(br#"{"name": "odd", "steps": 1}"#).unwrap();
    let file = script.path().display().to_string();
    for (arguments, says) in [
        (
            &["--scenario", "drop-frist"][..],
            "drop[-STAGE], duplicate[-STAGE]",
        ),
        (&["--scenario", "script=odd"], "no script \"odd\""),
        (&["--scenario", "fail=abc"], "not a code"),
        (&["--script", &file], "line 1 column 26"),
        (&["--script", "/no/such/file"], "/no/such/file"),
        (&["--addr", "0.0.0.0:0"], "--allow-public"),
        (&["--public-url", "media"], "http://"),
        (&["--", "/no/such/command"], "/no/such/command"),
    ] {
        let (code, stdout, stderr) = run(&mut suno(&[&["emulate"], arguments].concat()));
        assert_eq!(
            (code, &*stdout, stderr.lines().count()),
            (2, "", 1),
            "{stderr}"
        );
        assert!(stderr.contains(says), "{stderr}");
    }
    for (arguments, says) in [
        (["--speed", "0"], "10x"),
        (["--addr", "localhost"], "and a port"),
        (["--retry-pauses", "5"], "90s"),
        (["--driven-clock", "--speed=2"], "--speed"),
    ] {
        let (code, stdout, stderr) = run(&mut suno(&[&["emulate"], &arguments[..]].concat()));
        assert_eq!((code, &*stdout), (2, ""), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
    }
}
