//! Processes of the command, and HTTP by hand.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use suno_testkit::callback::{head, signature_headers};
use suno_testkit::http;
use suno_testkit::process::Lines;
use suno_testkit::receiver::address_of;
use suno_types::signature::WebhookKey;

use crate::schema::assert_described;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const KEY: &str = "whk-amber-otter";
pub(crate) const TASK: &str = "0f8c1b6de2a94c7f8e5d3b2a1c0f9e8d";

/// The command, with none of the variables of whoever runs the tests.
pub(crate) fn suno(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_suno"));
    for name in [
        "SUNO_API_KEY",
        "SUNO_BASE_URL",
        "SUNO_WEBHOOK_KEY",
        "RUST_LOG",
        "SUNO_LOG_FORMAT",
        "SUNO_HEALTH_URL",
    ] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the command to its end, and returns its exit code, stdout and stderr.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A process that prints lines and runs until it is told to stop.
pub(crate) struct Process {
    process: suno_testkit::process::Process,
    stdin: Option<ChildStdin>,
    lines: Lines,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::start_logging(command)
    }

    /// The same, with its stderr where the command has it.
    pub(crate) fn start_logging(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut process = suno_testkit::process::Process::start(&mut command).unwrap();
        let lines = process.lines().unwrap();
        let stdin = process.stdin();
        Self {
            process,
            stdin,
            lines,
        }
    }

    /// The next line of stdout.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap().1
    }

    /// The next line, as JSON that the schema describes.
    pub(crate) fn json(&self) -> serde_json::Value {
        let line = serde_json::from_str(&self.line()).unwrap();
        assert_described(&line);
        line
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name).unwrap();
    }

    /// Sends SIGTERM, and returns the exit code and what was still printed.
    pub(crate) fn terminate(mut self) -> (i32, Vec<String>) {
        self.signal("TERM");
        let code = self.wait();
        let lines = self.lines.iter().map(|(_, line)| line);
        (code, lines.collect())
    }

    /// Writes a line to its stdin. Must be piped.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Closes its stdin.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The exit code, when it has ended.
    pub(crate) fn wait(&mut self) -> i32 {
        self.process.wait().unwrap().code().unwrap()
    }

    /// What it still has to say on stderr. Must have been piped.
    pub(crate) fn stderr(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.process.stderr().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }

    /// Ends the process at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
    }
}

/// A `suno listen --json` on a free port, and its address.
pub(crate) fn listen(store: &Path, more: &[&str]) -> (Process, SocketAddr) {
    listen_with(store, more, |command| command.stderr(Stdio::null()))
}

/// The same, with something changed about how it is started.
pub(crate) fn listen_with(
    store: &Path,
    more: &[&str],
    change: impl FnOnce(&mut Command) -> &mut Command,
) -> (Process, SocketAddr) {
    let store = format!("sqlite:{}", store.display());
    let arguments = [
        "listen",
        "--addr",
        "localhost:0",
        "--store",
        &store,
        "--json",
    ];
    let mut command = suno(&[&arguments, more].concat());
    command.env("TEST_WEBHOOK_KEY", KEY);
    change(&mut command);
    let process = Process::start_logging(command);
    let listening = process.json();
    assert_eq!(listening["event"], "listening");
    (process, address_of(&listening.to_string()).unwrap())
}

/// Sends bytes and returns the answer.
pub(crate) fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    String::from_utf8(http::talk(address, bytes, PATIENCE).unwrap()).unwrap()
}

/// POSTs a body that is signed for a task, and returns the status.
pub(crate) fn post(address: SocketAddr, task: &str, body: &str) -> u16 {
    status(&talk(address, signed(address, task, body).as_bytes()))
}

/// The request with a body that is signed for a task.
pub(crate) fn signed(address: SocketAddr, task: &str, body: &str) -> String {
    let headers = signature_headers(&WebhookKey::new(KEY), task);
    let headers = format!("connection: close\r\n{headers}");
    head(address, &headers, body.len()) + body
}

/// Says that something was not tested. Written past the capture of the test runner, so that it is seen.
pub(crate) fn skipped(why: &str) {
    tell(&format!("SKIPPED: {why}"));
}

/// Writes a line past the capture of the test runner.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    http::status_of(answer).unwrap()
}

/// A callback of a stage.
pub(crate) fn body(word: &str) -> String {
    format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"{word}","task_id":"{TASK}","data":[
            {{"id":"a","title":"Harbour","tags":"warm","duration":12.5,"createTime":1780000000000,
              "audio_url":"https://media.example.com/a.mp3","stream_audio_url":"",
              "model_name":"chirp-v5"}}]}}}}"#
    )
}
