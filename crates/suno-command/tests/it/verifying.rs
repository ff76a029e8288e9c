//! `suno verify` says whether a signature is valid, and why not.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;
use suno_callback::{Clock, SystemClock};
use suno_types::TaskId;
use suno_types::signature::WebhookKey;

const KEY: &str = "whk-amber-otter";
const TASK: &str = "5c79be8e";
const BODY: &str = r#"{"code":200,"data":{"callbackType":"text","task_id":"5c79be8e","data":[]}}"#;

/// Returns the exit code, stdout and stderr of `suno verify`.
fn verify(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_suno"))
        .arg("verify")
        .args(arguments)
        .env("KEY", KEY)
        .env("SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn signature(timestamp: u64) -> String {
    WebhookKey::new(KEY).sign(&TaskId::new(TASK).unwrap(), timestamp)
}

#[test]
fn a_captured_callback_is_checked_at_the_time_of_its_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.json");
    fs::write(&body, BODY).unwrap();
    let time = format!("X-Webhook-Timestamp: {}", 1_780_000_000);
    let signed = format!("x-webhook-signature:{}", signature(1_780_000_000));
    let body = body.to_str().unwrap();
    let captured = [
        "--webhook-key-env",
        "KEY",
        "--body",
        body,
        "--header",
        &time,
        "--header",
        &signed,
    ];
    let (code, stdout, _) = verify(&[&captured[..], &["--at", "1780000299"]].concat());
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "valid: signed with key 1\n")
    );

    let (code, stdout, stderr) = verify(&[&captured[..], &["--at", "1780000342"]].concat());
    assert_eq!(code, Some(1));
    assert!(
        stdout.contains("42 s older than the window allows"),
        "{stdout}"
    );
    assert!(stdout.contains("key 1 made it"), "{stdout}");
    assert_eq!(stderr, "suno: error: the signature is not valid\n");
}

#[test]
fn without_a_body_the_three_values_are_enough_and_programs_get_an_object() {
    let now = SystemClock.now().as_second().unsigned_abs();
    let (timestamp, signed) = (now.to_string(), signature(now));
    let values = [
        "--webhook-key-env",
        "KEY",
        "--timestamp",
        &timestamp,
        "--json",
    ];
    let run = |task_id: &str| {
        let (code, stdout, _) =
            verify(&[&values[..], &["--signature", &signed, "--task-id", task_id]].concat());
        (code, serde_json::from_str::<Value>(&stdout).unwrap())
    };
    let (code, report) = run(TASK);
    assert_eq!(
        (code, &report["valid"], &report["key"]),
        (Some(0), &true.into(), &1.into())
    );
    let (code, report) = run("another");
    assert_eq!(code, Some(1));
    assert_eq!(report["mistakes"][0]["mistake"], "no_key_fits");
    let expected = WebhookKey::new(KEY).sign(&TaskId::new("another").unwrap(), now);
    assert!(!report.to_string().contains(&expected[..8]), "{report}");
}

#[test]
fn what_the_gateway_sends_is_checked_with_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.json");
    // The example of the published packages' own tests.
    fs::write(&body, r#"{"test": 2432232314}"#).unwrap();
    let request = [
        "--standard-webhooks",
        "--secret-env",
        "SECRET",
        "--body",
        body.to_str().unwrap(),
        "--header",
        "webhook-id:msg_p5jXN8AQM9LWM0D4loKWxJek",
        "--header",
        "webhook-timestamp:1614265330",
        "--header",
        "webhook-signature:v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ];
    let (code, stdout, stderr) = verify(&[&request[..], &["--at", "1614265330"]].concat());
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "valid: signed with key 1\n"),
        "{stderr}"
    );
    let (code, stdout, _) = verify(&request);
    assert_eq!(code, Some(1));
    assert!(
        stdout.contains("the signature fits, but the timestamp is"),
        "{stdout}"
    );
}

#[test]
fn wrong_usage_is_not_taken_for_an_invalid_signature() {
    for arguments in [
        &["--timestamp", "1"][..],
        &["--webhook-key-env", "UNSET_KEY"],
        &["--webhook-key-env", "KEY", "--header", "no colon"],
        &["--webhook-key-env", "KEY", "--body", "/nonexistent"],
        &["--standard-webhooks", "--secret-env", "SECRET"],
        &[
            "--standard-webhooks",
            "--secret-env",
            "KEY",
            "--body",
            "/dev/null",
            "--header",
            "a:b",
        ],
    ] {
        let (code, _, stderr) = verify(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
        assert!(
            !stderr.contains("no colon\n") && !stderr.contains(KEY),
            "{stderr}"
        );
    }
}
