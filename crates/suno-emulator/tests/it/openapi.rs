//! The description of the provider's side: every path in it answers as it says.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile};

use crate::wire;

async fn emulator(profile: Profile) -> Emulator {
    let config = Config::default()
        .with_provider(profile)
        .with_driven_clock(1_780_000_000_000);
    Emulator::start(config.without_rate_limits()).await.unwrap()
}

/// Checks the types and the required members that a schema names.
fn check(schema: &Value, value: &Value, at: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if let Some(allowed) = schema["type"].as_array() {
        assert!(
            allowed.contains(&json!(kind)),
            "{at}: {value} is not {allowed:?}"
        );
    }
    if let (Value::Object(members), Some(required)) = (value, schema["required"].as_array()) {
        for name in required {
            let name = name.as_str().unwrap();
            let member = members
                .get(name)
                .unwrap_or_else(|| panic!("{at}: {name} is missing"));
            check(&schema["properties"][name], member, &format!("{at}.{name}"));
        }
    }
    if let (Value::Array(items), Some(schema)) = (value, schema.get("items")) {
        for item in items {
            check(schema, item, &format!("{at}[]"));
        }
    }
}

/// The bodies that the description has for a submit.
fn examples(operation: &Value) -> Vec<Value> {
    let content = &operation["requestBody"]["content"]["application/json"];
    match content["examples"].as_object() {
        Some(examples) => examples
            .values()
            .map(|example| example["value"].clone())
            .collect(),
        None => vec![content["example"].clone()],
    }
}

#[tokio::test]
async fn every_path_of_the_provider_answers_as_it_is_described() {
    for (profile, paths_expected) in [(Profile::Kie, 41), (Profile::SunoApi, 39)] {
        let emulator = emulator(profile).await;
        let description = wire::get(&emulator, "/_emulator/openapi.json").await.json();
        let paths = description["paths"].as_object().unwrap();
        let mut ids = BTreeSet::new();
        let mut count = 0;
        for (path, methods) in paths
            .iter()
            .filter(|(path, _)| !path.starts_with("/_emulator/"))
        {
            count += 1;
            for (method, operation) in methods.as_object().unwrap() {
                let at = format!("{profile} {method} {path}");
                assert!(ids.insert(operation["operationId"].to_string()), "{at}");
                let answers = &operation["responses"]["200"]["content"]["application/json"];
                let schema = &answers["schema"];
                if schema.is_null() {
                    let absent = path.replace(['{', '}'], "");
                    let status = wire::get(&emulator, &absent).await.status;
                    assert_eq!(status, StatusCode::NOT_FOUND, "{at}");
                    continue;
                }
                check(schema, &answers["example"], &at);
                if method == "post" && !path.ends_with("stream-upload") {
                    for mut example in examples(operation) {
                        // One of each: some products are made once for a track.
                        if example["taskId"].is_string() {
                            example["taskId"] = json!(format!("{at} {count}"));
                        }
                        let answer = wire::post(&emulator, path, &example).await;
                        assert_eq!(answer.status, StatusCode::OK, "{at}");
                        if path.ends_with("createTask") {
                            // WAV and cover were made by the examples of the direct route.
                            let code = answer.code();
                            assert!([200, 409].contains(&code), "{at}: {}", answer.text());
                            continue;
                        }
                        assert_eq!(answer.code(), 200, "{at}: {}", answer.text());
                        check(schema, &answer.json(), &at);
                    }
                }
                let other = if method == "post" {
                    Method::GET
                } else {
                    Method::POST
                };
                let url = format!("{}{path}", emulator.base_url());
                let answer = wire::send(other, &url, &[], "").await.unwrap();
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{at}");
                let allowed = answer.header("allow").to_lowercase();
                assert!(allowed.contains(method.as_str()), "{at}: {allowed}");
            }
        }
        assert_eq!(count, paths_expected, "{profile}");
    }
}

#[tokio::test]
async fn every_described_callback_has_the_form_that_is_sent() {
    use crate::receiver::Receiver;
    use std::time::Duration;

    for profile in [Profile::Kie, Profile::SunoApi] {
        let (emulator, receiver) = (emulator(profile).await, Receiver::start().await);
        let description = wire::get(&emulator, "/_emulator/openapi.json").await.json();
        let mut sent = 0;
        for (path, methods) in description["paths"].as_object().unwrap() {
            let operation = &methods["post"];
            let Some(finished) = operation["callbacks"]["finished"].as_object() else {
                continue;
            };
            let (expression, callback) = finished.iter().next().unwrap();
            let name = expression.rsplit('/').next().unwrap().trim_end_matches('}');
            let schema = &callback["post"]["requestBody"]["content"]["application/json"]["schema"];
            let mut example = examples(operation).remove(0);
            example[name] = receiver.url().into();
            assert_eq!(
                wire::post(&emulator, path, &example).await.code(),
                200,
                "{path}"
            );
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            let last = receiver.received().last().unwrap().json();
            check(schema, &last, path);
            sent += 1;
        }
        assert!(sent >= 19, "{profile}: {sent}");
    }
}
