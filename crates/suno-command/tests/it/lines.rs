//! One line of `--json` is one line to every program that reads it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{TASK, body, listen, post, skipped};

const VERIFY: [&str; 2] = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];

/// Characters that some reader takes for the end of a line, or some terminal for a command.
const HOSTILE: [&str; 5] = [
    "\\u2028\\u2029\\u0085\\u000b\\u000c\\u001c\\u001d\\u001e\\r\\n",
    "\u{2028}\u{2029}\u{85}\u{7f}\u{80}\u{9b}\u{9f}",
    "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}",
    "\u{61c}\u{200e}\u{200f}\\u001b[2J\\u0007",
    "\\\"}\\n{\\\"event\\\":\\\"handled\\\"}\\u0000",
];

/// Prints how many lines it reads, and how many of them are JSON objects with an event.
const NODE: &str = r#"
const lines = require('readline').createInterface({ input: process.stdin, crlfDelay: Infinity });
let read = 0, good = 0;
lines.on('line', line => { read++; try { if (JSON.parse(line).event) good++; } catch {} });
lines.on('close', () => console.log(read, good));
"#;
const PYTHON: &str = r#"
import json, sys
read = good = 0
for line in sys.stdin.read().splitlines():
    read += 1
    try:
        good += "event" in json.loads(line)
    except ValueError:
        pass
print(read, good)
"#;
const JQ: &str = r#"reduce inputs as $line ([0, 0];
    [.[0] + 1, .[1] + (($line | fromjson? | objects | select(.event) | 1) // 0)]) | "\(.[0]) \(.[1])""#;
const BASH: &str = r#"read=0; good=0
while IFS= read -r line; do
    read=$((read + 1)); case $line in '{"event":'*'}') good=$((good + 1));; esac
done
echo "$read $good""#;

/// What `suno listen --json` prints of a title for each of the hostile texts.
fn printed() -> String {
    let dir = tempfile::tempdir().unwrap();
    let (process, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let mut printed = String::new();
    for (number, text) in HOSTILE.iter().enumerate() {
        let task = format!("{number:032x}");
        let body = body("complete").replace(TASK, &task);
        let body = body
            .replace("Harbour", text)
            .replace("warm", text)
            .replace("ok", text);
        assert_eq!(post(address, &task, &body), 200);
        printed += &process.line();
        printed.push('\n');
    }
    printed
}

/// What a reader says of a text, if there is such a reader.
fn said(command: &mut Command, text: &str) -> Option<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Node 24, which splits lines in more places than those before it, from its package.
fn node_24() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node-24");
    let node = dir.join("node_modules/node/bin/node");
    if !node.exists() {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--silent",
            "--no-fund",
            "--no-audit",
            "node@24",
            "--prefix",
        ]);
        let installed = npm.arg(&dir).stdout(Stdio::null()).status();
        if !installed.is_ok_and(|status| status.success()) {
            return None;
        }
    }
    Some(node)
}

#[test]
fn every_reader_splits_hostile_titles_into_the_same_lines() {
    let text = printed();
    let expected = format!("{0} {0}", HOSTILE.len());
    let script = |program: PathBuf, flag: &str, script: &str| {
        let mut command = Command::new(program);
        command.args([flag, script]);
        command
    };
    let readers = [
        ("node", Some(script("node".into(), "-e", NODE))),
        ("node 24", node_24().map(|node| script(node, "-e", NODE))),
        ("python3", Some(script("python3".into(), "-c", PYTHON))),
        ("jq", Some(script("jq".into(), "-nRr", JQ))),
        ("bash", Some(script("bash".into(), "-c", BASH))),
    ];
    for (name, command) in readers {
        match command.and_then(|mut command| said(&mut command, &text)) {
            Some(said) => assert_eq!(said, expected, "{name}"),
            None => skipped(&format!("{name} was not found")),
        }
    }
}
