//! `suno trigger` sends scenarios to a receiver, and judges its answers.

use std::net::SocketAddr;

use serde_json::Value;

use crate::process::{KEY, listen, run, suno};

const VERIFY: [&str; 2] = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];

/// Returns the exit code and the lines of `suno trigger --json` to a receiver.
fn trigger(address: SocketAddr, arguments: &[&str]) -> (i32, Vec<Value>) {
    let url = format!("http://{address}/suno/callback");
    let mut command = suno(&[&["trigger", "--json", "--to", &url][..], arguments].concat());
    command
        .env("TEST_WEBHOOK_KEY", KEY)
        .env("OTHER", "whk-of-someone-else");
    let (code, stdout, _) = run(&mut command);
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (code, lines.collect())
}

fn seen<'a>(lines: &'a [Value], member: &str) -> Vec<&'a Value> {
    lines.iter().map(|line| &line[member]).collect()
}

#[test]
fn the_callbacks_of_a_scenario_arrive_signed_and_each_answer_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let (code, lines) = trigger(address, &[&VERIFY[..], &["duplicate-first"]].concat());
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(
        seen(&lines, "stage"),
        ["text", "first", "first", "complete"]
    );
    assert_eq!(seen(&lines, "status"), [200; 4]);
    assert!(
        lines
            .iter()
            .all(|line| line["duration_ms"].as_f64().unwrap() > 0.0)
    );
    let handled: Vec<Value> = (0..3).map(|_| receiver.json()).collect();
    assert_eq!(seen(&handled, "stage"), ["text", "first", "complete"]);
    assert_eq!(handled[0]["task_id"], lines[0]["task_id"]);
}

#[test]
fn a_callback_that_is_signed_wrongly_must_be_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_receiver, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    for word in ["bad-signature", "stale-timestamp", "no-signature"] {
        let (code, lines) = trigger(address, &[&VERIFY[..], &[word]].concat());
        assert_eq!(code, 0, "{word}: {lines:?}");
        assert!(
            lines.iter().any(|line| line["expected"] == "refused"),
            "{lines:?}"
        );
    }
    let open = dir.path().join("open.db");
    let (_receiver, address) = listen(&open, &["--insecure-accept-unverified"]);
    let (code, lines) = trigger(address, &[&VERIFY[..], &["bad-signature"]].concat());
    assert_eq!(code, 1);
    assert_eq!(
        (&lines[0]["status"], &lines[0]["verdict"]),
        (&200.into(), &"bad".into())
    );
}

#[test]
fn a_receiver_that_refuses_or_is_not_there_fails_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let (code, lines) = trigger(address, &["--webhook-key-env", "OTHER"]);
    assert_eq!(code, 1);
    assert_eq!(lines[0]["status"], 401);
    let attempts = |lines: &[Value]| {
        lines
            .iter()
            .filter(|line| !line["attempt"].is_null())
            .count()
    };
    assert_eq!(attempts(&lines), 4, "{lines:?}");
    receiver.terminate();
    let (code, lines) = trigger(address, &VERIFY);
    assert_eq!(code, 1);
    assert!(
        lines[0]["reason"].as_str().unwrap().contains("refused"),
        "{lines:?}"
    );
}

#[test]
fn the_words_are_listed_and_an_unknown_one_is_wrong_usage() {
    let (code, stdout, _) = run(&mut suno(&["trigger", "--list"]));
    assert_eq!(code, 0);
    assert!(stdout.contains("\nduplicate[-STAGE] "), "{stdout}");
    assert!(
        stdout
            .lines()
            .all(|line| line.split_whitespace().count() > 2),
        "{stdout}"
    );
    let to = ["--to", "http://127.0.0.1:9/suno/callback"];
    for (wrong, reason) in [
        (&["dupilcate"][..], "\"dupilcate\" is unknown"),
        (&["--webhook-key-env", "UNSET"], "is not set"),
    ] {
        let (code, _, stderr) = run(&mut suno(&[&["trigger"], &to[..], wrong].concat()));
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(reason), "{stderr}");
    }
    let (code, _, stderr) = run(&mut suno(&["trigger", "duplicate"]));
    assert_eq!(code, 2, "{stderr}");
    let (code, _, stderr) = run(&mut suno(&["trigger", "--to", "nowhere"]));
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn a_scenario_without_callbacks_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (_receiver, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let (code, lines) = trigger(address, &[&VERIFY[..], &["stages=none"]].concat());
    assert_eq!((code, lines), (1, Vec::new()));
}
