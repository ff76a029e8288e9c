//! `suno listen` as a gateway: what services and commands get, and when.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use suno_gateway::signing::Secret;

use crate::consumer::{Consumer, Request, until};
use crate::process::{PATIENCE, Process, TASK, body, listen_with, post, run, suno};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SIGNED: [&str; 4] = [
    "--webhook-key-env",
    "TEST_WEBHOOK_KEY",
    "--signing-key-env",
    "TEST_NEW_KEY",
];

fn with_keys(command: &mut Command) -> &mut Command {
    command
        .env("TEST_NEW_KEY", NEW)
        .env("TEST_OLD_KEY", OLD)
        .env("TEST_TOKEN", "Bearer canary-token")
        .stderr(Stdio::piped())
}

/// A gateway on a store, and the address of its receiver.
fn gateway(store: &Path, more: &[&str]) -> (Process, SocketAddr) {
    listen_with(store, &[&SIGNED, more].concat(), with_keys)
}

/// The next line of a kind.
fn next(process: &Process, event: &str) -> Value {
    loop {
        let line = process.json();
        if line["event"] == event {
            return line;
        }
    }
}

fn body_of(task: &str, word: &str) -> String {
    body(word).replace(TASK, task)
}

/// The events in a state; 0 if the store is not there yet.
fn events(store: &Path, state: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {state}");
    let raw = rusqlite::Connection::open(store).unwrap();
    raw.query_row(&count, (), |row| row.get(0)).unwrap_or(0)
}

#[test]
fn an_event_has_the_same_id_and_bytes_after_a_failure_and_a_crash_and_every_signature_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let consumer = Consumer::start_slow(|number, _| match number {
        0 => (Duration::ZERO, "500 No".to_owned()),
        // Killed while it waits for this answer.
        1 => (PATIENCE, "200 OK".to_owned()),
        _ => (Duration::ZERO, "204 OK".to_owned()),
    });
    let url = consumer.url();
    let options = [
        "--forward-to",
        &url,
        "--lease",
        "100ms",
        "--signing-key-env",
        "TEST_OLD_KEY",
    ];
    let (process, address) = gateway(&store, &options);
    let destination = next(&process, "destination");
    assert_eq!(
        (&destination["name"], &destination["is_reachable"]),
        (&json!("forward"), &json!(true))
    );
    assert_eq!(post(address, TASK, &body("complete")), 200);
    let attempt = next(&process, "attempt");
    assert_eq!(
        (&attempt["number"], &attempt["outcome"]["status"]),
        (&json!(1), &json!(500))
    );
    consumer.wait_for(2);
    process.kill();
    let (process, _) = gateway(&store, &options);
    let attempt = next(&process, "attempt");
    assert_eq!(
        (&attempt["action"], &attempt["task_id"]),
        (&json!("done"), &json!(TASK))
    );
    assert_eq!(process.terminate().0, 0);
    let requests = consumer.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!(request.id(), format!("{TASK}_complete_0"));
        assert_eq!(request.body, requests[0].body);
        assert_signed(request);
    }
    assert_eq!(attempt["id"], requests[0].id());
    assert_eq!(requests[0].json()["type"], "suno.songs.complete");
}

/// Fails unless a consumer with either key accepts a request.
fn assert_signed(request: &Request) {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &request.headers {
        let name: http::HeaderName = name.parse().unwrap();
        headers.insert(name, value.parse().unwrap());
    }
    let now = suno_callback::Clock::now(&suno_callback::SystemClock);
    for key in [NEW, OLD] {
        let result = suno_gateway::signing::verify(
            &[Secret::parse(key).unwrap()],
            &headers,
            &request.body,
            now.as_second().unsigned_abs(),
            PATIENCE,
        );
        assert!(result.is_ok(), "{result:?}");
    }
}

#[test]
fn a_destination_that_is_done_gets_nothing_again_because_another_failed() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let shop = Consumer::start(|_, _| "204 OK".to_owned());
    let is_down = Arc::new(AtomicUsize::new(1));
    let down = is_down.clone();
    let books = Consumer::start(move |_, _| match down.load(Ordering::SeqCst) {
        0 => "204 OK".to_owned(),
        _ => "500 No".to_owned(),
    });
    let (to_shop, to_books) = (
        format!("shop={}", shop.url()),
        format!("books={}", books.url()),
    );
    let options = ["--forward-to", &to_shop, "--forward-to", &to_books];
    let options = [
        &options[..],
        &["--lease", "100ms", "--probe-interval", "50ms"],
    ]
    .concat();
    let (process, address) = gateway(&store, &options);
    for word in ["text", "complete"] {
        assert_eq!(post(address, TASK, &body(word)), 200);
    }
    let queue = dir.path().join("suno.db.queue-shop");
    until("the shop", || events(&queue, "settled") == 2);
    books.wait_for(2);
    process.kill();
    let (process, _) = gateway(&store, &options);
    is_down.store(0, Ordering::SeqCst);
    let complete = format!("{TASK}_complete_0");
    until("the books", || books.ids().last() == Some(&complete));
    let (code, _) = process.terminate();
    assert_eq!(code, 0);
    assert_eq!(shop.ids(), [format!("{TASK}_text_0"), complete.clone()]);
    // Alone again, it keeps its queue; the other queue is named.
    let (mut process, address) = gateway(&store, &["--forward-to", &to_shop]);
    assert_eq!(
        post(address, "another", &body_of("another", "complete")),
        200
    );
    shop.wait_for(3);
    process.signal("TERM");
    assert_eq!(process.wait(), 0);
    let log = process.stderr();
    assert!(log.contains("queue=\"books\""), "{log}");
    assert_eq!(shop.ids().last().unwrap(), "another_complete_0");
    until("the queue", || events(&queue, "settled") == 3);
}

#[test]
fn a_destination_that_is_gone_is_paused_and_gets_everything_later_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let is_gone = Arc::new(AtomicUsize::new(1));
    let gone = is_gone.clone();
    let consumer = Consumer::start(move |_, _| match gone.load(Ordering::SeqCst) {
        0 => "200 OK".to_owned(),
        _ => "410 Gone".to_owned(),
    });
    let url = consumer.url();
    let options = [
        "--forward-to",
        &url,
        "--concurrency",
        "4",
        "--paused-interval",
        "1s",
    ];
    let (process, address) = gateway(&store, &options);
    for number in 0..25 {
        let task = format!("task-{number}");
        for word in ["text", "complete"] {
            assert_eq!(post(address, &task, &body_of(&task, word)), 200);
        }
    }
    let state = next(&process, "destination_state");
    assert_eq!(
        state,
        json!({"event": "destination_state", "name": "forward", "state": "paused"})
    );
    let before = consumer.requests().len();
    assert!(before <= 4 + 3, "{before}");
    is_gone.store(0, Ordering::SeqCst);
    consumer.wait_for(before + 50);
    let state = next(&process, "destination_state");
    assert_eq!(state["state"], "closed");
    assert_eq!(process.terminate().0, 0);
    let ids = consumer.ids();
    for number in 0..25 {
        let place = |word: &str| {
            let id = format!("task-{number}_{word}_0");
            ids[before..].iter().position(|it| *it == id)
        };
        assert!(
            place("text").is_some() && place("text") < place("complete"),
            "{number}"
        );
    }
}

#[test]
fn a_destination_that_is_down_for_200_events_gets_all_of_them_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let is_down = Arc::new(AtomicUsize::new(1));
    let down = is_down.clone();
    let consumer = Consumer::start(move |_, _| match down.load(Ordering::SeqCst) {
        0 => "200 OK".to_owned(),
        _ => "503 Busy".to_owned(),
    });
    let url = consumer.url();
    let options = ["--forward-to", &url, "--probe-interval", "200ms"];
    let (process, address) = gateway(&store, &options);
    for number in 0..200 {
        let task = format!("task-{number}");
        assert_eq!(post(address, &task, &body_of(&task, "complete")), 200);
    }
    assert_eq!(next(&process, "destination_state")["state"], "open");
    is_down.store(0, Ordering::SeqCst);
    // What failed before it was down waits for its back-off of 5 s at first.
    let started = std::time::Instant::now();
    let done = || {
        let mut ids: Vec<String> = consumer.ids();
        ids.sort();
        ids.dedup();
        ids.len()
    };
    until("all events", || {
        done() == 200 && events(&store, "settled") == 200
    });
    assert!(started.elapsed() < PATIENCE);
    let (code, lines) = process.terminate();
    assert_eq!(code, 0);
    // No more attempts than what was on its way when it went down.
    let attempts = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let most = attempts.filter_map(|line| line["number"].as_u64()).max();
    assert!(most <= Some(3), "{most:?}");
}

#[test]
fn a_slow_service_holds_up_only_its_own_task() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("suno.db");
    let consumer = Consumer::start_slow(|_, request| match request.id().starts_with("slow") {
        true => (Duration::from_secs(1), "200 OK".to_owned()),
        false => (Duration::ZERO, "200 OK".to_owned()),
    });
    let url = consumer.url();
    let (process, address) = gateway(&store, &["--forward-to", &url]);
    for word in ["text", "first"] {
        assert_eq!(post(address, "slow", &body_of("slow", word)), 200);
    }
    for number in 0..20 {
        let task = format!("task-{number}");
        assert_eq!(post(address, &task, &body_of(&task, "complete")), 200);
    }
    let ids: Vec<String> = consumer
        .wait_for(22)
        .iter()
        .map(|it| it.id().to_owned())
        .collect();
    assert_eq!((&*ids[0], &*ids[21]), ("slow_text_0", "slow_first_0"));
    assert_eq!(process.terminate().0, 0);
}

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

#[test]
fn a_reader_of_stdout_that_goes_away_stops_no_forwarding() {
    use std::io::BufRead;

    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    let consumer = Consumer::start(|_, _| "200 OK".to_owned());
    let listen = [
        "listen",
        "--addr",
        "127.0.0.1:0",
        "--store",
        &store,
        "--json",
    ];
    let url = consumer.url();
    let mut command = suno(&[&listen[..], &SIGNED, &["--forward-to", &url]].concat());
    command.env("TEST_WEBHOOK_KEY", crate::process::KEY);
    with_keys(&mut command).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let address = suno_testkit::receiver::address_of(&line).unwrap();
    for (number, task) in ["one", "two", "three"].into_iter().enumerate() {
        assert_eq!(post(address, task, &body_of(task, "complete")), 200);
        consumer.wait_for(number + 1);
    }
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
