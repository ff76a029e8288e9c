//! `suno emulate`, `suno add-instrumental` and `suno wait`, together.

use std::process::Command;

use crate::process::{Process, listen, run, suno};

/// An emulator, and the variables that it printed.
struct Emulator {
    process: Process,
    variables: Vec<(String, String)>,
}

impl Emulator {
    fn start() -> Self {
        let mut command = suno(&["emulate", "--speed", "60x", "--webhook-key-env", "TEST_KEY"]);
        command.env("TEST_KEY", crate::process::KEY);
        let process = Process::start(command);
        let variables = (0..3)
            .map(|_| {
                let line = process.line();
                let (name, value) = line.split_once('=').unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect();
        Self { process, variables }
    }

    fn with_variables(&self, mut command: Command) -> Command {
        command.envs(self.variables.iter().cloned());
        command
    }
}

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
    let last: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["stage"]),
        (&"finished".into(), &"complete".into())
    );
    assert_eq!(last["tracks"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::read_dir(songs).unwrap().count(), 2);
    assert_eq!(listener.terminate(), (0, Vec::new()));
    assert_eq!(emulator.process.terminate().0, 0);
}

#[test]
fn a_wrong_key_an_unreachable_provider_and_an_unknown_task_end_with_1() {
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
    for (mut command, says) in [
        (wrong_key, "SUNO_API_KEY"),
        (unreachable, "SUNO_BASE_URL"),
        (unknown, "suno wait ffffffffffffffffffffffffffffffff"),
    ] {
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        let errors: Vec<_> = stderr
            .lines()
            .filter(|line| line.starts_with("suno: error:"))
            .collect();
        assert_eq!(errors.len(), 1, "{stderr}");
        assert!(errors[0].contains(says), "{stderr}");
        assert!(!stderr.contains("canary"), "{stderr}");
    }
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
    assert!(stderr.contains("the task failed"), "{stderr}");
}
