//! Processes of the command, and HTTP by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use suno_types::TaskId;
use suno_types::signature::WebhookKey;

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
    ] {
        command.env_remove(name);
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
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stderr(Stdio::null());
        Self::start_logging(command)
    }

    /// The same, with its stderr where the command has it.
    pub(crate) fn start_logging(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next line of stdout.
    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// The next line, as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let signal = format!("-{name}");
        let sent = Command::new("kill").args([&signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Sends SIGTERM, and returns the exit code and what was still printed.
    pub(crate) fn terminate(mut self) -> (i32, Vec<String>) {
        self.signal("TERM");
        // Waiting would close it.
        let _stdin = self.child.stdin.take();
        let code = self.wait();
        (code, self.lines.iter().collect())
    }

    /// Writes a line to its stdin. Must be piped.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// Closes its stdin.
    pub(crate) fn hang_up(&mut self) {
        self.child.stdin = None;
    }

    /// The exit code, when it has ended.
    pub(crate) fn wait(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap()
    }

    /// What it still has to say on stderr. Must have been piped.
    pub(crate) fn stderr(&mut self) -> String {
        let mut text = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut text).unwrap();
        text
    }

    /// Ends the process at once, as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            if sender.send(line.unwrap()).is_err() {
                break;
            }
        }
    });
    lines
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
    let url = listening["url"].as_str().unwrap();
    let address = url
        .strip_prefix("http://")
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    (process, address.parse().unwrap())
}

/// Sends bytes and returns the answer.
pub(crate) fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// POSTs a body that is signed for a task, and returns the status.
pub(crate) fn post(address: SocketAddr, task: &str, body: &str) -> u16 {
    status(&talk(address, signed(address, task, body).as_bytes()))
}

/// The request with a body that is signed for a task.
pub(crate) fn signed(address: SocketAddr, task: &str, body: &str) -> String {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let signature = WebhookKey::new(KEY).sign(&TaskId::new(task).unwrap(), now);
    format!(
        "POST /suno/callback HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\nx-webhook-timestamp: {now}\r\n\
         x-webhook-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Says that something was not tested. Written past the capture of the test runner, so that it is seen.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The status of an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
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
