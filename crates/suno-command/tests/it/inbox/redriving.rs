//! Redriving, purging and the quarantine.

use serde_json::json;
use suno_callback::Settlement;

use super::{Inbox, assert_described, dead, lines};
use crate::process::run;

#[test]
fn a_settled_event_is_handled_again_once_and_a_claimed_one_is_refused() {
    let inbox = Inbox::new();
    inbox.accept("a", "complete", "x", 60);
    let redrive = |arguments: &[&str]| {
        run(&mut inbox.command(&[&["redrive", "1", "--json"], arguments].concat()))
    };
    inbox.settle(Some(Settlement::Done));
    assert_eq!(redrive(&["--dry-run"]).0, 0);
    assert_eq!(inbox.stats()["done"], 1);
    let (code, stdout, _) = redrive(&[]);
    assert_eq!(code, 0);
    assert!(stdout.contains(r#""result":"ready""#), "{stdout}");
    assert_described("redriven", &lines(&stdout));
    // It is ready already: there is one attempt, not two.
    let (code, stdout, stderr) = redrive(&[]);
    assert_eq!(code, 1);
    assert!(stdout.contains("not_settled"), "{stdout}");
    assert!(stderr.contains("409"), "{stderr}");
    inbox.settle(None);
    let (code, _, stderr) = redrive(&[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("claimed"), "{stderr}");
    let history = inbox.described("story", &["show", "1", "--json"]).remove(0)["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 1);
    assert_eq!(history[0]["kind"], "redrive");
    assert_eq!(history[0]["detail"]["was"], "done");
    let (code, ..) = run(&mut inbox.command(&["redrive", "99"]));
    assert_eq!(code, 1);
}

#[test]
fn the_dead_letters_of_a_destination_are_in_its_queue() {
    let inbox = Inbox::new();
    inbox.accept("main", "complete", "x", 60);
    let store = inbox.dir.path().join("suno.db");
    let queue = inbox.dir.path().join("suno.db.queue-shop");
    // What was the main store becomes the queue.
    inbox.settle(Some(dead()));
    std::fs::rename(&store, &queue).unwrap();
    drop(inbox.open());
    assert!(inbox.json(&["list", "--json"]).is_empty());
    let list = ["list", "--queue", "shop", "--json=task_id,state"];
    let listed = json!([{"schema": 1, "task_id": "main", "state": "dead"}]);
    assert_eq!(json!(inbox.json(&list)), listed);
    inbox.ok(&["redrive", "--state", "dead", "--queue", "shop"]);
    let stats = inbox.json(&["stats", "--queue", "shop", "--json"]);
    assert_eq!(stats[0]["ready"], 1);
    // What a person did is in the history of the gateway.
    let story = inbox.json(&["show", "1", "--queue", "shop", "--json"]);
    assert_eq!(story[0]["history"][0]["kind"], "redrive");
    let (code, _, stderr) = run(&mut inbox.command(&["list", "--queue", "books"]));
    assert_eq!(code, 2);
    assert!(stderr.contains("its queues are shop"), "{stderr}");
    assert!(!inbox.dir.path().join("suno.db.queue-books").exists());
}

#[test]
fn dead_letters_of_a_period_are_redriven_after_they_were_counted() {
    let inbox = Inbox::new();
    for number in 0..3 {
        inbox.accept(&format!("old{number}"), "complete", "x", 7_200);
        inbox.accept(&format!("new{number}"), "complete", "x", 60);
    }
    inbox.settle(Some(dead()));
    let (code, _, stderr) = run(&mut inbox.command(&["redrive", "--since", "1h", "--dry-run"]));
    assert_eq!(
        (code, stderr.as_str()),
        (0, "3 events match; nothing was changed\n")
    );
    assert_eq!(inbox.stats()["dead"], 6);
    let (code, stdout, stderr) = run(&mut inbox.command(&["redrive", "--since", "1h", "--json"]));
    assert_eq!((code, stdout.lines().count()), (0, 3));
    assert!(stderr.starts_with("3 redriven"), "{stderr}");
    let stats = inbox.stats();
    assert_eq!((&stats["dead"], &stats["ready"]), (&json!(3), &json!(3)));
    let none = ["redrive", "--task", "none", "--exit-code"];
    assert_eq!(run(&mut inbox.command(&none)).0, 3);
    for wrong in [&["redrive"][..], &["redrive", "1", "--state", "dead"]] {
        assert_eq!(run(&mut inbox.command(wrong)).0, 2, "{wrong:?}");
    }
}

#[test]
fn a_purge_counts_first_and_never_removes_what_has_to_be_handled() {
    let inbox = Inbox::new();
    inbox.accept("done", "complete", "x", 7_200);
    inbox.settle(Some(Settlement::Done));
    inbox.accept("ready", "complete", "x", 7_200);
    let counted = inbox
        .described(
            "purged",
            &["purge", "--older-than", "1h", "--dry-run", "--json"],
        )
        .remove(0);
    assert_eq!(
        (&counted["done"], &counted["dry_run"]),
        (&json!(1), &json!(true))
    );
    // Ages are counted from when the store got something, and that was now.
    let purged = inbox
        .described("purged", &["purge", "--older-than", "1h", "--json"])
        .remove(0);
    assert_eq!((&purged["bodies"], &purged["keys"]), (&json!(0), &json!(0)));
    let purged = inbox
        .described("purged", &["purge", "--older-than", "0s", "--json"])
        .remove(0);
    assert_eq!((&purged["bodies"], &purged["keys"]), (&json!(1), &json!(0)));
    let stats = inbox.stats();
    assert_eq!((&stats["done"], &stats["ready"]), (&json!(1), &json!(1)));
    assert_eq!(run(&mut inbox.command(&["redrive", "1"])).0, 1);
    assert_eq!(
        run(&mut inbox.command(&["purge", "--older-than", "soon"])).0,
        2
    );
}

#[test]
fn the_quarantine_can_be_read_and_decoded_again() {
    let inbox = Inbox::new();
    inbox.accept_body(b"{\"code\":\x1b[31m", 60);
    inbox.accept_body(b"[]", 60);
    let listed = inbox.described("quarantined", &["quarantine", "list", "--json"]);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1]["body_bytes"], 2);
    for (arguments, count) in [
        (["--since", "10m"], 2),
        (["--until", "10m"], 0),
        (["--task", "none"], 0),
    ] {
        let all = [&["quarantine", "list", "--json"], &arguments[..]].concat();
        assert_eq!(inbox.json(&all).len(), count, "{arguments:?}");
    }
    let id = listed[0]["id"].to_string();
    let text = inbox.ok(&["quarantine", "show", &id]);
    assert!(
        text.contains("{\"code\":") && !text.contains('\u{1b}'),
        "{text:?}"
    );
    let shown = inbox
        .described("quarantined", &["quarantine", "show", &id, "--json"])
        .remove(0);
    assert_eq!(shown["body"], "{\"code\":\u{1b}[31m");
    assert_eq!(
        inbox.ok(&["quarantine", "retry"]),
        "0 accepted, 2 still in quarantine\n"
    );
    let (code, stdout, _) = run(&mut inbox.command(&["quarantine", "retry", &id]));
    assert_eq!(code, 1);
    assert!(stdout.contains("quarantined"), "{stdout}");
    let exported = inbox.json(&["quarantine", "export"]);
    assert_eq!(
        (exported.len(), &exported[0]["kind"]),
        (2, &json!("quarantined"))
    );
    assert_eq!(run(&mut inbox.command(&["quarantine", "show", "99"])).0, 1);
}
