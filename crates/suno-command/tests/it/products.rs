//! Every operation, from the command line to its result and its callback.

use serde_json::{Value, json};

use crate::process::{listen, listen_with, run, suno};
use crate::provider::Emulator;
use crate::schema::assert_described;

const VERIFY: [&str; 2] = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];
/// The file of a song that exists nowhere.
const VOICE: &str = "https://media.example.com/voice.mp3";
/// A task that the emulator does not know; what is made from a song is made all the same.
const TASK: &str = "5c790000000000000000000000000001";

/// The operations with the least that each needs, and what they make.
const OPERATIONS: [(&str, &[&str], &str); 19] = [
    (
        "generate",
        &["--prompt", "a harbour", "--model", "V5"],
        "song",
    ),
    ("extend", &["--audio-id", "a1", "--model", "V5"], "song"),
    (
        "upload-cover",
        &["--upload-url", VOICE, "--prompt", "p", "--model", "V5"],
        "song",
    ),
    (
        "upload-extend",
        &["--upload-url", VOICE, "--model", "V5"],
        "song",
    ),
    (
        "add-instrumental",
        &[
            "--upload-url",
            VOICE,
            "--title",
            "t",
            "--tags",
            "a",
            "--negative-tags",
            "b",
        ],
        "song",
    ),
    (
        "add-vocals",
        &[
            "--upload-url",
            VOICE,
            "--prompt",
            "p",
            "--title",
            "t",
            "--style",
            "s",
            "--negative-tags",
            "b",
        ],
        "song",
    ),
    (
        "replace-section",
        &[
            "--task-id",
            TASK,
            "--audio-id",
            "a1",
            "--prompt",
            "p",
            "--tags",
            "a",
            "--title",
            "t",
            "--infill-start-s",
            "10",
            "--infill-end-s",
            "20",
            "--full-lyrics",
            "l",
        ],
        "song",
    ),
    (
        "mashup",
        &[
            "--upload-url-list",
            VOICE,
            "--upload-url-list",
            VOICE,
            "--prompt",
            "p",
            "--custom-mode",
            "--style",
            "s",
            "--title",
            "t",
            "--model",
            "V5",
        ],
        "song",
    ),
    ("sounds", &["--prompt", "rain", "--model", "V5"], "song"),
    ("lyrics", &["--prompt", "a harbour"], "lyrics"),
    ("wav", &["--task-id", TASK, "--audio-id", "a1"], "wav"),
    ("mp4", &["--task-id", TASK, "--audio-id", "a1"], "mp4"),
    ("stems", &["--task-id", TASK, "--audio-id", "a1"], "stems"),
    ("midi", &["--task-id", TASK], "midi"),
    ("cover", &["--task-id", TASK], "cover"),
    (
        "voice-validate",
        &[
            "--voice-url",
            VOICE,
            "--vocal-start-s",
            "1",
            "--vocal-end-s",
            "8",
        ],
        "voice",
    ),
    ("voice-regenerate", &["--task-id", TASK], "voice"),
    (
        "voice-generate",
        &["--task-id", TASK, "--verify-url", VOICE],
        "voice",
    ),
    ("recovery", &["--task-id", TASK], "recovery"),
];

/// The lines of a command that succeeds.
fn lines(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines().map(|line| {
        let line = serde_json::from_str(line).unwrap();
        assert_described(&line);
        line
    });
    lines.collect()
}

/// What was made, as far as callbacks and records say the same of it.
fn result(line: &Value) -> Value {
    match line["output"]["stems"].as_array() {
        Some(stems) => stems.iter().map(|stem| stem["url"].clone()).collect(),
        None => line["output"].clone(),
    }
}

#[test]
fn every_operation_is_submitted_waited_for_and_received_by_either_route() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::at_speed("100x");
    let (listener, address) = listen(&dir.path().join("suno.db"), &VERIFY);
    let url = format!("http://{address}/suno/callback?order=42");
    let covered: Vec<_> = OPERATIONS.iter().map(|(word, ..)| *word).collect();
    let all: Vec<_> = suno_types::Operation::all()
        .map(|one| one.as_str())
        .collect();
    assert_eq!(covered, all);
    for (place, (operation, fields, product)) in OPERATIONS.into_iter().enumerate() {
        // The jobs route for every other one.
        let route = if place % 2 == 0 { "direct" } else { "jobs" };
        let options = [
            operation,
            "--callback-url",
            &url,
            "--route",
            route,
            "--wait",
            "--json",
            "--interval",
            "200ms",
            "--deadline",
            "20s",
        ];
        let command = suno(&[&options, fields].concat());
        let (code, stdout, stderr) = run(&mut emulator.with_variables(command));
        assert_eq!(code, 0, "{operation} by {route}: {stdout}{stderr}");
        let lines = lines(&stdout);
        let (first, last) = (&lines[0], &lines[lines.len() - 1]);
        assert_eq!(first["event"], "submitted", "{operation}");
        assert_eq!(
            (&last["event"], &last["stage"]),
            (&json!("finished"), &json!("complete"))
        );
        let is_song = product == "song" || product == "recovery";
        let made = if is_song {
            &last["tracks"][0]
        } else {
            &last["output"]
        };
        assert!(made.is_object(), "{operation} by {route}: {last}");
        // Stages before the last one may come as well.
        let handled = loop {
            let line = listener.json();
            // A phrase is there before the voice is.
            let is_made = line["stage"] == "complete" || line["output"]["phrase"].is_string();
            if line["task_id"] == first["task_id"] && is_made {
                break line;
            }
        };
        assert_eq!(
            handled["product"], product,
            "{operation} by {route}: {handled}"
        );
        assert_eq!(handled["query"], "order=42");
        assert_eq!(handled["revision"], 0);
        assert_eq!(result(&handled), result(last), "{operation} by {route}");
    }
    assert_eq!(listener.terminate().0, 0);
    assert_eq!(emulator.process.terminate().0, 0);
}

/// Runs `suno add-instrumental` and returns its exit code and its lines.
fn submit(emulator: &Emulator, title: &str, more: &[&str]) -> (i32, Vec<Value>, String) {
    let arguments = [
        "add-instrumental",
        "--upload-url",
        VOICE,
        "--title",
        title,
        "--tags",
        "a",
        "--negative-tags",
        "b",
        "--callback-url",
        "https://app.example.com/cb",
        "--json",
    ];
    let command = suno(&[&arguments, more].concat());
    let (code, stdout, stderr) = run(&mut emulator.with_variables(command));
    (code, lines(&stdout), stderr)
}

#[test]
fn refused_and_unknown_are_told_apart_by_exit_code_and_line() {
    let emulator = Emulator::start();
    let (code, lines, stderr) = submit(&emulator, "[emulator:no-credits] t", &[]);
    let refused = &lines[0];
    assert_eq!(
        (code, &refused["event"], &refused["code"]),
        (3, &json!("refused"), &json!(402))
    );
    assert!(stderr.contains("credits"), "{stderr}");

    let (code, lines, stderr) = submit(&emulator, "[emulator:cut] t", &[]);
    let unknown = &lines[0];
    assert_eq!((code, &unknown["event"]), (4, &json!("unknown")));
    assert_eq!(unknown["may_have_been_paid"], true);
    assert!(stderr.contains("before submitting again"), "{stderr}");

    let (code, lines, _) = submit(&emulator, "[emulator:http=403] t", &[]);
    assert_eq!((code, &lines[0]["event"]), (3, &json!("refused")));
    assert_eq!(lines[0]["http_status"], 403);
    assert_eq!(emulator.process.terminate().0, 0);
}

#[test]
fn a_file_that_exists_already_is_refused_with_the_task_that_made_it() {
    let emulator = Emulator::at_speed("100x");
    let options = [
        "wav",
        "--task-id",
        TASK,
        "--audio-id",
        "a1",
        "--callback-url",
        "https://app.example.com/cb",
        "--json",
    ];
    let again = || run(&mut emulator.with_variables(suno(&options)));
    let (code, stdout, _) = again();
    assert_eq!(code, 0);
    let task_id = lines(&stdout)[0]["task_id"].clone();
    let (code, stdout, stderr) = again();
    let refused = &lines(&stdout)[0];
    assert_eq!(
        (code, &refused["code"], &refused["task_id"]),
        (3, &json!(409), &task_id)
    );
    assert!(stderr.contains(task_id.as_str().unwrap()), "{stderr}");
    assert_eq!(emulator.process.terminate().0, 0);
}

#[test]
fn an_order_finds_its_songs_by_the_reference_of_its_submit_although_the_answer_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start();
    let file = dir.path().join("suno.db");
    let (listener, address) = listen(&file, &VERIFY);
    let url = format!("http://{address}/suno/callback");
    let store = format!("sqlite:{}", file.display());
    for (title, exit) in [("t", 0), ("[emulator:cut] t", 4)] {
        let more = [
            "--callback-url",
            &url,
            "--store",
            &store,
            "--reference",
            "order-42",
        ];
        let arguments = [
            "add-instrumental",
            "--upload-url",
            VOICE,
            "--title",
            title,
            "--tags",
            "a",
            "--negative-tags",
            "b",
            "--json",
        ];
        let command = suno(&[&arguments[..], &more].concat());
        let (code, stdout, stderr) = run(&mut emulator.with_variables(command));
        assert_eq!(code, exit, "{stderr}");
        assert_eq!(lines(&stdout)[0]["reference"], "order-42");
        for stage in ["text", "first", "complete"] {
            let handled = listener.json();
            assert_eq!(
                (&handled["stage"], &handled["reference"]),
                (&json!(stage), &json!("order-42"))
            );
            assert!(handled["submit"].is_string(), "{handled}");
        }
    }
    assert_eq!(listener.terminate().0, 0);
    assert_eq!(emulator.process.terminate().0, 0);
}

#[test]
fn one_dead_file_stops_no_other_and_is_fetched_by_the_next_call() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start();
    let folder = dir.path().join("songs");
    let more = [
        "--wait",
        "--interval",
        "200ms",
        "--download",
        folder.to_str().unwrap(),
    ];
    let (code, first, stderr) = submit(&emulator, "[emulator:missing-audio] t", &more);
    let event = |lines: &[Value], name: &str| -> Vec<Value> {
        let lines = lines.iter().filter(|line| line["event"] == name);
        lines.cloned().collect()
    };
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(
        (
            event(&first, "downloaded").len(),
            event(&first, "not_downloaded").len()
        ),
        (1, 1)
    );
    let finished = &event(&first, "finished")[0];
    for track in finished["tracks"].as_array().unwrap() {
        assert!(track["audio_url"].is_string(), "{finished}");
    }
    assert!(stderr.contains("1 of the files are missing"), "{stderr}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);

    let task_id = finished["task_id"].as_str().unwrap();
    let again = suno(&[
        "wait",
        task_id,
        "--json",
        "--download",
        folder.to_str().unwrap(),
    ]);
    let (code, stdout, stderr) = run(&mut emulator.with_variables(again));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(event(&lines(&stdout), "downloaded").len(), 2);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    assert_eq!(emulator.process.terminate().0, 0);
}

#[test]
fn a_local_file_is_uploaded_and_used() {
    let dir = tempfile::tempdir().unwrap();
    let emulator = Emulator::start();
    let file = dir.path().join("hum.mp3");
    std::fs::write(&file, b"ID3 not really music").unwrap();
    let options = [
        "add-instrumental",
        "--upload-file",
        file.to_str().unwrap(),
        "--title",
        "t",
        "--tags",
        "a",
        "--negative-tags",
        "b",
        "--callback-url",
        "https://app.example.com/cb",
        "--json",
    ];
    let (code, stdout, stderr) = run(&mut emulator.with_variables(suno(&options)));
    assert_eq!(code, 0, "{stderr}");
    let lines = lines(&stdout);
    assert_eq!(
        (&lines[0]["event"], &lines[1]["event"]),
        (&json!("uploaded"), &json!("submitted"))
    );
    assert!(
        lines[0]["url"].as_str().unwrap().starts_with("http"),
        "{stdout}"
    );

    // A field that is wrong is found before anything is uploaded.
    let wrong = [&options[..], &["--style-weight", "7"]].concat();
    let (code, stdout, stderr) = run(&mut emulator.with_variables(suno(&wrong)));
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    let missing = suno(&options.map(|word| {
        if word == options[2] {
            "nowhere.mp3"
        } else {
            word
        }
    }));
    let (code, stdout, stderr) = run(&mut emulator.with_variables(missing));
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("nowhere.mp3"), "{stderr}");
    assert_eq!(emulator.process.terminate().0, 0);
}

#[test]
fn a_token_may_stand_in_a_query_parameter_and_a_large_body_may_be_allowed() {
    const TOKEN: &str = "q7Zr0x4b9c2d8e1f6a5b3c7d";
    let dir = tempfile::tempdir().unwrap();
    let options = [
        "--token-env",
        "TEST_TOKEN",
        "--token-in",
        "query:secret",
        "--body-max",
        "64K",
    ];
    let (mut listener, address) = listen_with(&dir.path().join("suno.db"), &options, |command| {
        command
            .env("TEST_TOKEN", TOKEN)
            .stderr(std::process::Stdio::piped())
    });
    let post = |query: &str, bytes: usize| {
        let body = crate::process::body("complete");
        let body = format!("{body}{}", " ".repeat(bytes.saturating_sub(body.len())));
        let request = format!(
            "POST /suno/callback/orders/42?{query} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        crate::process::status(&crate::process::talk(address, request.as_bytes()))
    };
    let right = format!("a=1&secret={TOKEN}&b=2");
    assert_eq!(post("a=1", 0), 401);
    assert_eq!(post(&right, 65_537), 413);
    assert_eq!(post(&right, 65_536), 200);
    let handled = listener.json();
    assert_eq!(
        (&handled["path"], &handled["query"]),
        (&json!("orders/42"), &json!("a=1&b=2"))
    );
    assert_eq!(handled["verified_by"], json!(["token"]));
    listener.signal("TERM");
    assert_eq!(listener.wait(), 0);
    let log = listener.stderr();
    assert!(
        log.contains("callback rejected") && !log.contains(TOKEN),
        "{log}"
    );
    for (option, value) in [
        ("--token-in", "header:x"),
        ("--body-max", "1K"),
        ("--body-max", "65M"),
    ] {
        let wrong = suno(&["listen", "--token-env", "T", option, value]);
        assert_eq!(run(&mut { wrong }).0, 2, "{option} {value}");
    }
}
