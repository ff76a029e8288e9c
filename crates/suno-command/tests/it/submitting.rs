//! `suno emulate`, `suno add-instrumental` and `suno wait`, together.

use std::process::Command;

use crate::process::{Process, listen, listen_with, run, suno};
use crate::provider::Emulator;

fn submit(callback_url: &str, more: &[&str]) -> Command {
    let arguments = [
        "add-instrumental",
        "--upload-url",
        "https://media.example.com/voice.mp3",
        "--title",
        "Harbour",
        "--tags",
        "warm",
        "--negative-tags",
        "drums",
        "--callback-url",
        callback_url,
    ];
    suno(&[&arguments, more].concat())
}

/// Submits a task and returns its id.
fn task(emulator: &Emulator, more: &[&str]) -> String {
    let url = "https://app.example.com/callback";
    let submit = submit(url, &[&["--json"], more].concat());
    let (code, stdout, stderr) = run(&mut emulator.with_variables(submit));
    assert_eq!(code, 0, "{stderr}");
    let submitted: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    submitted["task_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_submitted_task_is_waited_for_downloaded_and_called_back() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start();
    let names: Vec<_> = emulator
        .variables
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["SUNO_BASE_URL", "SUNO_API_KEY", "SUNO_WEBHOOK_KEY"]);
    let store = dir.path().join("suno.db");
    let (listener, address) = listen(&store, &["--webhook-key-env", "TEST_WEBHOOK_KEY"]);
    let songs = dir.path().join("songs");
    let songs = songs.to_str().unwrap();

    let url = format!("http://{address}/suno/callback");
    let (code, stdout, stderr) = run(&mut emulator.with_variables(submit(&url, &["--json"])));
    assert_eq!(code, 0, "{stderr}");
    let submitted: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let task_id = submitted["task_id"].as_str().unwrap();
    for stage in ["text", "first", "complete"] {
        let handled = listener.json();
        assert_eq!(handled["stage"], stage);
        assert_eq!(handled["task_id"], task_id);
    }

    let wait = suno(&["wait", task_id, "--json", "--download", songs]);
    let (code, stdout, stderr) = run(&mut emulator.with_variables(wait));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    let last = lines.iter().find(|line| line["event"] == "finished");
    let last = last.unwrap();
    assert_eq!(last["stage"], "complete");
    let downloaded = lines.iter().filter(|line| line["event"] == "downloaded");
    assert_eq!(downloaded.count(), 2);
    assert_eq!(last["tracks"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::read_dir(songs).unwrap().count(), 2);
    assert_eq!(listener.terminate(), (0, Vec::new()));
    assert_eq!(emulator.process.terminate().0, 0);
}

#[test]
fn a_wrong_key_and_an_unreachable_provider_end_with_3_and_an_unknown_task_with_1() {
    let emulator = Emulator::start();
    let url = "https://app.example.com/callback";
    let mut wrong_key = emulator.with_variables(submit(url, &[]));
    wrong_key.env("SUNO_API_KEY", "canary-key-0001");
    let mut unreachable = emulator.with_variables(submit(url, &[]));
    unreachable.env("SUNO_BASE_URL", "http://127.0.0.1:9");
    let unknown = [
        "wait",
        "ffffffffffffffffffffffffffffffff",
        "--deadline",
        "1s",
    ];
    let unknown = emulator.with_variables(suno(&unknown));
    for (mut command, exit, says) in [
        (wrong_key, 3, "SUNO_API_KEY"),
        (unreachable, 3, "SUNO_BASE_URL"),
        (unknown, 1, "suno wait ffffffffffffffffffffffffffffffff"),
    ] {
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!((code, stdout.as_str()), (exit, ""), "{stderr}");
        let errors: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with("suno: error:"))
            .collect();
        assert_eq!(errors.len(), 1, "{stderr}");
        assert!(errors[0].contains(says), "{stderr}");
        assert!(!stderr.contains("canary"), "{stderr}");
    }
}

/// The words that are only known to a terminal: `suno` must not pass them on.
const SEQUENCE: &str = "\u{1b}[2J\u{9b}31mHarbour";

#[test]
fn words_of_others_reach_the_terminal_without_control_characters() {
    let emulator = Emulator::start();
    let tags = format!("warm {SEQUENCE}");
    let arguments = [
        "--wait",
        "--interval",
        "100ms",
        "--tags",
        &tags,
        "--title",
        SEQUENCE,
    ];
    let url = "https://app.example.com/callback";
    let mut command = suno(&[
        "add-instrumental",
        "--upload-url",
        url,
        "--callback-url",
        url,
    ]);
    command.args(arguments).args(["--negative-tags", "drums"]);
    let (code, stdout, stderr) = run(&mut emulator.with_variables(command));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("[2J"), "{stdout}");
    let shown = stdout.replace('\n', "") + &stderr.replace('\n', "");
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}

#[test]
fn the_credits_left_are_printed_for_people_and_for_programs() {
    let emulator = Emulator::start();
    let credits = |more: &[&str]| {
        let command = suno(&[&["credits"], more].concat());
        let (code, stdout, stderr) = run(&mut emulator.with_variables(command));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        stdout
    };
    let number = |stdout: &str| -> serde_json::Value {
        let line: serde_json::Value = serde_json::from_str(stdout).unwrap();
        assert_eq!(line["event"], "credits");
        line["credits"].clone()
    };
    let before = number(&credits(&["--json"]));
    let before = before.as_f64().unwrap();
    assert_eq!(credits(&[]), format!("{before} credits left\n"));
    task(&emulator, &[]);
    let after = number(&credits(&["--json"]));
    assert_eq!(after.as_f64().unwrap(), before - 12.0);

    let mut wrong_key = emulator.with_variables(suno(&["credits"]));
    wrong_key.env("SUNO_API_KEY", "canary-key-0001");
    let (code, stdout, stderr) = run(&mut wrong_key);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("check SUNO_API_KEY"), "{stderr}");
    assert!(!stderr.contains("canary"), "{stderr}");
}

#[test]
fn a_wait_that_is_stopped_or_runs_out_of_time_says_how_to_go_on() {
    let emulator = Emulator::at_speed("1x");
    let task_id = task(&emulator, &[]);
    let wait = ["wait", &task_id, "--json", "--provider", "kie"];
    let process = Process::start(emulator.with_variables(suno(&wait)));
    assert_eq!(process.json()["status"], "PENDING");
    let (code, lines) = process.terminate();
    assert_eq!((code, lines.len()), (1, 1), "{lines:?}");
    let last: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    let unfinished = |reason: &str| serde_json::json!({"event": "unfinished", "task_id": task_id, "reason": reason});
    assert_eq!(last, unfinished("stopped"));

    let wait = [&wait[..3], &["--deadline", "50ms"]].concat();
    let (code, stdout, stderr) = run(&mut emulator.with_variables(suno(&wait)));
    assert_eq!(code, 1);
    let last: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last, unfinished("deadline"));
    assert!(
        stderr.contains(&format!("go on with `suno wait {task_id}`")),
        "{stderr}"
    );
    assert!(stderr.contains("last status PENDING"), "{stderr}");
}

#[test]
fn a_submitted_id_is_told_even_if_nobody_reads_it() {
    let emulator = Emulator::start();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = emulator.with_variables(submit("https://app.example.com/callback", &[]));
    command.stdout(writer).stderr(std::process::Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let (id, _) = stderr.split_once(" was submitted").unwrap();
    let id = id.strip_prefix("suno: ").unwrap();
    let (code, _, stderr) =
        run(&mut emulator.with_variables(suno(&["wait", id, "--interval", "200ms"])));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn a_command_is_run_with_the_variables_set_and_its_exit_code_passed_on() {
    let script = "test -n \"$SUNO_API_KEY\" && echo \"$SUNO_BASE_URL\" && exit 7";
    let (code, stdout, stderr) = run(&mut suno(&["emulate", "--", "sh", "-c", script]));
    assert_eq!(code, 7, "{stderr}");
    assert!(stdout.starts_with("http://127.0.0.1:"), "{stdout}");
    let submit = format!(
        "'{}' add-instrumental --upload-url https://media.example.com/a.mp3 --title t --tags t \
         --negative-tags n --callback-url http://127.0.0.1:9/ --wait --interval 200ms",
        env!("CARGO_BIN_EXE_suno")
    );
    let arguments = [
        "emulate",
        "--speed",
        "100x",
        "--scenario",
        "fail=501",
        "--",
        "sh",
        "-c",
        &submit,
    ];
    let (code, _, stderr) = run(&mut suno(&arguments));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("code 501: the generation failed; submit again"),
        "{stderr}"
    );
}

#[test]
fn events_can_be_confirmed_before_they_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start();
    let store = dir.path().join("suno.db");
    let verify = ["--webhook-key-env", "TEST_WEBHOOK_KEY", "--confirm"];
    let (process, address) = listen_with(&store, &verify, |command| {
        command.envs(emulator.variables.iter().cloned())
    });
    let url = format!("http://{address}/suno/callback");
    let (code, _, stderr) = run(&mut emulator.with_variables(submit(&url, &[])));
    assert_eq!(code, 0, "{stderr}");
    for stage in ["text", "first", "complete"] {
        let line = process.json();
        assert_eq!(line["stage"], stage, "{line}");
        let expected = serde_json::json!(["signature", "record"]);
        assert_eq!(line["verified_by"], expected, "{line}");
    }
    assert_eq!(process.terminate().0, 0);
}

/// Everything that is logged, by everything that the command is made of.
#[test]
fn no_secret_is_printed_or_logged_at_any_level() {
    const TOKEN: &str = "t0ken-4c1f9a7be2d8406ab35e";
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let log = dir.path().join("log");
    let mut listen = suno(&[
        "listen",
        "--addr",
        "127.0.0.1:0",
        "--store",
        &store,
        "--json",
    ]);
    listen
        .args(["--token-env", "TEST_TOKEN", "--webhook-key-env", "TEST_KEY"])
        .envs([
            ("TEST_TOKEN", TOKEN),
            ("TEST_KEY", crate::process::KEY),
            ("RUST_LOG", "trace"),
        ])
        .stderr(std::fs::File::create(&log).unwrap());
    let listener = Process::start_logging(listen);
    let url = format!("{}/{TOKEN}", listener.json()["url"].as_str().unwrap());

    let songs = dir.path().join("songs");
    let wait = [
        "--wait",
        "--interval",
        "200ms",
        "--download",
        songs.to_str().unwrap(),
    ];
    let mut wrong_key = emulator.with_variables(suno(&["credits"]));
    wrong_key.env("SUNO_API_KEY", "another-key-7d1e55");
    let mut shown = String::new();
    for (mut command, expected) in [
        (emulator.with_variables(submit(&url, &wait)), 0),
        (emulator.with_variables(suno(&["credits"])), 0),
        (wrong_key, 1),
    ] {
        let (code, stdout, stderr) = run(command.env("RUST_LOG", "trace"));
        assert_eq!(code, expected, "{stderr}");
        assert!(stderr.contains("TRACE"), "nothing was logged");
        shown += &(stdout + &stderr);
    }
    for _ in 0..3 {
        shown += &listener.line();
    }
    assert_eq!(listener.terminate().0, 0);
    let log = std::fs::read_to_string(log).unwrap();
    shown += &log;
    let (_, api_key) = &emulator.variables[1];
    let secrets = [api_key, TOKEN, crate::process::KEY, "another-key-7d1e55"];
    for line in shown.lines() {
        let secret = secrets.iter().find(|secret| line.contains(**secret));
        assert!(secret.is_none(), "{line}");
    }
}
