//! What `suno emulate` and `suno listen` write to stderr about submits and callbacks.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

use crate::process::{PATIENCE, Process, TASK, body, run, signed, status, suno, talk};

const API_KEY: &str = "sk_canary_api";
const WEBHOOK_KEY: &str = "whk_canary_webhook";
const TOKEN: &str = "canary-token-of-the-callback-url";

/// A process, and the lines of its stderr.
struct Talker {
    process: Process,
    stderr: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Talker {
    fn start(mut command: Command) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        command
            .env("TEST_API_KEY", API_KEY)
            .env("TEST_WEBHOOK_KEY", WEBHOOK_KEY)
            .env("TEST_TOKEN", TOKEN)
            .stderr(writer);
        let process = Process::start_logging(command);
        let (sender, stderr) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            stderr,
            seen: Vec::new(),
        }
    }

    /// The next line of stderr.
    fn said(&mut self) -> String {
        let line = self.stderr.recv_timeout(PATIENCE).unwrap();
        self.seen.push(line.clone());
        line
    }

    /// Stops the process, and returns all lines of its stderr.
    fn stop(mut self) -> Vec<String> {
        let (code, _) = self.process.terminate();
        assert_eq!(code, 0);
        self.seen.extend(self.stderr.iter());
        self.seen
    }
}

/// A `suno emulate` with fast tasks, and its address.
fn emulate(more: &[&str]) -> (Talker, SocketAddr) {
    let arguments = [
        "emulate",
        "--speed=100",
        "--api-key-env=TEST_API_KEY",
        "--webhook-key-env=TEST_WEBHOOK_KEY",
    ];
    let emulator = Talker::start(suno(&[&arguments, more].concat()));
    let variables: Vec<String> = (0..3).map(|_| emulator.process.line()).collect();
    let names = ["SUNO_BASE_URL", "SUNO_API_KEY", "SUNO_WEBHOOK_KEY"];
    for (line, name) in variables.iter().zip(names) {
        assert!(line.starts_with(name), "{line}");
    }
    let address = variables[0].strip_prefix("SUNO_BASE_URL=http://");
    let address = address.unwrap().parse().unwrap();
    (emulator, address)
}

/// A `suno listen` for people, and its URL.
fn listen(dir: &tempfile::TempDir, more: &[&str]) -> (Talker, String) {
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let arguments = [
        "listen",
        "--addr=127.0.0.1:0",
        "--store",
        &store,
        "--webhook-key-env=TEST_WEBHOOK_KEY",
    ];
    let listener = Talker::start(suno(&[&arguments, more].concat()));
    let line = listener.process.line();
    let url = line.strip_prefix("listening on ").unwrap().to_owned();
    (listener, url)
}

fn address_of(url: &str) -> SocketAddr {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}

/// Submits, and returns the provider's answer.
fn submit(emulator: SocketAddr, key: &str, callback_url: &str) -> Value {
    let body = json!({
        "uploadUrl": "https://files.example.com/voice.mp3", "title": "Lantern", "tags": "folk",
        "negativeTags": "drums", "callBackUrl": callback_url,
    });
    let body = body.to_string();
    let request = format!(
        "POST /api/v1/generate/add-instrumental HTTP/1.1\r\nhost: {emulator}\r\n\
         connection: close\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = talk(emulator, request.as_bytes());
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Submits, and returns the id of the task.
fn task(emulator: SocketAddr, callback_url: &str) -> String {
    let answer = submit(emulator, API_KEY, callback_url);
    answer["data"]["taskId"].as_str().unwrap().to_owned()
}

/// A destination that refuses connections: the port at the other end of a connection, where nobody can
/// listen as long as the connection lasts.
struct Refusing {
    stream: TcpStream,
    _listener: TcpListener,
}

impl Refusing {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self {
            stream,
            _listener: listener,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/suno/callback", self.stream.local_addr().unwrap())
    }
}

/// The words of a line, the time of day apart, whose form is checked.
fn words(line: &str) -> Vec<&str> {
    let (time, rest) = line.split_once(' ').unwrap();
    let form = time.replace(|c: char| c.is_ascii_digit(), "0");
    assert_eq!(form, "00:00:00.000", "{line}");
    rest.split_whitespace().collect()
}

fn assert_no_secret(lines: &[String]) {
    for line in lines {
        for secret in ["canary", "x-webhook", "signature", "Bearer"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn a_pair_says_what_was_submitted_sent_answered_and_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut listener, url) = listen(&dir, &[]);
    let (mut emulator, address) = emulate(&[]);
    let task_id = task(address, &url);
    let short = &task_id[..8];

    let submitted = emulator.said();
    assert_eq!(words(&submitted), [short, "submit", &url, "200"]);
    for stage in ["text", "first", "complete"] {
        let line = emulator.said();
        let words = words(&line);
        assert_eq!(words[..5], [short, stage, &url, "200", "in"], "{line}");
        assert!(line.ends_with("s, attempt 1 of 4"), "{line}");

        let line = listener.said();
        assert!(line.contains(&format!(" {short} {stage:<8} accepted as new in ")));
        assert!(line.ends_with('s'), "{line}");
    }
    let refused = submit(address, "sk_canary_of_another", &url);
    assert_eq!(refused["code"], 401);
    let line = emulator.said();
    let expected = "submit - 200, code 401: You do not have access permissions";
    assert!(words(&line).join(" ").ends_with(expected), "{line}");

    let said = [emulator.stop(), listener.stop()];
    assert_eq!([said[0].len(), said[1].len()], [5, 3], "{said:?}");
    assert_no_secret(&said.concat());
}

#[test]
fn json_lines_have_all_fields_and_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let (listener, url) = listen(&dir, &["--token-env=TEST_TOKEN", "--quiet"]);
    let (mut emulator, address) = emulate(&["--json"]);
    let task_id = task(address, &format!("{url}/{TOKEN}?canary=canary"));
    let shown = format!("http://{}/…", address_of(&url));
    let lines: Vec<Value> = (0..4)
        .map(|_| serde_json::from_str(&emulator.said()).unwrap())
        .collect();

    let mut submitted = lines[0].clone();
    let at = submitted["at"].take();
    assert!(at.as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let expected = json!({
        "event": "submit", "at": null, "task_id": task_id, "stage": null, "to": shown,
        "status": 200, "reason": null, "duration_ms": null, "attempt": null, "attempts": null,
    });
    assert_eq!(submitted, expected);
    for (line, stage) in lines[1..].iter().zip(["text", "first", "complete"]) {
        let mut line = line.clone();
        assert!(line["at"].take().as_str().unwrap() >= at.as_str().unwrap());
        assert!(line["duration_ms"].take().as_f64().unwrap() > 0.0);
        let expected = json!({
            "event": "attempt", "at": null, "task_id": task_id, "stage": stage, "to": shown,
            "status": 200, "reason": null, "duration_ms": null, "attempt": 1, "attempts": 4,
        });
        assert_eq!(line, expected);
    }
    assert_no_secret(&emulator.stop());
    assert_eq!(listener.stop(), Vec::<String>::new(), "it is quiet");
}

#[test]
fn a_destination_that_refuses_connections_is_a_reason_and_a_number_of_attempts() {
    let refusing = Refusing::start();
    let url = refusing.url();
    let (mut emulator, address) = emulate(&[]);
    let task_id = task(address, &url);
    emulator.said();
    for attempt in 1..=4 {
        let line = emulator.said();
        let expected = format!("{} text {url} connection refused in ", &task_id[..8]);
        assert!(words(&line).join(" ").starts_with(&expected), "{line}");
        let end = format!(", attempt {attempt} of 4");
        assert!(line.ends_with(&end), "{line}");
    }
    assert_no_secret(&emulator.stop());

    let (mut emulator, address) = emulate(&["--json"]);
    task(address, &url);
    emulator.said();
    let line: Value = serde_json::from_str(&emulator.said()).unwrap();
    assert_eq!(line["status"], Value::Null);
    assert_eq!(line["reason"], "connection refused");
}

#[test]
fn a_callback_that_a_fault_drops_is_said_to_be_not_sent() {
    let refusing = Refusing::start();
    let url = refusing.url();
    let (mut emulator, address) = emulate(&["--json", "--scenario=stages=complete,drop"]);
    task(address, &url);
    emulator.said();
    let line: Value = serde_json::from_str(&emulator.said()).unwrap();
    assert_eq!(line["stage"], "complete");
    assert_eq!(line["reason"], "not sent");
    assert_eq!(line["attempt"], Value::Null);
}

#[test]
fn quiet_processes_say_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (listener, url) = listen(&dir, &["--quiet"]);
    let (emulator, address) = emulate(&["--quiet", "--retry-pauses=100ms"]);
    let refusing = Refusing::start();
    task(address, &refusing.url());
    task(address, &url);
    // The stages of a task that are handled are still results on stdout.
    for stage in ["text", "first", "complete"] {
        let line = listener.process.line();
        assert!(line.contains(stage), "{line}");
    }
    assert_eq!(emulator.stop(), Vec::<String>::new());
    assert_eq!(listener.stop(), Vec::<String>::new());
}

#[test]
fn an_accepted_callback_is_called_what_it_was_and_a_flood_of_refused_ones_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let mut command = suno(&["listen", "--addr=127.0.0.1:0", "--store", &store]);
    command.args(["--webhook-key-env=OTHER"]);
    command.env("OTHER", crate::process::KEY);
    let mut listener = Talker::start(command);
    let line = listener.process.line();
    let address = address_of(line.strip_prefix("listening on ").unwrap());
    let first = body("complete");
    for (body, accepted) in [
        (&first, "new"),
        (&first, "duplicate"),
        (&first.replace("12.5", "99.5"), "conflict"),
        (&body("text"), "late"),
    ] {
        let answer = talk(address, signed(address, TASK, body).as_bytes());
        assert_eq!(status(&answer), 200);
        let said = format!("accepted as {accepted} in ");
        let mut line = listener.said();
        // What does not fit what is known is a warning, too.
        while line.contains(" WARN ") {
            line = listener.said();
        }
        assert!(line.contains(&said), "{line}");
    }
    let forged =
        signed(address, TASK, &first).replace("x-webhook-signature: ", "x-webhook-signature: A");
    for _ in 0..50 {
        assert_eq!(status(&talk(address, forged.as_bytes())), 401);
    }
    let said = listener.stop();
    let refused = said
        .iter()
        .filter(|line| line.contains("callback rejected"));
    assert!((1..10).contains(&refused.count()), "{said:?}");
}

#[test]
fn with_a_command_the_lines_are_on_stderr_and_its_output_is_its_own() {
    let refusing = Refusing::start();
    let url = refusing.url();
    let submit = [
        env!("CARGO_BIN_EXE_suno"),
        "add-instrumental",
        "--upload-url=https://media.example.com/voice.mp3",
        "--title=Harbour",
        "--tags=warm",
        "--negative-tags=drums",
        "--json",
        "--callback-url",
        &url,
    ];
    let (code, stdout, stderr) = run(&mut suno(&[&["emulate", "--"], &submit[..]].concat()));
    assert_eq!(code, 0, "{stderr}");
    let submitted: Value = serde_json::from_str(&stdout).unwrap();
    let short = &submitted["task_id"].as_str().unwrap()[..8];
    let line = stderr.lines().next().unwrap();
    assert_eq!(words(line), [short, "submit", &url, "200"]);
}
