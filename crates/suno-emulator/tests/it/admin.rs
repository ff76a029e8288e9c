//! The API below `/_emulator/`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator};

use crate::receiver::Receiver;
use crate::wire::{self, Answer};

async fn driven() -> Emulator {
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(9);
    Emulator::start(config.without_rate_limits()).await.unwrap()
}

/// A request without the key, as on loopback.
async fn call(emulator: &Emulator, method: Method, path: &str, body: &Value) -> Answer {
    let url = format!("{}/_emulator/{path}", emulator.base_url());
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let headers = [("content-type", "application/json")];
    wire::send(method, &url, &headers, body).await.unwrap()
}

async fn get(emulator: &Emulator, path: &str) -> Value {
    let answer = call(emulator, Method::GET, path, &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
    answer.json()
}

async fn post(emulator: &Emulator, path: &str, body: Value) -> Answer {
    call(emulator, Method::POST, path, &body).await
}

#[tokio::test]
async fn every_described_operation_answers_in_the_described_form() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let description = get(&emulator, "openapi.json").await;
    assert_eq!(description["openapi"], "3.1.0");
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let mut operations = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let Some(path) = path.strip_prefix("/_emulator/") else {
            continue;
        };
        let path = path.replace("{task_id}", &task_id);
        for (method, operation) in methods.as_object().unwrap() {
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            let method: Method = method.to_uppercase().parse().unwrap();
            // The reset comes last in the alphabet but for scenario, scripts, status and tasks.
            let emptied = path == "reset";
            let answer = call(&emulator, method.clone(), &path, example).await;
            assert_eq!(
                answer.status,
                StatusCode::OK,
                "{method} {path}: {}",
                answer.text()
            );
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            check(
                &description,
                schema,
                &answer.json(),
                &format!("{method} {path}"),
            );
            operations += 1;
            if emptied {
                let again = wire::submit(&emulator, &receiver.url(), "Lantern").await;
                assert_eq!(
                    again, task_id,
                    "the same seed gives the same id after a reset"
                );
                emulator.advance(Duration::from_secs(300)).await.unwrap();
            }
        }
    }
    assert_eq!(operations, 14);
}

/// Checks the types and the members that a schema names.
fn check(description: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.strip_prefix('#').unwrap();
        let referred = description
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {name}"));
        return check(description, referred, value, at);
    }
    if let Value::Array(allowed) = &schema["enum"] {
        assert!(allowed.contains(value), "{at}: {value}");
    }
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
        _ => vec![actual],
    };
    let is_number = allowed.contains(&"number") && actual == "integer";
    assert!(
        allowed.contains(&actual) || is_number,
        "{at}: {value} is not {allowed:?}"
    );
    if let (Value::Object(described), Value::Object(members)) = (&schema["properties"], value) {
        let described_names: BTreeSet<&String> = described.keys().collect();
        let names: BTreeSet<&String> = members.keys().collect();
        assert_eq!(names, described_names, "{at}");
        for (name, member) in members {
            check(
                description,
                &described[name],
                member,
                &format!("{at}.{name}"),
            );
        }
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        for value in values {
            check(description, items, value, &format!("{at}[]"));
        }
    }
}

#[tokio::test]
async fn tasks_and_attempts_come_in_pages() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(wire::submit(&emulator, &receiver.url(), "Lantern").await);
    }
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = get(&emulator, &format!("tasks?limit=2&after={after}")).await;
        let tasks = page["tasks"].as_array().unwrap().clone();
        assert!(tasks.len() <= 2);
        let Some(last) = tasks.last() else { break };
        after = last["number"].as_u64().unwrap();
        found.extend(
            tasks
                .iter()
                .map(|task| task["task_id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(found, ids);
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let of_third = get(&emulator, &format!("attempts?task_id={}", ids[2])).await;
    let posts: Vec<&str> = of_third["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| attempt["post"].as_str().unwrap())
        .collect();
    assert_eq!(posts, ["text", "first", "complete"]);
    let second_half = get(&emulator, "attempts?after=10&limit=1000").await;
    assert_eq!(second_half["attempts"].as_array().unwrap().len(), 5);
    let wrong = call(&emulator, Method::GET, "tasks?after=x", &Value::Null).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_clock_is_moved_and_a_callback_repeated_over_http() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    let clock = post(&emulator, "clock/advance", json!({"ms": 300_000}))
        .await
        .json();
    assert_eq!(clock["unix_ms"], json!(1_780_000_300_000_u64));
    assert_eq!(receiver.stages(), ["text", "first", "complete"]);
    let path = format!("tasks/{task_id}/deliver");
    assert_eq!(
        post(&emulator, &path, json!({"post": "first"}))
            .await
            .status,
        StatusCode::OK
    );
    post(&emulator, "clock/advance", json!({"ms": 0})).await;
    assert_eq!(receiver.stages(), ["text", "first", "complete", "first"]);
    let wrong = post(&emulator, &path, json!({"post": "error"})).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    let unknown = post(&emulator, "tasks/0000/deliver", json!({"post": "first"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);

    let real = Emulator::start(Config::default()).await.unwrap();
    let refused = post(&real, "clock/advance", json!({"ms": 1})).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn faults_are_set_and_cleared_over_http() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let set = json!({"words": "stages=text", "tasks": 1});
    let answer = call(&emulator, Method::PUT, "scenario", &set).await;
    assert_eq!(answer.json(), json!({"tasks": 1, "words": "stages=text"}));
    for _ in 0..2 {
        wire::submit(&emulator, &receiver.url(), "Lantern").await;
    }
    assert_eq!(
        get(&emulator, "scenario").await,
        json!({"tasks": null, "words": ""})
    );
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let mut stages = receiver.stages();
    stages.sort();
    assert_eq!(stages, ["complete", "first", "text", "text"]);

    call(&emulator, Method::PUT, "scenario", &json!({"words": "cut"})).await;
    assert_eq!(
        get(&emulator, "scenario").await,
        json!({"tasks": null, "words": "cut"})
    );
    call(&emulator, Method::DELETE, "scenario", &Value::Null).await;
    wire::submit(&emulator, &receiver.url(), "Lantern").await;

    for wrong in [
        json!({"words": "nonsense"}),
        json!({"word": "cut"}),
        json!([]),
    ] {
        let answer = call(&emulator, Method::PUT, "scenario", &wrong).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(answer.json()["error"].is_string());
    }
}

#[tokio::test]
async fn a_reset_forgets_tasks_attempts_and_what_was_spent() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(
        post(&emulator, "reset", Value::Null).await.status,
        StatusCode::OK
    );
    assert_eq!(wire::record(&emulator, &task_id).await, Value::Null);
    let status = get(&emulator, "status").await;
    assert_eq!(status["counts"]["tasks_kept"], 0);
    assert_eq!(status["counts"]["attempts_kept"], 0);
    assert_eq!(status["counts"]["credits_left"], 10_000);
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let emulator = driven().await;
    for path in ["", "nothing", "tasks/", "tasks/x/y", "tasks//deliver"] {
        let answer = call(&emulator, Method::GET, path, &Value::Null).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let answer = call(&emulator, Method::GET, "reset", &Value::Null).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn the_key_is_needed_where_others_can_reach_it() {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let config = Config::default()
        .with_addr(any)
        .with_public_binding_allowed();
    let emulator = Emulator::start(config).await.unwrap();
    assert_eq!(
        call(&emulator, Method::GET, "tasks", &Value::Null)
            .await
            .code(),
        401
    );
    let answer = wire::get(&emulator, "/_emulator/tasks").await;
    assert_eq!(answer.json(), json!({"tasks": []}));
}

#[tokio::test]
async fn no_list_shows_a_key() {
    let config = Config::default()
        .with_api_key("sk_private")
        .with_webhook_key("whk_private");
    let emulator = Emulator::start(config.with_driven_clock(0)).await.unwrap();
    let receiver = Receiver::start().await;
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    for path in [
        "status", "tasks", "attempts", "scenario", "scripts", "words",
    ] {
        assert!(
            !get(&emulator, path).await.to_string().contains("private"),
            "{path}"
        );
    }
}
