//! The body that is sent, and its schema.

use std::path::Path;
use std::sync::Arc;

use boon::{Compiler, Schemas};
use serde_json::Value;
use suno_callback::{
    Delivery, Event, Inbox, MemoryStore, Reference, Source, UrlSuffix, VerifiedBy, handler_fn,
};
use suno_gateway::body::{BodyForm, EventParts, Message};
use suno_gateway::content::INTEGER_MAX;
use suno_types::Callback;

use crate::scene::{TASK, callback, message_of};

const SCHEMA: &str = include_str!("../../../../docs/webhook.schema.json");
const LINES_SCHEMA: &str = include_str!("../../../../docs/lines.schema.json");
/// The number of fixtures that must at least be found.
const FIXTURES_MIN: usize = 200;

/// Returns why the schema does not describe a body.
fn fault(body: &Value) -> Option<String> {
    const URL: &str = "memory:///webhook.schema.json";
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let schema = serde_json::from_str(SCHEMA).unwrap();
    compiler.add_resource(URL, schema).unwrap();
    let index = compiler.compile(URL, &mut schemas).unwrap();
    let result = schemas.validate(body, index);
    result.err().map(|err| err.to_string())
}

/// The bodies of all fixtures that decode.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/decode/callback");
    let mut bodies = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let Some(text) = case["input"]["body"]["text"].as_str() else {
            continue;
        };
        if case["expect"]["ok"].is_object() {
            bodies.push((path.display().to_string(), text.as_bytes().to_vec()));
        }
    }
    bodies
}

/// Fails if a number is an integer that a double cannot hold.
fn assert_exact(value: &Value, name: &str) {
    match value {
        Value::Number(number) => {
            let integer = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
            assert!(
                integer.is_none_or(|it| it <= INTEGER_MAX),
                "{name}: {number}"
            );
        }
        Value::Array(items) => items.iter().for_each(|item| assert_exact(item, name)),
        Value::Object(members) => members.values().for_each(|it| assert_exact(it, name)),
        _ => {}
    }
}

#[test]
fn every_fixture_is_sent_as_the_schema_says() {
    let mut sent = 0;
    for (name, body) in fixtures() {
        for form in [BodyForm::Full, BodyForm::Thin] {
            let Some(message) = message_of(&body, form) else {
                continue;
            };
            let value: Value = serde_json::from_slice(&message.body).unwrap();
            assert_eq!(fault(&value), None, "{name}: {value}");
            assert_exact(&value, &name);
            assert_eq!(value["type"], *message.kind);
            assert_eq!(value["data"]["id"], message.id.as_str());
            sent += 1;
        }
    }
    assert!(sent > 2 * FIXTURES_MIN, "{sent}");
}

#[test]
fn a_body_that_the_schema_does_not_describe_is_noticed() {
    let message = message_of(callback(TASK, "complete", "t").as_bytes(), BodyForm::Full).unwrap();
    let right: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!(fault(&right), None);
    for (pointer, wrong) in [
        ("/type", Value::from("suno.songs")),
        ("/timestamp", Value::from("today")),
        ("/data/id", Value::from("a.b")),
        ("/data/id", Value::from(1)),
        ("/data/tracks", Value::Null),
        ("/data/tracks/0/duration", Value::from("12")),
    ] {
        let mut body = right.clone();
        *body.pointer_mut(pointer).unwrap() = wrong;
        assert!(fault(&body).is_some(), "{pointer}");
    }
    let mut body = right;
    body["data"]["attempt"] = 1.into();
    assert!(fault(&body).is_some(), "an attempt would change the bytes");
}

#[test]
fn the_content_is_described_as_the_lines_of_json_are() {
    let ours: Value = serde_json::from_str(SCHEMA).unwrap();
    let lines: Value = serde_json::from_str(LINES_SCHEMA).unwrap();
    for (name, theirs) in lines["$defs"].as_object().unwrap() {
        assert_eq!(&ours["$defs"][name], theirs, "{name}");
    }
    let is_handled = |line: &&Value| line["properties"]["event"]["const"] == "handled";
    let lines = lines["oneOf"].as_array().unwrap();
    let handled = &lines.iter().find(is_handled).unwrap()["properties"];
    let full = ours["$defs"]["full"]["properties"].as_object().unwrap();
    for (name, described) in handled.as_object().unwrap() {
        match name.as_str() {
            // The body is the same on every attempt, its id is text, and its type is outside.
            "event" | "attempt" => assert!(!full.contains_key(name), "{name}"),
            "id" | "code" => assert!(full.contains_key(name), "{name}"),
            _ => assert_eq!(full.get(name), Some(described), "{name}"),
        }
    }
}

#[test]
fn integers_that_a_double_cannot_hold_are_sent_as_text() {
    let body = br#"{"code":9007199254740993,"msg":"m","data":{"callbackType":"complete",
        "task_id":"t","data":null,"seed":[-18446744073709551616]},"x":{"y":9007199254740992}}"#;
    for form in [BodyForm::Full, BodyForm::Thin] {
        let message = message_of(body, form).unwrap();
        let value: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(value["data"]["code"], "9007199254740993");
        assert_eq!(fault(&value), None, "{value}");
        if form == BodyForm::Full {
            assert_eq!(value["data"]["data"]["seed"][0], "-18446744073709551616");
            assert_eq!(value["data"]["extra"]["x"]["y"], "9007199254740992");
        }
    }
}

#[test]
fn a_body_names_the_submit_and_has_no_callback_url() {
    let sent = br#"{"code":200,"msg":"ok","data":{"callbackType":"complete","task_id":"t",
        "data":[],"callBackUrl":"https://a.example/cb/TOKEN"}}"#;
    let callback = Callback::decode(sent).unwrap();
    let key = suno_callback::EventKey::new("t".parse().unwrap(), suno_types::Stage::Complete);
    let reference = Reference::new("order-42").unwrap();
    let suffix = UrlSuffix::new("orders/42", "user=7").unwrap();
    let mut parts = EventParts::new(&key, &callback, jiff::Timestamp::UNIX_EPOCH);
    parts.source = Source::Poll;
    parts.verified_by = VerifiedBy::from_bits(0b101);
    parts.suffix = Some(&suffix);
    parts.reference = Some(&reference);
    let value: Value = serde_json::from_slice(&Message::new(parts, BodyForm::Full).body).unwrap();
    let data = &value["data"];
    assert_eq!(data["reference"], "order-42");
    assert_eq!(
        (&data["path"], &data["query"]),
        (&"orders/42".into(), &"user=7".into())
    );
    assert_eq!(data["source"], "poll");
    assert_eq!(
        data["verified_by"],
        serde_json::json!(["signature", "record"])
    );
    assert!(!value.to_string().contains("TOKEN"), "{value}");
}

/// The same event on two attempts, from a store and a dispatcher.
#[tokio::test(start_paused = true)]
async fn an_event_has_the_same_bytes_on_every_attempt() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let handler = handler_fn(move |event: Event| {
        let message = Message::new(&event, BodyForm::Full);
        let sent = tell.send((event.attempt(), message));
        async move { sent.map_err(Into::into).and(Err("once more".into())) }
    });
    let inbox = Inbox::start(Arc::new(MemoryStore::new()));
    let body = callback(TASK, "complete", "Grüße 🎵\u{2028}");
    let delivery = Delivery::decode(body.into(), jiff::Timestamp::UNIX_EPOCH);
    inbox.accept(delivery).await.unwrap();
    let dispatching = suno_callback::Dispatcher::new(inbox, handler).start();
    let (first, message) = told.recv().await.unwrap();
    let (second, again) = told.recv().await.unwrap();
    dispatching.stop().await;
    assert_eq!((first, second), (1, 2));
    assert_eq!(message, again);
    assert_eq!(message.id.as_str(), format!("{TASK}_complete_0"));
    let shown = format!("{message:?}");
    assert!(!shown.contains("Grüße"), "{shown}");
}
