//! What a new user gets wrong: one clear line and exit code 2, before anything is done.

use std::net::TcpListener;

use crate::process::{KEY, run, suno};

/// Runs a command that must be refused, and returns its one line.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let (code, stdout, stderr) = run(suno(arguments).envs(variables.iter().copied()));
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("suno: error: "), "{stderr}");
    assert!(!stderr.contains("canary"), "{stderr}");
    stderr
}

const SUBMIT: [&str; 11] = [
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
    "https://app.example.com/callback",
];

#[test]
fn listening_without_any_verification_says_what_to_set() {
    let line = refused(&["listen"], &[]);
    assert!(
        line.contains("--webhook-key-env") && line.contains("--token-env"),
        "{line}"
    );
}

#[test]
fn a_variable_that_is_missing_is_named_unless_its_name_may_be_the_secret() {
    for (command, option) in [
        ("listen", "--webhook-key-env"),
        ("listen", "--token-env"),
        ("emulate", "--webhook-key-env"),
        ("emulate", "--api-key-env"),
    ] {
        let line = refused(&[command, option, "whk_canary_9f2b"], &[]);
        assert!(line.contains(option), "{line}");
        let line = refused(&[command, option, "SHOP_KEY"], &[]);
        assert!(
            line.contains(option) && line.contains(" SHOP_KEY"),
            "{line}"
        );
    }
    assert!(refused(&SUBMIT, &[]).contains("SUNO_API_KEY"));
    assert!(refused(&["wait", "t"], &[]).contains("SUNO_API_KEY"));
    assert!(refused(&["credits"], &[]).contains("SUNO_API_KEY"));
}

#[test]
fn a_secret_that_is_blank_is_refused_before_anything_is_served() {
    for blank in ["", " ", "  \n", "\t"] {
        for option in ["--webhook-key-env", "--token-env"] {
            let line = refused(&["listen", option, "KEY"], &[("KEY", blank)]);
            assert!(line.contains("blank"), "{line}");
        }
        let line = refused(&["credits"], &[("SUNO_API_KEY", blank)]);
        assert!(line.contains("blank"), "{line}");
    }
}

#[test]
fn a_token_that_could_be_guessed_is_refused_and_not_shown() {
    let arguments = ["listen", "--token-env", "TEST_TOKEN"];
    let line = refused(&arguments, &[("TEST_TOKEN", "canary")]);
    assert!(line.contains("--token-env"), "{line}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let listen = [
        "listen",
        "--webhook-key-env",
        "KEY",
        "--store",
        &store,
        "--addr",
        &address,
    ];
    assert!(refused(&listen, &[("KEY", KEY)]).contains(&address));
    assert!(refused(&["emulate", "--addr", &address], &[]).contains(&address));
}

#[test]
fn a_store_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let newer = dir.path().join("newer.db");
    let raw = rusqlite::Connection::open(&newer).unwrap();
    raw.pragma_update(None, "application_id", 0x5375_6e6f)
        .unwrap();
    raw.execute_batch("CREATE TABLE events (id INTEGER); PRAGMA user_version = 99;")
        .unwrap();
    drop(raw);
    let garbage = dir.path().join("garbage.db");
    std::fs::write(&garbage, "x".repeat(4_096)).unwrap();
    let nowhere = dir.path().join("none/suno.db");
    let pipe = dir.path().join("pipe.db");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    for (file, says) in [
        (newer, "newer version"),
        (garbage, "not a store"),
        (nowhere, "none/suno.db"),
        (pipe, "pipe or a device"),
    ] {
        let store = format!("sqlite:{}", file.display());
        let address = ["--addr", "127.0.0.1:0"];
        let listen = ["listen", "--webhook-key-env", "KEY", "--store", &store];
        let line = refused(&[&listen[..], &address].concat(), &[("KEY", KEY)]);
        assert!(line.contains(says), "{line}");
    }
}

#[test]
fn the_option_of_a_field_out_of_its_bounds_is_named_before_anything_is_sent() {
    let variables = [
        ("SUNO_API_KEY", "canary"),
        ("SUNO_BASE_URL", "http://127.0.0.1:9"),
    ];
    let arguments = [&SUBMIT[..], &["--style-weight", "1.5"]].concat();
    assert!(refused(&arguments, &variables).contains("--style-weight must be"));
    for (place, option) in [(2, "--upload-url"), (10, "--callback-url")] {
        let mut arguments = SUBMIT;
        arguments[place] = "voice.mp3";
        assert!(refused(&arguments, &variables).contains(&format!("{option} must be")));
    }
    let missing = ["lyrics", "--prompt", "A harbour"];
    assert!(refused(&missing, &variables).contains("--callback-url is missing"));
    let missing = [
        "generate",
        "--model",
        "V5",
        "--custom-mode",
        "--callback-url",
        SUBMIT[10],
    ];
    assert!(refused(&missing, &variables).contains("--title is missing"));
    let misspelt = ["voice-regenerate", "--task-id", "t", "--callback-url", "x"];
    assert!(refused(&misspelt, &variables).contains("--callback-url must be"));
}

#[test]
fn a_folder_that_cannot_be_made_is_found_out_before_a_task_is_paid_for() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let inside = file.path().join("songs");
    let variables = [
        ("SUNO_API_KEY", "canary"),
        ("SUNO_BASE_URL", "http://127.0.0.1:9"),
    ];
    let download = ["--download", inside.to_str().unwrap()];
    for command in [&SUBMIT[..], &["wait", "t"]] {
        let line = refused(&[command, &download[..]].concat(), &variables);
        assert!(line.contains("cannot make the folder"), "{line}");
    }
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    let variables = [
        ("SUNO_API_KEY", "canary"),
        ("SUNO_BASE_URL", "http://api.example.com"),
    ];
    assert!(refused(&SUBMIT, &variables).contains("SUNO_BASE_URL"));
}

#[test]
fn wrong_words_end_with_2_and_every_help_has_an_example() {
    for arguments in [
        &["sing"][..],
        &["listen", "--store", "mysql:x"],
        &["wait", "t", "--deadline", "0s"],
    ] {
        assert_eq!(run(&mut suno(arguments)).0, 2, "{arguments:?}");
    }
    for command in [
        "demo",
        "emulate",
        "listen",
        "submit",
        "wait",
        "credits",
        "conformance",
    ] {
        let (code, stdout, _) = run(&mut suno(&[command, "--help"]));
        assert_eq!(code, 0);
        assert!(stdout.contains("Example"), "{stdout}");
    }
}

#[test]
fn each_operation_is_a_command_whose_help_names_its_fields_and_their_bounds() {
    for operation in suno_types::Operation::all() {
        let long = run(&mut suno(&["submit", operation.as_str(), "--help"]));
        let short = run(&mut suno(&[operation.as_str(), "--help"]));
        assert_eq!((long.0, &long), (0, &short), "{operation:?}");
        for field in operation.fields() {
            let option = format!("--{}", field.option());
            assert!(long.1.contains(&option), "{operation:?} {option}");
        }
    }
}

#[test]
fn a_password_in_the_url_of_a_store_is_refused_and_shown_nowhere() {
    let key = [("KEY", KEY)];
    for url in [
        "postgres://suno:canary@127.0.0.1/suno",
        "postgres://suno@127.0.0.1/suno?password=canary",
    ] {
        let line = refused(
            &["listen", "--webhook-key-env", "KEY", "--store", url],
            &key,
        );
        assert!(
            line.contains("--store-env") && line.contains("--store-file"),
            "{line}"
        );
        // In the wrong place, where it is an argument like any other.
        let (code, _, stderr) = run(&mut suno(&["listen", url]));
        assert_eq!(code, 2, "{stderr}");
        assert!(
            !stderr.contains("canary") && stderr.contains("127.0.0.1"),
            "{stderr}"
        );
        let line = refused(
            &["listen", "--webhook-key-env", "KEY", "--store-env", url],
            &key,
        );
        assert!(line.contains("--store-env"), "{line}");
        let line = refused(
            &["listen", "--webhook-key-env", "KEY", "--store-file", url],
            &key,
        );
        assert!(line.contains("--store-file"), "{line}");
    }
}

#[test]
fn a_store_is_named_once_and_in_one_way() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    std::fs::write(&empty, " \n").unwrap();
    let listen = ["listen", "--webhook-key-env", "KEY"];
    let empty = ["--store-file", empty.to_str().unwrap()];
    let line = refused(&[&listen[..], &empty].concat(), &[("KEY", KEY)]);
    assert!(line.contains("empty"), "{line}");
    let both = ["--store", "sqlite:suno.db", "--store-env", "URL"];
    assert_eq!(run(&mut suno(&[&listen[..], &both].concat())).0, 2);
    let reference = [&SUBMIT[..], &["--reference", "order-42"]].concat();
    let (code, _, stderr) = run(&mut suno(&reference));
    assert_eq!(code, 2);
    assert!(stderr.contains("--store"), "{stderr}");
}
