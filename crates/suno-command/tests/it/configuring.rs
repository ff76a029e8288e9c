//! `suno listen --config` and `suno check-config`: settings from a file.

use std::fs;
use std::path::Path;
use std::process::Command;

use boon::{Compiler, Schemas};

use crate::consumer::Consumer;
use crate::process::{KEY, Process, TASK, body, post, run, suno};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn with_keys(command: &mut Command) -> &mut Command {
    command
        .env("TEST_WEBHOOK_KEY", KEY)
        .env("TEST_SIGNING_KEY", SECRET)
        .env("TEST_TOKEN", "Bearer canary")
}

/// A file with a destination, whose query is a secret.
fn file(dir: &Path, to: &str) -> String {
    let file = dir.join("suno.toml");
    let text = format!(
        r#"# How the shop gets its events.
addr = "127.0.0.1:0"
store = "sqlite:{}"
webhook_key_env = ["TEST_WEBHOOK_KEY"]
json = true
forward_to = "shop={to}?canary"
signing_key_env = "TEST_SIGNING_KEY"
forward_header = ["shop:authorization=TEST_TOKEN"]
concurrency = 2
"#,
        dir.join("suno.db").display()
    );
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn a_file_says_what_the_command_line_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::start(|_, _| "204 OK".to_owned());
    let file = file(dir.path(), &consumer.url());
    // An option that needs another one, which is in the file.
    let mut command = suno(&["listen", "--config", &file, "--forward-timeout", "5s"]);
    with_keys(&mut command);
    let process = Process::start(command);
    let listening = process.json().to_string();
    let address = suno_testkit::receiver::address_of(&listening).unwrap();
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let requests = consumer.wait_for(1);
    assert_eq!(requests[0].header("authorization"), "Bearer canary");
    assert_eq!(process.terminate().0, 0);
}

#[test]
fn check_config_says_what_would_be_done_and_where_each_setting_is_from() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path(), "http://127.0.0.1:1/hook");
    let arguments = [
        "check-config",
        "--config",
        &file,
        "--store",
        "sqlite:other.db",
    ];
    let mut command = suno(&[&arguments[..], &["--concurrency=3"]].concat());
    let (code, stdout, stderr) = run(with_keys(&mut command));
    assert_eq!((code, &*stderr), (0, ""));
    let row = |key: &str| {
        let row = stdout
            .lines()
            .find(|line| line.starts_with(&format!("{key} ")));
        row.unwrap_or_else(|| panic!("{key} in {stdout}"))
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(row("addr"), ["addr", "127.0.0.1:0", &format!("{file}:2")]);
    assert_eq!(row("json"), ["json", "true", &format!("{file}:5")]);
    assert_eq!(
        row("store"),
        ["store", "sqlite:other.db", "command", "line"]
    );
    assert_eq!(row("concurrency"), ["concurrency", "3", "command", "line"]);
    assert_eq!(row("lease"), ["lease", "60s", "default"]);
    assert!(
        stdout.contains("forwards each event to shop at http://127.0.0.1:1"),
        "{stdout}"
    );
    assert!(!stdout.contains("canary"), "{stdout}");
    assert!(!dir.path().join("suno.db").exists() && !Path::new("other.db").exists());
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_line_and_its_value_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.toml");
    for (text, says) in [
        (
            "# one\nforward_too = \"canary\"\n",
            ":2: there is no setting `forward_too`; did you mean `forward_to`?",
        ),
        (
            "signing_key = \"canary\"\n",
            "did you mean `signing_key_env`?",
        ),
        (
            "signing_key_env = [\"canary\"]\nforward_to = 'http://a'\nwebhook_key_env = 'TEST_WEBHOOK_KEY'\n",
            "is not set",
        ),
        ("store = canary\n", ":1: this is not TOML"),
        ("lease = \"soon\"\n", "90s"),
    ] {
        fs::write(&path, text).unwrap();
        for verb in ["check-config", "listen"] {
            let mut command = suno(&[verb, "--config", &path.display().to_string()]);
            let (code, stdout, stderr) = run(with_keys(&mut command));
            assert_eq!((code, &*stdout), (2, ""), "{text}: {stderr}");
            assert!(
                stderr.contains(says) && !stderr.contains("canary"),
                "{text}: {stderr}"
            );
        }
    }
    let missing = dir.path().join("missing.toml").display().to_string();
    let (code, _, stderr) = run(&mut suno(&["check-config", "--config", &missing]));
    assert!(code == 2 && stderr.contains("missing.toml"), "{stderr}");
}

#[test]
fn the_published_schema_describes_a_file() {
    let schema = include_str!("../../../../docs/config.schema.json");
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let url = "memory:///config.schema.json";
    compiler
        .add_resource(url, serde_json::from_str(schema).unwrap())
        .unwrap();
    let index = compiler.compile(url, &mut schemas).unwrap();
    for (file, is_right) in [
        (
            serde_json::json!({"forward_to": ["a=http://a"], "json": true, "concurrency": 4}),
            true,
        ),
        (
            serde_json::json!({"forward_to": "http://a", "store_schema": "suno"}),
            true,
        ),
        (serde_json::json!({"forward_too": "http://a"}), false),
        (serde_json::json!({"json": "true"}), false),
        (serde_json::json!({"config": "other.toml"}), false),
    ] {
        assert_eq!(schemas.validate(&file, index).is_ok(), is_right, "{file}");
    }
}

#[test]
fn the_file_in_the_documentation_is_right() {
    let guide = include_str!("../../../../docs/GATEWAY.md");
    let (_, text) = guide.split_once("```toml\n").unwrap();
    let (text, _) = text.split_once("```").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suno.toml");
    fs::write(&path, text).unwrap();
    let mut command = suno(&["check-config", "--config", &path.display().to_string()]);
    command
        .env("SUNO_WEBHOOK_KEY", KEY)
        .env("SHOP_KEY", SECRET)
        .env("SHOP_TOKEN", "Bearer canary");
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!((code, &*stderr), (0, ""));
    for says in [
        "forwards each event to shop at https://shop.example",
        "a queue for each destination",
    ] {
        assert!(stdout.contains(says), "{stdout}");
    }
}
