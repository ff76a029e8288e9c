//! Lists, tables, selections, counts and the end of a reader.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;
use suno_callback::Settlement;

use super::{Inbox, dead, full};
use crate::process::{PATIENCE, run};

const HOSTILE: &str = "\u{1b}]0;x\u{7}<script>\u{202e}end";

#[test]
fn filters_choose_events_and_together_they_all_hold() {
    let inbox = Inbox::new();
    inbox.accept("a", "text", "one", 3 * 3_600);
    inbox.settle(Some(dead()));
    inbox.accept("a", "complete", "one", 60);
    inbox.settle(Some(Settlement::Done));
    inbox.accept("b", "complete", "two", 30);
    let ids = |arguments: &[&str]| {
        let all = [&["list", "--json=id"], arguments].concat();
        let ids = inbox
            .json(&all)
            .into_iter()
            .map(|line| line["id"].as_i64().unwrap());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), [1, 2, 3]);
    assert_eq!(ids(&["--state", "dead"]), [1]);
    assert_eq!(ids(&["--stage", "complete"]), [2, 3]);
    assert_eq!(ids(&["--task", "a"]), [1, 2]);
    assert_eq!(ids(&["--since", "2h"]), [2, 3]);
    assert_eq!(ids(&["--until", "2h"]), [1]);
    assert_eq!(
        ids(&["--product", "song", "--code", "200", "--state", "done"]),
        [2]
    );
    assert_eq!(ids(&["--product", "lyrics"]), [0_i64; 0]);
    let (code, stdout, _) = run(&mut inbox.command(&["list", "--task", "none", "--exit-code"]));
    assert_eq!((code, stdout.as_str()), (3, ""));
    let (code, _, stderr) = run(&mut inbox.command(&["list", "--state", "ded"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("superseded"), "{stderr}");
}

#[test]
fn a_line_of_json_has_everything_and_a_schema() {
    let inbox = Inbox::new();
    inbox.accept("a", "complete", "Harbour", 30);
    let mut line = inbox.described("event", &["list", "--json"]).remove(0);
    line["received_at"] = json!(null);
    let expected = json!({
        "schema": 1, "id": 1, "webhook_id": "a_complete_0", "task_id": "a", "stage": "complete",
        "revision": 0, "state": "ready", "holds_for_ms": null, "ready_in_ms": null, "code": 200,
        "product": "song", "results": 1, "title": "Harbour", "attempts": 0, "lapses": 0,
        "reason": null, "dead_cause": null, "source": "callback", "verified_by": [],
        "unconfirmed": false, "received_at": null, "path": "", "query": "", "submit": null,
        "reference": null, "conflicts": 0,
    });
    assert_eq!(line, expected);
    let chosen = inbox.json(&["list", "--json=id,state"]).remove(0);
    assert_eq!(chosen, json!({"schema": 1, "id": 1, "state": "ready"}));
    let (code, stdout, stderr) = run(&mut inbox.command(&["list", "--json=nope"]));
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(
        stderr.contains("`nope`") && stderr.contains("webhook_id, task_id"),
        "{stderr}"
    );
}

#[test]
fn a_list_goes_on_where_it_ended() {
    let inbox = Inbox::new();
    for number in 0..5 {
        inbox.accept(&format!("t{number}"), "complete", "x", 30);
    }
    let (code, stdout, stderr) = run(&mut inbox.command(&["list", "--json=id", "--limit", "2"]));
    assert_eq!((code, stdout.lines().count()), (0, 2));
    assert_eq!(stderr, "3 more: --after 2\n");
    assert_eq!(inbox.json(&["list", "--json=id", "--after", "2"]).len(), 3);
    assert_eq!(inbox.json(&["list", "--json=id", "--all"]).len(), 5);
}

#[test]
fn no_line_is_wider_than_the_terminal_and_strangers_text_is_visible() {
    let inbox = Inbox::new();
    for title in [
        &"港の歌".repeat(40),
        "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦",
        &"x".repeat(200),
        HOSTILE,
    ] {
        inbox.accept(&format!("t{}", title.len()), "complete", title, 30);
    }
    for (columns, width) in [(None, 80), (Some("80"), 80), (Some("40"), 40)] {
        let mut command = inbox.command(&["list"]);
        if let Some(columns) = columns {
            command.env("COLUMNS", columns);
        }
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(stdout.lines().count(), 5);
        for line in stdout.lines() {
            // At least as many as any terminal takes for it.
            let cells = unicode_width::UnicodeWidthStr::width(line);
            assert!(cells <= width, "{cells} {line}");
            assert!(!line.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{line:?}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_a_full_disk_is_one() {
    let inbox = Inbox::new();
    for number in 0..200 {
        inbox.accept(&format!("t{number}"), "complete", "x", 30);
    }
    for arguments in [&["list", "--all", "--json"][..], &["export"]] {
        let mut command = inbox.command(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(!String::from_utf8(output.stderr).unwrap().contains("error"));
    }
    for arguments in [&["list"][..], &["export"], &["stats"], &["show", "1"]] {
        let mut command = inbox.command(arguments);
        let output = command
            .stdout(full())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = output.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr.contains("stdout cannot be written"), "{stderr}");
    }
}

#[test]
fn counts_say_what_waits_and_for_how_long() {
    let inbox = Inbox::new();
    inbox.accept("a", "complete", "x", 7_200);
    inbox.settle(Some(dead()));
    inbox.accept("b", "complete", "x", 3_600);
    inbox.accept("c", "complete", "x", 60);
    inbox.accept_body(b"{", 0);
    let stats = inbox.stats();
    assert_eq!(
        (&stats["ready"], &stats["dead"], &stats["quarantined"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let seconds = stats["oldest_pending_seconds"].as_i64().unwrap();
    assert!((3_600..3_700).contains(&seconds), "{seconds}");
    let text = inbox.ok(&["stats"]);
    assert!(text.contains("ready            2"), "{text}");
}

#[test]
fn a_store_that_does_not_exist_is_not_made_by_looking_into_it() {
    let inbox = Inbox::new();
    let (code, _, stderr) = run(&mut inbox.command(&["list", "--store", "sqlite:other.db"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("does not exist"), "{stderr}");
    assert!(!inbox.dir.path().join("other.db").exists());
}

#[test]
fn a_tail_prints_what_arrives_and_can_begin_in_the_past() {
    let inbox = Inbox::new();
    inbox.accept("old", "complete", "x", 60);
    inbox.accept("past", "complete", "x", 60);
    let process =
        crate::process::Process::start(inbox.command(&["tail", "--json=task_id", "--after", "1"]));
    assert_eq!(process.line(), r#"{"schema":1,"task_id":"past"}"#);
    inbox.accept("new", "complete", "x", 0);
    assert_eq!(process.line(), r#"{"schema":1,"task_id":"new"}"#);
    assert_eq!(process.terminate().0, 0);
    let start = std::time::Instant::now();
    let text = inbox.ok(&["tail", "--json=id", "--until", "2026-01-01"]);
    assert_eq!(text, "");
    assert!(start.elapsed() < PATIENCE);
}
