//! Scripted tasks.

use std::time::Duration;

use serde_json::json;
use suno_emulator::{Config, Emulator, Script, signature};

use crate::receiver::Receiver;
use crate::wire;

const SCRIPT: &str = r#"{
    "name": "refused-late",
    "track_count": 1,
    "steps": [
        {"at_ms": 0, "visible": false},
        {"at_ms": 2000, "visible": true, "status": "GENERATING", "tracks": "unfinished",
         "callbacks": [
            {"callback_type": "text", "msg": "Words.", "tracks": "null"},
            {"body": {"code": 200, "data": {"task_id": "{task_id}", "callbackType": "x"}},
             "name": "strange", "signing": "wrong"}
         ]},
        {"at_ms": 5000, "status": "GENERATE_AUDIO_FAILED", "refund": true,
         "error": {"code": 531, "message": "Given back."},
         "callbacks": [
            {"error": {"code": 531, "message": "Given back."}, "shape": "empty"},
            {"callback_type": "complete", "tracks": "ready", "dropped": true}
         ]}
    ]
}"#;

#[tokio::test]
async fn a_script_says_all_that_happens_to_a_task() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_credits(12)
        .with_script(Script::from_json(SCRIPT).unwrap());
    let emulator = Emulator::start(config).await.unwrap();
    let title = "[emulator:script=refused-late] Lantern";
    let task_id = wire::submit(&emulator, &receiver.url(), title).await;
    assert_eq!(wire::record(&emulator, &task_id).await, json!(null));
    emulator.advance(Duration::from_millis(2000)).await.unwrap();
    let record = wire::record(&emulator, &task_id).await;
    assert_eq!(record["status"], "GENERATING");
    assert_eq!(record["response"]["sunoData"].as_array().unwrap().len(), 1);
    emulator.advance(Duration::from_millis(3000)).await.unwrap();
    let record = wire::record(&emulator, &task_id).await;
    assert_eq!(
        (&record["status"], &record["errorCode"]),
        (&json!("GENERATE_AUDIO_FAILED"), &json!(531))
    );
    assert_eq!(
        wire::get(&emulator, "/api/v1/chat/credit").await.json()["data"],
        12
    );

    let bodies: Vec<_> = receiver
        .received()
        .iter()
        .map(|callback| callback.json())
        .collect();
    assert_eq!(
        bodies,
        [
            json!({"code": 200, "msg": "Words.",
                "data": {"callbackType": "text", "task_id": task_id, "data": null}}),
            json!({"code": 200, "data": {"task_id": task_id, "callbackType": "x"}}),
            json!({"code": 531, "msg": "Given back.",
                "data": {"callbackType": "error", "task_id": task_id, "data": []}}),
        ]
    );
    let strange = &receiver.received()[1];
    let timestamp = strange.header("x-webhook-timestamp").unwrap();
    let right = signature(emulator.webhook_key().unwrap(), &task_id, timestamp);
    assert_ne!(strange.header("x-webhook-signature"), Some(right.as_str()));
    let posts: Vec<String> = emulator
        .attempts()
        .into_iter()
        .map(|attempt| attempt.callback)
        .collect();
    assert_eq!(
        posts,
        ["text", "strange", "complete", "error"],
        "the dropped one is filed at once"
    );
}

#[tokio::test]
async fn faults_apply_to_scripted_tasks_too() {
    let receiver = Receiver::start().await;
    let config = Config::default().with_driven_clock(1_780_000_000_000);
    let emulator = Emulator::start(config).await.unwrap();
    emulator
        .add_script(Script::from_json(SCRIPT).unwrap())
        .unwrap();
    let title = "[emulator:script=refused-late, duplicate-error, drop-text] Lantern";
    wire::submit(&emulator, &receiver.url(), title).await;
    emulator.advance(Duration::from_secs(10)).await.unwrap();
    assert_eq!(receiver.stages(), ["x", "error", "error"]);
}

#[tokio::test]
async fn a_script_that_is_not_there_refuses_the_submit() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let body = wire::submission("http://127.0.0.1:9/", "[emulator:script=nothing] Lantern");
    let answer = wire::post(&emulator, wire::SUBMIT, &body).await.json();
    assert_eq!(answer["code"], 422);
    assert!(
        answer["msg"].as_str().unwrap().contains("\"nothing\""),
        "{answer}"
    );
}

#[test]
fn a_script_that_is_not_right_says_where() {
    let step = |step: &str| format!(r#"{{"name":"n","steps":[{step}]}}"#);
    let cases = [
        ("{".to_owned(), "EOF"),
        ("{}".to_owned(), "missing field `name`"),
        (r#"{"name":"a b","steps":[]}"#.to_owned(), "name must be"),
        (
            r#"{"name":"n","steps":[],"track_count":9}"#.to_owned(),
            "track_count must be",
        ),
        (
            step(r#"{"at_ms":1,"stauts":"X"}"#),
            "unknown field `stauts`",
        ),
        (step(r#"{"at_ms":2},{"at_ms":1}"#), "order of at_ms"),
        (
            step(r#"{"at_ms":1,"callbacks":[{}]}"#),
            "steps[0]: callbacks[0]: one of",
        ),
        (
            step(r#"{"at_ms":1,"callbacks":[{"body":1,"callback_type":"x"}]}"#),
            "one of",
        ),
        (step(&[r#"{"at_ms":1}"#; 65].join(",")), "64 steps"),
    ];
    for (text, expected) in cases {
        let reason = Script::from_json(&text).unwrap_err().to_string();
        assert!(reason.contains(expected), "{text}: {reason}");
    }
}

#[tokio::test]
async fn only_so_many_scripts_are_kept() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let script =
        |index: usize| Script::from_json(&format!(r#"{{"name":"n{index}","steps":[]}}"#)).unwrap();
    for index in 0..256 {
        emulator.add_script(script(index)).unwrap();
    }
    assert!(emulator.add_script(script(256)).is_err());
    emulator
        .add_script(script(0))
        .expect("one that is there is replaced");
    let long = format!(r#"{{"name":"n","steps":[]}}{}"#, " ".repeat(1024 * 1024));
    assert!(
        Script::from_json(&long)
            .unwrap_err()
            .to_string()
            .contains("longer than")
    );
}

#[tokio::test]
async fn copied_headers_are_those_of_the_callback_before_however_old() {
    let receiver = Receiver::start().await;
    let script = r#"{"name": "replayed", "steps": [
        {"at_ms": 1000, "callbacks": [{"callback_type": "text"}]},
        {"at_ms": 400000, "callbacks": [
            {"name": "replay", "signing": "copied", "body": {"data": {"task_id": "{task_id}"}}}]}]}"#;
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_script(Script::from_json(script).unwrap())
        .with_scenario("script=replayed");
    let emulator = Emulator::start(config).await.unwrap();
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(500)).await.unwrap();
    let [text, replay] = &emulator.attempts()[..] else {
        panic!("{:?}", emulator.attempts())
    };
    assert_eq!(replay.unix_ms - text.unix_ms, 399_000);
    assert_eq!(replay.timestamp, text.timestamp);
    assert_eq!(replay.signature, text.signature);
    assert_eq!([text.is_forged, replay.is_forged], [false, true]);
}
