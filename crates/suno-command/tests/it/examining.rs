//! `suno doctor` and `suno health` examine a running receiver.

use serde_json::Value;

use crate::process::{KEY, listen, run, suno};

const VERIFY: [&str; 2] = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];

#[test]
fn a_receiver_of_this_command_is_healthy_and_handles_the_event_of_the_doctor_once() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let url = format!("http://{address}/suno/callback");
    let mut command = suno(&[&["doctor", "--json", "--url", &url], &VERIFY[..]].concat());
    let (code, stdout, stderr) = run(command.env("TEST_WEBHOOK_KEY", KEY));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    let lines = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    for line in lines {
        // An address on this machine is what the doctor warns of.
        let expected = if line["check"] == "dns" {
            "warning"
        } else {
            "ok"
        };
        assert_eq!(line["severity"], expected, "{line}");
    }
    let handled = receiver.json();
    assert!(
        handled["task_id"]
            .as_str()
            .unwrap()
            .starts_with("suno-doctor-")
    );
    assert_eq!(receiver.terminate(), (0, Vec::new()));
}

#[test]
fn each_finding_is_a_line_with_what_to_do_and_the_exit_code_counts_failures() {
    let dir = tempfile::tempdir().unwrap();
    let (_receiver, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let url = format!("http://{address}/elsewhere");
    let (code, stdout, stderr) = run(&mut suno(&["doctor", "--url", &url]));
    assert_eq!(
        (code, stderr.as_str()),
        (1, "suno: error: a check failed\n")
    );
    assert!(
        stdout.contains("failed   path         there is no receiver at this path"),
        "{stdout}"
    );
    assert!(stdout.contains("-> compare the path"), "{stdout}");
    let (code, _, stderr) = run(&mut suno(&["doctor", "--url", "canary"]));
    assert_eq!(code, 2);
    assert!(!stderr.contains("canary"), "{stderr}");
}

#[test]
fn the_health_check_of_a_container_has_an_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let health = |path: &str| {
        let mut command = suno(&["health"]);
        run(command.env("SUNO_HEALTH_URL", format!("http://{address}{path}")))
    };
    assert_eq!(
        health("/healthz"),
        (0, "healthy: 200\n".to_owned(), String::new())
    );
    let (code, _, stderr) = health("/elsewhere");
    assert_eq!(
        (code, stderr.as_str()),
        (
            1,
            "suno: error: the service is not healthy: the answer is 404\n"
        )
    );
    receiver.terminate();
    assert_eq!(health("/healthz").0, 1);
    let (code, _, stderr) = run(&mut suno(&["health"]));
    assert_eq!(code, 2);
    assert!(
        stderr.contains("--url") && stderr.contains("SUNO_HEALTH_URL"),
        "{stderr}"
    );
    assert_eq!(run(&mut suno(&["health", "--url", "nowhere"])).0, 2);
}

#[test]
fn a_secret_may_be_in_a_file_that_a_variable_names() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let mut arguments = vec!["verify", "--webhook-key-env", "KEY", "--task-id", "t"];
    let (code, _, stderr) = run(suno(&arguments).env("KEY_FILE", &file));
    assert_eq!(code, 2);
    assert!(stderr.contains("no signature to check"), "{stderr}");
    arguments.extend(["--signature", "x"]);
    let mut command = suno(&arguments);
    let (code, stdout, stderr) = run(command.env("KEY_FILE", &file));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stdout.contains("x-webhook-timestamp is missing"),
        "{stdout}"
    );
    let (code, _, stderr) = run(command.env("KEY_FILE", dir.path().join("none")));
    assert_eq!(code, 2);
    assert!(
        stderr.contains("_FILE") && !stderr.contains("none"),
        "{stderr}"
    );
}
