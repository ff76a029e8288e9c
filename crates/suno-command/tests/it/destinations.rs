//! Destinations of `suno listen`: commands, folders, and what is refused, printed and kept secret.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use suno_gateway::signing::Secret;

use crate::consumer::Consumer;
use crate::forwarding::{NEW, SIGNED, body_of, events, gateway, next, with_keys};
use crate::process::{Process, TASK, body, listen_with, post, run, suno};

#[test]
fn a_command_gets_the_event_and_its_exit_code_decides() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let out = dir.path().join("out");
    let script = format!(
        r#"keep=sh -c 'cat >> "{}"; test -z "$TEST_WEBHOOK_KEY" || exit 1'"#,
        out.display()
    );
    let bad = "bad=sh -c 'exit 65'";
    let options = [
        "--exec",
        &script,
        "--exec",
        bad,
        "--bad-event-attempts",
        "1",
    ];
    let verify = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];
    let (process, address) = listen_with(&store, &[&verify, &options[..]].concat(), with_keys);
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let mut actions = [next(&process, "attempt"), next(&process, "attempt")].map(|line| {
        let exit = &line["outcome"];
        assert_eq!(exit["kind"], "exited", "{line}");
        format!("{} {}", line["destination"], line["action"])
    });
    actions.sort();
    assert_eq!(actions, [r#""bad" "bad_event""#, r#""keep" "done""#]);
    let event: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(event["data"]["task_id"], TASK);
    assert_eq!(process.terminate().0, 0);
    assert_eq!(events(&dir.path().join("suno.db.queue-bad"), "dead"), 1);
}

#[test]
fn what_cannot_work_is_refused_at_the_start_and_no_secret_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let url = "http://127.0.0.1:1/canary-path?canary-query";
    let named = format!("shop={url}");
    let key = ["--signing-key-env", "TEST_NEW_KEY"];
    let to = ["--forward-to", url];
    for (arguments, says) in [
        (vec![], "suno signing-key"),
        (vec!["--signing-key-env", "TEST_TOKEN"], "whsec_"),
        (vec!["--signing-key-env", "TEST_UNSET"], "is not set"),
        (
            [&key[..], &["--forward-header", "x=TEST_CRLF"]].concat(),
            "line breaks",
        ),
        (
            [&key[..], &["--forward-header", "webhook-id=TEST_TOKEN"]].concat(),
            "webhook-id",
        ),
        (
            [&key[..], &["--forward-header", "x=TEST_EMPTY"]].concat(),
            "empty",
        ),
        (
            [&key[..], &["--forward-header", "other:x=TEST_TOKEN"]].concat(),
            "does not exist",
        ),
        (
            [&key[..], &["--forward-to", "ftp://canary"]].concat(),
            "--forward-to",
        ),
        (
            [&key[..], &["--forward-to", url]].concat(),
            "two destinations",
        ),
        ([&key[..], &["--exec", "'canary"]].concat(), "quote"),
        (
            [
                &key[..],
                &[
                    "--exec",
                    "Shop=x",
                    "--forward-to",
                    &named,
                    "--on-status",
                    "99=done",
                ],
            ]
            .concat(),
            "409,422=abandon",
        ),
    ] {
        let listen = ["listen", "--addr", "127.0.0.1:0", "--store", &store];
        let verify = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];
        let mut command = suno(&[&listen[..], &verify, &to, &arguments].concat());
        with_keys(&mut command)
            .env("TEST_WEBHOOK_KEY", crate::process::KEY)
            .env("TEST_CRLF", "canary\r\nx: y")
            .env("TEST_EMPTY", "");
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!((code, &*stdout), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        let shown = stderr.replace("--forward-to", "");
        assert!(!shown.contains("canary"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn no_secret_of_a_destination_is_printed_or_logged() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let consumer =
        Consumer::start(|_, _| "302 Found\r\nlocation: http://else.example/canary-l".to_owned());
    let url = format!("{}?canary-query", consumer.url());
    let header = ["--forward-header", "forward:authorization=TEST_TOKEN"];
    let options = [&["--forward-to", &url][..], &header].concat();
    let (mut process, address) = gateway(&store, &options);
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let attempt = next(&process, "attempt");
    assert_eq!(attempt["outcome"]["location_host"]["text"], "else.example");
    assert_eq!(
        consumer.requests()[0].header("authorization"),
        "Bearer canary-token"
    );
    process.signal("TERM");
    assert_eq!(process.wait(), 0);
    let log = process.stderr();
    assert!(log.contains("paused"), "{log}");
    for text in [attempt.to_string(), log] {
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains(&NEW[6..20]), "{text}");
    }
}

#[test]
fn a_signing_key_is_new_each_time_and_can_be_used() {
    let key = || run(&mut suno(&["signing-key"]));
    let ((code, first, _), (_, second, _)) = (key(), key());
    assert_eq!(code, 0);
    assert_ne!(first, second);
    Secret::parse(first.trim()).unwrap();
}

#[test]
fn finished_files_are_archived_each_by_itself_and_what_is_missing_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let folder = dir.path().join("songs");
    let is_dead = Arc::new(AtomicUsize::new(1));
    let dead = is_dead.clone();
    let media = Consumer::start(move |_, request| {
        if request.line.contains("/b.mp3") && dead.load(Ordering::SeqCst) == 1 {
            return "404 Gone".to_owned();
        }
        let head = "content-type: audio/mpeg\r\ncontent-length: 16\r\n\r\n";
        format!("200 OK\r\n{head}ID3\u{4}abcdefghijkl")
    });
    let track = |name: &str| {
        format!(
            r#"{{"id":"{name}","title":"{name}","audio_url":"http://{}/{name}.mp3"}}"#,
            media.address
        )
    };
    let body = format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"complete","task_id":"{TASK}","data":[{},{}]}}}}"#,
        track("a"),
        track("b")
    );
    let download = folder.display().to_string();
    let options = ["--download", &download, "--retry-for", "1s"];
    let verify = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];
    let (process, address) = listen_with(&store, &[&verify[..], &options].concat(), |command| {
        // With a provider on this machine, files may be on this machine.
        command.env("SUNO_BASE_URL", "http://127.0.0.1:1")
    });
    assert_eq!(next(&process, "destination")["kind"], "download");
    assert_eq!(post(address, TASK, &body), 200);
    let files = || std::fs::read_dir(&folder).unwrap().count();
    let attempt = next(&process, "attempt");
    let outcome = &attempt["outcome"];
    assert_eq!(
        (&outcome["files"], &outcome["missing"]),
        (&json!(2), &json!(1))
    );
    let detail = outcome["detail"]["text"].as_str().unwrap();
    assert!(
        detail.starts_with("file 2: ") && !detail.contains("b.mp3"),
        "{detail}"
    );
    assert_eq!(files(), 1);
    is_dead.store(0, Ordering::SeqCst);
    let attempt = next(&process, "attempt");
    assert_eq!(
        (&attempt["action"], &attempt["number"]),
        (&json!("done"), &json!(2))
    );
    assert_eq!(files(), 2);
    assert_eq!(process.terminate().0, 0);
    let fetched = media.requests();
    let of_a = fetched.iter().filter(|it| it.line.contains("/a.mp3"));
    assert_eq!(of_a.count(), 1, "what was saved is not fetched again");
}

#[test]
fn asking_the_provider_needs_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let listen = ["listen", "--addr", "127.0.0.1:0", "--store", &store];
    for option in ["--reconcile", "--confirm"] {
        let verify = ["--webhook-key-env", "TEST_NEW_KEY", option];
        let mut command = suno(&[&listen[..], &verify].concat());
        let (code, _, stderr) = run(with_keys(&mut command));
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("SUNO_API_KEY"), "{stderr}");
    }
}

#[test]
fn people_see_where_events_go_and_what_failed() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let consumer = Consumer::start(|number, _| match number {
        0 => "200 OK".to_owned(),
        _ => "404 No".to_owned(),
    });
    let (here, nowhere) = (
        format!("here={}", consumer.url()),
        "nowhere=http://127.0.0.1:1/x",
    );
    let listen = ["listen", "--addr", "127.0.0.1:0", "--store", &store];
    let to = ["--forward-to", &here, "--forward-to", nowhere];
    let mut command = suno(&[&listen[..], &SIGNED, &to].concat());
    command.env("TEST_WEBHOOK_KEY", crate::process::KEY);
    with_keys(&mut command).stderr(Stdio::null());
    let process = Process::start_logging(command);
    let listening = process.line();
    let url = listening.strip_prefix("listening on http://").unwrap();
    let address = url.split('/').next().unwrap().parse().unwrap();
    let banner = [process.line(), process.line()];
    assert!(banner[0].ends_with("which takes connections"), "{banner:?}");
    assert!(
        banner[1].contains("does not answer (no connection"),
        "{banner:?}"
    );
    for task in ["one", "two"] {
        assert_eq!(post(address, task, &body_of(task, "complete")), 200);
        consumer.wait_for(if task == "one" { 1 } else { 2 });
    }
    let mut lines = Vec::new();
    while !lines
        .iter()
        .any(|line: &String| line.contains("here refuses every event"))
    {
        lines.push(process.line());
    }
    let said = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!(said("here: attempt 1 answered 404 after"), 1, "{lines:?}");
    assert_eq!(said("here: attempt 1 answered 200"), 0, "{lines:?}");
    assert!(said("nowhere: attempt 1 no connection") >= 1, "{lines:?}");
    assert_eq!(process.terminate().0, 0);
}
