//! `suno conformance` needs no repository.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use suno_testkit::process::Process;

use crate::process::{KEY, PATIENCE, listen_with, run, suno};

/// Runs `suno conformance` in a folder; the exit code, stdout and stderr.
fn conformance(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = suno(&[&["conformance"], arguments].concat());
    command.current_dir(folder).env("TEST_WEBHOOK_KEY", KEY);
    run(&mut command)
}

#[test]
fn the_cases_are_built_in() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = conformance(folder.path(), &["--list"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.lines().count() > 500, "{stdout}");

    let (code, stdout, stderr) = conformance(folder.path(), &["--filter", "verify/*"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains(" passed, 0 failed"), "{stdout}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// `suno listen --json` on a free port that prints into a file; the process and its callback URL.
fn listening(folder: &Path, events: &Path) -> (Process, String) {
    let store = format!("sqlite:{}", folder.join("suno.db").display());
    let mut command = suno(&["listen", "--json", "--addr", "localhost:0"]);
    command
        .args(["--store", &store, "--webhook-key-env", "TEST_WEBHOOK_KEY"])
        .env("TEST_WEBHOOK_KEY", KEY)
        .stdout(File::create(events).unwrap())
        .stderr(Stdio::null());
    let process = Process::start(&mut command).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let printed = fs::read_to_string(events).unwrap();
        if let Some((line, _)) = printed.split_once('\n') {
            let line: Value = serde_json::from_str(line).unwrap();
            return (process, line["url"].as_str().unwrap().to_owned());
        }
        assert!(Instant::now() < deadline, "it does not listen");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn suno_listen_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let (process, url) = listening(folder.path(), &events);
    let arguments = [
        "--target",
        &url,
        "--webhook-key-env",
        "TEST_WEBHOOK_KEY",
        "--events",
        events.to_str().unwrap(),
        "--format",
        "json",
    ];
    let empty = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = conformance(empty.path(), &arguments);
    assert_eq!(code, 0, "{stdout}{stderr}");
    let summary: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(summary["failed"], 0);
    assert!(summary["passed"].as_u64().unwrap() > 50, "{summary}");
    drop(process);
}

#[test]
fn a_receiver_that_fails_a_case_ends_with_1_and_one_that_is_not_there_with_2() {
    let folder = tempfile::tempdir().unwrap();
    // It accepts another key than the one that the cases are signed with.
    let (process, address) = listen_with(
        &folder.path().join("suno.db"),
        &["--webhook-key-env", "TEST_WEBHOOK_KEY"],
        |command| command.env("TEST_WEBHOOK_KEY", "whk-another"),
    );
    let url = format!("http://{address}/suno/callback");
    let drive = || {
        let arguments = ["--target", &url, "--webhook-key-env", "TEST_WEBHOOK_KEY"];
        let filter = ["--filter", "receiver/order-complete-only"];
        conformance(folder.path(), &[&arguments[..], &filter].concat())
    };
    let (code, stdout, stderr) = drive();
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(stdout.contains("FAILED receiver/order-complete-only"));
    process.kill();
    let (code, _, stderr) = drive();
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot reach the target"), "{stderr}");
}
