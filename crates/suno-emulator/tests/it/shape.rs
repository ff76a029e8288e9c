//! Runs one task, and compares its bodies with expected ones.

use std::time::Duration;

use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile};

use crate::receiver::Receiver;
use crate::wire;

const CREATED: u64 = 1_780_000_000_000;

pub(crate) struct Scene {
    pub(crate) emulator: Emulator,
    pub(crate) receiver: Receiver,
}

impl Scene {
    pub(crate) async fn start(profile: Profile) -> Self {
        let config = Config::default()
            .with_driven_clock(CREATED)
            .with_seed(4)
            .with_provider(profile)
            .without_rate_limits();
        Self {
            emulator: Emulator::start(config).await.unwrap(),
            receiver: Receiver::start().await,
        }
    }

    /// Submits, waits for the end, and returns the task id, the only callback, and the record.
    pub(crate) async fn run(
        &self,
        path: &str,
        words: &str,
        mut body: Value,
    ) -> (String, Value, Value) {
        let name = match path {
            "voice/regenerate" => "calBackUrl",
            _ => "callBackUrl",
        };
        body[name] = self.receiver.url().into();
        let headers = [("x-emulator-scenario", words)];
        let url = format!("/api/v1/{path}");
        let answer = wire::post_with(&self.emulator, &url, &headers, &body.to_string()).await;
        let answer = answer.unwrap().json();
        let data = answer["data"].as_object().unwrap();
        let task_id = data.values().next().unwrap().as_str().unwrap().to_owned();
        let before = self.receiver.count();
        self.emulator
            .advance(Duration::from_secs(300))
            .await
            .unwrap();
        assert_eq!(self.receiver.count(), before + 1, "{path}");
        let callback = self.receiver.received().last().unwrap().json();
        (task_id.clone(), callback, self.record(path, &task_id).await)
    }

    pub(crate) async fn record(&self, path: &str, task_id: &str) -> Value {
        let (family, name) = match path {
            "lyrics" => ("lyrics/record-info", "taskId"),
            "generate" => ("generate/record-info", "taskId"),
            "voice/validate" | "voice/regenerate" => ("voice/validate-info", "taskId"),
            "suno/recovery" => ("suno/recovery/record-info", "task_id"),
            path => (
                &*format!("{}/record-info", path.rsplit_once('/').unwrap().0),
                "taskId",
            ),
        };
        let poll = format!("/api/v1/{family}?{name}={task_id}");
        wire::get(&self.emulator, &poll).await.json()
    }
}

/// Checks a body member by member.
pub(crate) fn assert_like(actual: &Value, expected: &Value, at: &str) {
    let is_like = match expected.as_str() {
        Some("<url>") => actual
            .as_str()
            .is_some_and(|url| url.starts_with("http://127.0.0.1:")),
        Some("<text>") => actual.as_str().is_some_and(|text| !text.is_empty()),
        Some("<time>") => actual.as_u64().is_some_and(|unix_ms| unix_ms >= CREATED),
        Some("<number>") => actual.is_number(),
        Some("<list>") => actual.as_array().is_some_and(|items| !items.is_empty()),
        _ => match (actual, expected) {
            (Value::Object(actual), Value::Object(expected)) => {
                let names = |members: &serde_json::Map<String, Value>| -> Vec<String> {
                    members.keys().cloned().collect()
                };
                assert_eq!(names(actual), names(expected), "{at}");
                for (name, value) in expected {
                    assert_like(&actual[name], value, &format!("{at}.{name}"));
                }
                true
            }
            (Value::Array(actual), Value::Array(expected)) => {
                assert_eq!(actual.len(), expected.len(), "{at}");
                for (index, value) in expected.iter().enumerate() {
                    assert_like(&actual[index], value, &format!("{at}[{index}]"));
                }
                true
            }
            _ => actual == expected,
        },
    };
    assert!(is_like, "{at}: {actual} is not {expected}");
}

pub(crate) fn of_track() -> Value {
    json!({"taskId": "5c79", "audioId": "e231"})
}
