//! Stores in PostgreSQL: several receivers on one server, and a password that nobody sees.

use std::fs::File;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use suno_testkit::postgres::{TestSchema, url_or_skip};

use crate::process::{KEY, Process, TASK, body, post, run, suno};
use crate::provider::Emulator;

/// A password that a server with trust authentication does not ask for.
const PASSWORD: &str = "canary-9f2b7d";

/// The URL of the server, with a password.
fn with_password(schema: &TestSchema) -> String {
    let has_query = schema.url().contains('?');
    let begin = if has_query { '&' } else { '?' };
    format!("{}{begin}password={PASSWORD}", schema.url())
}

/// A `suno listen` on the schema.
fn listen(schema: &TestSchema, more: &[&str]) -> Command {
    let store = ["--store-env", "TEST_STORE", "--store-schema", schema.name()];
    let key = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];
    let mut command = suno(
        &[
            &["listen", "--addr", "127.0.0.1:0", "--json"],
            &store[..],
            &key,
            more,
        ]
        .concat(),
    );
    command
        .env("TEST_WEBHOOK_KEY", KEY)
        .env("TEST_STORE", with_password(schema));
    command
}

/// Starts it, and returns its address, too.
fn started(command: Command) -> (Process, std::net::SocketAddr) {
    let process = Process::start_logging(command);
    let listening = process.json().to_string();
    (
        process,
        suno_testkit::receiver::address_of(&listening).unwrap(),
    )
}

#[test]
fn two_receivers_of_one_store_handle_an_event_once_and_show_no_password() {
    let Some(url) = url_or_skip() else { return };
    let schema = TestSchema::new(&url);
    let dir = tempfile::tempdir().unwrap();
    let logs = ["a.log", "b.log"].map(|name| dir.path().join(name));
    // Both make the schema.
    let (receivers, addresses): (Vec<_>, Vec<_>) = logs
        .each_ref()
        .map(|log| {
            let mut command = listen(&schema, &[]);
            command
                .env("RUST_LOG", "trace")
                .stderr(File::create(log).unwrap());
            thread::spawn(|| started(command))
        })
        .map(|starting| starting.join().unwrap())
        .into_iter()
        .unzip();
    for stage in ["text", "complete"] {
        let posts: Vec<_> = addresses
            .repeat(4)
            .into_iter()
            .map(|address| thread::spawn(move || post(address, TASK, &body(stage))))
            .collect();
        for answer in posts {
            assert_eq!(answer.join().unwrap(), 200);
        }
        wait_until_done(&schema, if stage == "text" { 1 } else { 2 });
    }
    let mut handled = Vec::new();
    for receiver in receivers {
        let (code, lines) = receiver.terminate();
        assert_eq!(code, 0);
        handled.extend(lines);
    }
    let stages = ["text", "complete"];
    let once = stages.map(|stage| {
        let stage = format!(r#""stage":"{stage}""#);
        handled.iter().filter(|line| line.contains(&stage)).count()
    });
    assert_eq!((once, handled.len()), ([1, 1], 2), "{handled:?}");
    for log in logs {
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("callback accepted"), "{log}");
        assert!(!log.contains(PASSWORD) && !handled.concat().contains(PASSWORD));
    }
}

/// Waits until so many events are done.
fn wait_until_done(schema: &TestSchema, events: u64) {
    let deadline = Instant::now() + crate::process::PATIENCE;
    while schema.sql("SELECT count(*) FROM {schema}.past").unwrap() != events.to_string() {
        assert!(Instant::now() < deadline, "{events} events are not done");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_submit_is_recorded_for_a_receiver_elsewhere() {
    let Some(url) = url_or_skip() else { return };
    let schema = TestSchema::new(&url);
    let emulator = Emulator::start();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store");
    std::fs::write(&file, with_password(&schema) + "\n").unwrap();
    let mut command = listen(&schema, &[]);
    command.env("TEST_WEBHOOK_KEY", &emulator.variables[2].1);
    let (listener, address) = started(command);
    let callback_url = format!("http://{address}/suno/callback");
    let submit = suno(&[
        "lyrics",
        "--prompt",
        "a song of the harbour",
        "--callback-url",
        &callback_url,
        "--store-file",
        file.to_str().unwrap(),
        "--store-schema",
        schema.name(),
        "--reference",
        "order-42",
        "--json",
    ]);
    let (code, stdout, stderr) = run(&mut emulator.with_variables(submit));
    assert_eq!(code, 0, "{stderr}");
    let handled = listener.json();
    assert_eq!(handled["reference"], "order-42", "{handled}");
    assert_eq!(listener.terminate().0, 0);
    assert!(!(stdout + &stderr).contains(PASSWORD));
}

#[test]
fn a_server_that_is_away_ends_the_start_with_1_and_wrong_settings_with_2() {
    let away = "postgres://suno:canary@127.0.0.1:1/suno?connect_timeout=5";
    let wrong = "postgres://suno:canary@127.0.0.1/suno?no_such_setting=canary";
    for (url, expected, says) in [(away, 1, "127.0.0.1:1"), (wrong, 2, "no_such_setting")] {
        let mut command = suno(&[
            "listen",
            "--addr",
            "127.0.0.1:0",
            "--webhook-key-env",
            "KEY",
            "--store-env",
            "URL",
        ]);
        let (code, stdout, stderr) = run(command.env("KEY", KEY).env("URL", url));
        assert_eq!((code, stdout.as_str()), (expected, ""), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(
            stderr.contains(says) && !stderr.contains("canary"),
            "{stderr}"
        );
    }
}

#[test]
fn options_of_postgresql_are_refused_for_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", dir.path().join("suno.db").display());
    for option in [
        &["--store-schema", "inbox"][..],
        &["--store-pooler"],
        &["--store-connections", "4"],
    ] {
        let listen = [
            "listen",
            "--addr",
            "127.0.0.1:0",
            "--webhook-key-env",
            "KEY",
            "--store",
            &store,
        ];
        let (code, _, stderr) = run(suno(&[&listen[..], option].concat()).env("KEY", KEY));
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(option[0]), "{stderr}");
    }
}

/// The text of a section of the document for operators.
fn section(heading: &str) -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/POSTGRES.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    section.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn the_queries_for_monitoring_run_on_a_store_in_use() {
    let Some(url) = url_or_skip() else { return };
    let schema = TestSchema::new(&url);
    let (listener, address) = started(listen(&schema, &[]));
    assert_eq!(post(address, TASK, &body("complete")), 200);
    assert_eq!(listener.json()["stage"], "complete");
    let section = section("Monitoring");
    let blocks = section.split("```sql\n").skip(1);
    let queries: Vec<_> = blocks
        .filter_map(|block| block.split("```").next())
        .flat_map(|block| block.split(';'))
        .filter(|query| !query.trim().is_empty())
        .collect();
    assert!(queries.len() > 8, "{queries:?}");
    let run = |query: &str| {
        let query = query.replace("suno.", "{schema}.");
        let query = query.replace("'suno'", &format!("'{}'", schema.name()));
        schema
            .sql(&query)
            .unwrap_or_else(|err| panic!("{query}: {err:#}"))
    };
    for query in &queries {
        let rows = run(query);
        if query.contains("AS stranded") {
            assert_eq!(rows, "0");
        }
        if query.contains("pg_stat_user_tables") {
            assert!(rows.contains("work|"), "{rows}");
        }
        if query.contains("AS connections") {
            assert!(rows.contains("suno"), "{rows}");
        }
    }
    assert_eq!(listener.terminate().0, 0);
}

/// The queues of a store, which are removed at the end.
struct Queues<'a>(&'a TestSchema, [&'a str; 2]);

impl Queues<'_> {
    fn done(&self, name: &str) -> String {
        let queue = format!("\"{}_queue_{name}\"", self.0.name());
        let count = "SELECT count(*) FROM {queue}.past WHERE state = 3";
        let count = self.0.sql(&count.replace("{queue}", &queue));
        count.unwrap_or_default()
    }
}

impl Drop for Queues<'_> {
    fn drop(&mut self) {
        for name in self.1 {
            let schema = format!("\"{}_queue_{name}\"", self.0.name());
            let _ = self
                .0
                .sql(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"));
        }
    }
}

#[test]
fn each_of_several_destinations_has_a_queue_in_a_schema_of_its_own() {
    let Some(url) = url_or_skip() else { return };
    let schema = TestSchema::new(&url);
    let queues = Queues(&schema, ["cat", "keep"]);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").display().to_string();
    let keep = format!("keep=tee -a {out}");
    let both = ["--exec", "cat=cat", "--exec", &keep];
    let (process, address) = started(listen(&schema, &both));
    assert_eq!(post(address, TASK, &body("complete")), 200);
    for name in ["cat", "keep"] {
        crate::consumer::until(name, || queues.done(name) == "1");
    }
    assert_eq!(process.terminate().0, 0);
    // The only one that is left keeps its queue, and the other queue is named.
    let mut command = listen(&schema, &["--exec", &keep]);
    let log = dir.path().join("log");
    command.stderr(File::create(&log).unwrap());
    let (process, address) = started(command);
    assert_eq!(
        post(
            address,
            "another",
            &body("complete").replace(TASK, "another")
        ),
        200
    );
    crate::consumer::until("keep", || queues.done("keep") == "2");
    assert_eq!(process.terminate().0, 0);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("queue=\"cat\""), "{log}");
    let lines = std::fs::read_to_string(&out).unwrap();
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn an_inbox_moves_from_a_file_to_a_server_and_is_operated_there() {
    let Some(url) = url_or_skip() else { return };
    let schema = TestSchema::new(&url);
    let from = crate::inbox::Inbox::new();
    from.accept("a", "complete", "Harbour", 60);
    from.settle(Some(crate::inbox::dead()));
    from.accept("b", "complete", "Harbour", 60);
    std::fs::write(from.dir.path().join("export"), from.ok(&["export"])).unwrap();
    let url = with_password(&schema);
    let inbox = |arguments: &[&str]| {
        let store = ["--store-env", "TEST_STORE", "--store-schema", schema.name()];
        let mut command = from.command(&[arguments, &store].concat());
        let (code, stdout, stderr) = run(command.env("TEST_STORE", &url));
        assert_eq!(code, 0, "{stderr}");
        assert!(!format!("{stdout}{stderr}").contains(PASSWORD));
        stdout
    };
    for expected in ["2 events stored", "0 events stored, 2 known"] {
        assert!(inbox(&["import", "export"]).starts_with(expected));
    }
    assert!(inbox(&["list", "--state", "dead"]).contains("no such order"));
    inbox(&["redrive", "--state", "dead"]);
    let stats = crate::inbox::lines(&inbox(&["stats", "--json"])).remove(0);
    assert_eq!((&stats["dead"], &stats["ready"]), (&0.into(), &2.into()));
    let dead = crate::inbox::lines(&inbox(&["list", "--task", "a", "--json=id"]));
    let text = inbox(&["show", &dead[0]["id"].to_string()]);
    assert!(
        text.contains("redrive") && text.contains("was dead"),
        "{text}"
    );
}
