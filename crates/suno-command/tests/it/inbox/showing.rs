//! The whole story of an event.

use serde_json::json;
use suno_callback::Settlement;

use super::Inbox;
use crate::consumer::{Consumer, until};
use crate::process::{TASK, body, listen, listen_with, post, run};

#[test]
fn a_story_has_deliveries_verification_attempts_conflicts_and_files() {
    let inbox = Inbox::new();
    inbox.accept("a", "complete", "Harbour", 60);
    inbox.settle(Some(Settlement::Done));
    let other = r#"{"code":200,"msg":"ok","data":{"callbackType":"complete","task_id":"a","data":[
        {"id":"a","title":"Other","audio_url":"https://other.example.com/b.mp3","duration":9}]}}"#;
    inbox.accept_body(other.as_bytes(), 30);
    for id in ["1", "a"] {
        let text = inbox.ok(&["show", id]);
        for says in [
            "task a",
            "event 1  complete  done  1 attempt",
            "verified by nothing",
            "track 1   Harbour, 12.5 s, audio at media.example.com",
            "conflict  received",
            "audio at other.example.com",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
        // The path and the query of a media URL can be a secret.
        assert!(
            !text.contains("canary") && !text.contains("secret"),
            "{text}"
        );
    }
    let story = inbox.described("story", &["show", "1", "--json"]).remove(0);
    let event = &story["events"][0];
    assert_eq!(
        (&story["schema"], &event["state"]),
        (&json!(1), &json!("done"))
    );
    let url = event["callback"]["tracks"][0]["audio_url"]
        .as_str()
        .unwrap();
    assert!(url.ends_with("token=canary"));
    assert_eq!(
        event["conflicting"][0]["callback"]["tracks"][0]["title"],
        "Other"
    );
}

#[test]
fn what_is_not_there_is_a_failure_and_what_is_odd_is_wrong_usage() {
    let inbox = Inbox::new();
    let (code, stdout, stderr) = run(&mut inbox.command(&["show", "77"]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("suno inbox list"), "{stderr}");
    assert_eq!(run(&mut inbox.command(&["show", "a b"])).0, 2);
}

#[test]
fn a_store_can_be_read_and_redriven_while_a_gateway_runs_on_it() {
    let inbox = Inbox::new();
    let verify = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];
    let (process, address) = listen(&inbox.dir.path().join("suno.db"), &verify);
    assert_eq!(post(address, TASK, &body("complete")), 200);
    assert_eq!(process.json()["event"], "handled");
    // The line is printed before the event is settled.
    let wait = ["tail", "--json=id", "--after", "0", "--until", "2026-01-01"];
    assert_eq!(inbox.json(&wait).len(), 0);
    while inbox.stats()["done"] != 1 {
        std::thread::yield_now();
    }
    assert_eq!(inbox.json(&["list", "--json=id"]).len(), 1);
    inbox.ok(&["redrive", "1"]);
    let again = process.json();
    assert_eq!(
        (&again["event"], &again["id"]),
        (&json!("handled"), &json!(1))
    );
    assert_eq!(process.terminate().0, 0);
}

#[test]
fn a_story_tells_each_attempt_of_a_gateway_with_its_answer() {
    let inbox = Inbox::new();
    let consumer = Consumer::start(|number, _| match number {
        0 => "503 Later".to_owned(),
        _ => "200 OK".to_owned(),
    });
    let url = consumer.url();
    let options = [
        "--webhook-key-env",
        "TEST_WEBHOOK_KEY",
        "--forward-to",
        &url,
        "--signing-key-env",
        "TEST_KEY",
    ];
    let store = inbox.dir.path().join("suno.db");
    let (process, address) = listen_with(&store, &options, |command| {
        command.env("TEST_KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    });
    assert_eq!(post(address, TASK, &body("complete")), 200);
    consumer.wait_for(2);
    let kinds = || {
        let story = inbox
            .described("story", &["show", TASK, "--json"])
            .remove(0);
        let history = story["history"].as_array().unwrap().clone();
        let kinds = history
            .iter()
            .map(|entry| entry["kind"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    // The history is written in the background.
    until("both attempts", || {
        kinds() == ["delivery", "attempt", "attempt"]
    });
    let story = inbox.described("story", &["show", TASK, "--json"]);
    let headers = &story[0]["history"][0]["detail"]["headers"];
    let headers = headers.as_array().unwrap();
    for line in [
        json!(["content-type", "application/json"]),
        json!(["x-webhook-signature", null]),
    ] {
        assert!(headers.contains(&line), "{headers:?}");
    }
    let text = inbox.ok(&["show", TASK]);
    for says in [
        "delivery    new, by callback, verified by signature",
        "1 to forward: 503 in ",
        "2 to forward: 200 in ",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    assert!(!text.contains("/hook"), "{text}");
    assert_eq!(process.terminate().0, 0);
}

#[test]
fn a_story_tells_the_dead_letter_of_one_of_several_destinations() {
    let inbox = Inbox::new();
    let [good, bad] =
        ["200 OK", "422 No"].map(|answer| Consumer::start(move |_, _| answer.to_owned()));
    let [good, bad] = [("good", &good), ("bad", &bad)]
        .map(|(name, consumer)| format!("{name}={}", consumer.url()));
    let options = [
        "--webhook-key-env",
        "TEST_WEBHOOK_KEY",
        "--forward-to",
        &good,
        "--forward-to",
        &bad,
        "--on-status",
        "422=abandon",
        "--signing-key-env",
        "TEST_KEY",
    ];
    let store = inbox.dir.path().join("suno.db");
    let (process, address) = listen_with(&store, &options, |command| {
        command.env("TEST_KEY", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    });
    assert_eq!(post(address, TASK, &body("complete")), 200);
    until("the dead letter", || {
        let story = inbox.described("story", &["show", TASK, "--json"]);
        let history = story[0]["history"].as_array().unwrap();
        let dead = history.iter().find(|entry| entry["kind"] == "dead_letter");
        dead.is_some_and(|entry| entry["detail"]["cause"] == "given_up")
    });
    assert_eq!(process.terminate().0, 0);
}
