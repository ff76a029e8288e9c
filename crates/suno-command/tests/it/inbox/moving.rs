//! Moving a store to another one, while it is used and although it is interrupted.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use suno_callback::Settlement;

use super::{Inbox, assert_described, dead, lines};
use crate::process::run;

fn filled() -> Inbox {
    let inbox = Inbox::new();
    for number in 0..100 {
        inbox.accept(&format!("done{number}"), "complete", "x", 60);
    }
    inbox.settle(Some(Settlement::Done));
    inbox.accept("dead", "complete", "x", 60);
    inbox.settle(Some(dead()));
    inbox.accept("ready", "complete", "x", 60);
    inbox.accept_body(b"{\xff", 60);
    inbox
}

fn import(to: &Inbox, text: &str) -> (i32, String, String) {
    let file = to.dir.path().join("export.jsonl");
    fs::write(&file, text).unwrap();
    run(&mut to.command(&["import", "export.jsonl"]))
}

/// What is known of the events, without what a store numbers itself.
fn known(inbox: &Inbox) -> Vec<Value> {
    let members = "--json=task_id,stage,state,title,received_at,attempts,reason,dead_cause";
    inbox.json(&["list", "--all", members])
}

#[test]
fn an_import_is_the_same_store_and_twice_is_the_same_as_once() {
    let from = filled();
    let exported = from.ok(&["export"]);
    assert_eq!(exported.lines().count(), 103);
    assert_described("export", &lines(&exported)[98..]);
    let to = Inbox::new();
    for expected in ["102 events stored, 0 known", "0 events stored, 102 known"] {
        let (code, stdout, stderr) = import(&to, &exported);
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.starts_with(expected), "{stdout}");
        assert_eq!(known(&to), known(&from));
        assert_eq!(to.stats()["quarantined"], 1);
    }
    // The same from stdin into a store that does not exist yet.
    let mut command = to.command(&["import", "-", "--store", "sqlite:third.db"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(exported.as_bytes())
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let stats = to
        .json(&["stats", "--json", "--store", "sqlite:third.db"])
        .remove(0);
    assert_eq!((&stats["done"], &stats["ready"]), (&json!(100), &json!(1)));
}

#[test]
fn an_export_that_was_interrupted_while_the_store_was_used_goes_on_without_doubles() {
    let from = filled();
    let exported = from.ok(&["export"]);
    // The process was killed within a line.
    let cut = exported.len() / 2;
    let part = &exported[..cut];
    let to = Inbox::new();
    let (code, _, stderr) = import(&to, part);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("cut off") && stderr.contains("cannot be imported"),
        "{stderr}"
    );
    let whole = &part[..=part.rfind('\n').unwrap()];
    let cursor = lines(whole).last().unwrap()["cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    // More arrives in the meantime, and something is handled.
    from.accept("late", "complete", "x", 0);
    from.settle(Some(Settlement::Done));
    let rest = from.ok(&["export", "--after", &cursor]);
    let together = format!("{whole}{rest}");
    let cursors: Vec<_> = lines(&together)
        .iter()
        .map(|line| line["cursor"].to_string())
        .collect();
    let mut distinct = cursors.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), cursors.len());
    assert_eq!(import(&to, &rest).0, 0);
    assert_eq!(import(&to, &together).0, 0);
    assert_eq!(known(&to), known(&from));
    assert_eq!(run(&mut from.command(&["export", "--after", "x7"])).0, 2);
}

#[test]
fn a_line_that_is_no_export_shows_none_of_its_content() {
    let to = Inbox::new();
    let (code, _, stderr) = import(
        &to,
        "{\"schema\":1,\"kind\":\"event\",\"body\":\"canary\"}\n",
    );
    assert_eq!(code, 1);
    assert!(
        stderr.contains("line 1") && !stderr.contains("canary"),
        "{stderr}"
    );
    let (code, ..) = run(&mut to.command(&["import", "none.jsonl"]));
    assert_eq!(code, 2);
}
