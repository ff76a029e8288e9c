//! The format of log lines is chosen by an option or a variable, for every command.

use std::process::Stdio;

use serde_json::Value;

use crate::process::{listen_with, run, status, suno, talk};

const VERIFY: [&str; 2] = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];

#[test]
fn a_refused_request_is_an_object_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = [&VERIFY[..], &["--log-format", "json"]].concat();
    let (mut receiver, address) = listen_with(&dir.path().join("suno.db"), &arguments, |command| {
        command.stderr(Stdio::piped())
    });
    let answer = talk(
        address,
        b"POST /else%0awhere HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(status(&answer), 404);
    receiver.signal("TERM");
    assert_eq!(receiver.wait(), 0);
    let stderr = receiver.stderr();
    let line: Value = serde_json::from_str(stderr.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["level"], &line["target"]),
        (&"WARN".into(), &"suno_callback::receiver".into())
    );
    assert!(line["fields"].as_object().unwrap().len() > 2, "{line}");
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
}

#[test]
fn the_last_line_of_a_command_that_failed_has_the_same_format() {
    let arguments = ["verify", "--webhook-key-env", "UNSET", "--signature", "x"];
    let (code, _, stderr) = run(suno(&arguments).env("SUNO_LOG_FORMAT", "json"));
    assert_eq!(code, 2);
    let line: Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(line["level"], "ERROR");
    assert!(
        line["message"].as_str().unwrap().contains("is not set"),
        "{line}"
    );

    let text = [&arguments[..], &["--log-format", "text"]].concat();
    let (_, _, stderr) = run(suno(&text).env("SUNO_LOG_FORMAT", "json"));
    assert!(stderr.starts_with("suno: error: "), "{stderr}");
    let (code, _, stderr) = run(suno(&arguments).env("SUNO_LOG_FORMAT", "xml"));
    assert_eq!(code, 2);
    assert!(
        stderr.contains("SUNO_LOG_FORMAT must be text or json"),
        "{stderr}"
    );
}
