//! The jobs dialect (`PROTOCOL.md 5`).

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile, signature};

use crate::receiver::Receiver;
use crate::wire;

const CREATE: &str = "/api/v1/jobs/createTask";

fn job(callback_url: &str, title: &str) -> Value {
    json!({
        "model": "ai-music-api/add-instrumental",
        "callBackUrl": callback_url,
        "input": {
            "upload_url": "https://files.example.com/voice.mp3",
            "title": title,
            "tags": "folk, strings",
            "negative_tags": "drums",
            "model": "V5",
        },
    })
}

async fn emulator() -> Emulator {
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(5);
    Emulator::start(config.without_rate_limits()).await.unwrap()
}

async fn create(emulator: &Emulator, body: &Value) -> String {
    let answer = wire::post(emulator, CREATE, body).await.json();
    answer["data"]["taskId"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}

async fn record(emulator: &Emulator, task_id: &str) -> Value {
    let path = format!("/api/v1/jobs/recordInfo?taskId={task_id}");
    wire::get(emulator, &path).await.json()["data"].clone()
}

#[tokio::test]
async fn a_job_goes_through_its_states_and_ends_with_a_result_in_a_string() {
    let (emulator, receiver) = (emulator().await, Receiver::start().await);
    let task_id = create(&emulator, &job(&receiver.url(), "Lantern")).await;
    let mut states = Vec::new();
    for _ in 0..120 {
        let state = record(&emulator, &task_id).await["state"].clone();
        if states.last() != Some(&state) {
            states.push(state);
        }
        emulator.advance(Duration::from_secs(1)).await.unwrap();
    }
    assert_eq!(states, ["waiting", "queuing", "generating", "success"]);
    let data = record(&emulator, &task_id).await;
    assert_eq!(data["creditsConsumed"], 12);
    assert_eq!(
        (&data["failCode"], &data["failMsg"]),
        (&Value::Null, &Value::Null)
    );
    let param: Value = serde_json::from_str(data["param"].as_str().unwrap()).unwrap();
    assert_eq!(param, job(&receiver.url(), "Lantern"));
    let result: Value = serde_json::from_str(data["resultJson"].as_str().unwrap()).unwrap();
    let tracks = result["data"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    assert!(
        tracks[1]["audio_url"]
            .as_str()
            .unwrap()
            .starts_with(emulator.base_url())
    );
}

#[tokio::test]
async fn its_only_callback_tells_of_the_end() {
    let (emulator, receiver) = (emulator().await, Receiver::start().await);
    let task_id = create(&emulator, &job(&receiver.url(), "Lantern")).await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let [callback] = &receiver.received()[..] else {
        panic!("one callback")
    };
    let body = callback.json();
    assert_eq!(
        (&body["code"], &body["data"]["state"]),
        (&json!(200), &json!("success"))
    );
    assert_eq!(body["data"]["taskId"], task_id.as_str());
    assert_eq!(body["data"].get("task_id"), None);
    assert_eq!(
        body["data"]["resultJson"],
        record(&emulator, &task_id).await["resultJson"]
    );
    let timestamp = callback.header("x-webhook-timestamp").unwrap();
    let expected = signature(emulator.webhook_key().unwrap(), &task_id, timestamp);
    assert_eq!(
        callback.header("x-webhook-signature"),
        Some(expected.as_str())
    );
}

#[tokio::test]
async fn a_failed_job_has_a_fail_code_and_message() {
    let (emulator, receiver) = (emulator().await, Receiver::start().await);
    let body = job(&receiver.url(), "[emulator:fail=531] Lantern");
    let task_id = create(&emulator, &body).await;
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let [callback] = &receiver.received()[..] else {
        panic!("one callback")
    };
    for data in [
        callback.json()["data"].clone(),
        record(&emulator, &task_id).await,
    ] {
        assert_eq!(
            (&data["state"], &data["failCode"]),
            (&json!("fail"), &json!("531"))
        );
        assert!(data["failMsg"].is_string());
        assert_eq!(
            (&data["resultJson"], &data["creditsConsumed"]),
            (&Value::Null, &json!(0))
        );
    }
    assert_eq!(callback.json()["code"], 501);
}

#[tokio::test]
async fn a_job_is_checked_by_the_names_of_its_dialect() {
    let emulator = emulator().await;
    let message = async |body: &Value| {
        let answer = wire::post(&emulator, CREATE, body).await.json();
        (
            answer["code"].clone(),
            answer["msg"].as_str().unwrap().to_owned(),
        )
    };
    let refused = |text: &str| (json!(422), text.to_owned());
    let whole = job("http://127.0.0.1:9/", "Lantern");
    for name in ["upload_url", "title", "tags", "negative_tags"] {
        let mut body = whole.clone();
        body["input"][name] = json!("");
        assert_eq!(
            message(&body).await,
            refused(&format!("Please enter {name}."))
        );
    }
    for name in ["input", "model"] {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(name);
        assert_eq!(
            message(&body).await,
            refused(&format!("Please enter {name}."))
        );
    }
    let mut other = whole.clone();
    other["model"] = json!("another/model");
    assert_eq!(message(&other).await.0, 422);
}

#[tokio::test]
async fn a_task_is_found_in_its_own_dialect_alone() {
    let emulator = emulator().await;
    let job_id = create(&emulator, &job("http://127.0.0.1:9/", "Lantern")).await;
    let task_id = wire::submit(&emulator, "http://127.0.0.1:9/", "Lantern").await;
    assert_eq!(wire::record(&emulator, &job_id).await, Value::Null);
    assert_eq!(record(&emulator, &task_id).await, Value::Null);
}

#[tokio::test]
async fn sunoapi_has_no_jobs() {
    let config = Config::default().with_provider(Profile::SunoApi);
    let emulator = Emulator::start(config).await.unwrap();
    let answer = wire::post(&emulator, CREATE, &job("http://127.0.0.1:9/", "Lantern")).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, 404));
}

#[tokio::test]
async fn more_than_is_kept_of_a_job_is_refused() {
    let emulator = emulator().await;
    let mut body = job("http://127.0.0.1:9/", "Lantern");
    body["input"]["tags"] = json!("x".repeat(60 * 1024));
    assert_eq!(wire::post(&emulator, CREATE, &body).await.code(), 200);
    body["input"]["tags"] = json!("x".repeat(64 * 1024));
    assert_eq!(wire::post(&emulator, CREATE, &body).await.code(), 422);
}

#[tokio::test]
async fn a_job_without_a_callback_url_sends_none() {
    let emulator = emulator().await;
    for url in [Value::Null, json!(" ")] {
        let mut body = job("", "Lantern");
        body["callBackUrl"] = url;
        let task_id = create(&emulator, &body).await;
        emulator.advance(Duration::from_secs(300)).await.unwrap();
        assert_eq!(record(&emulator, &task_id).await["state"], "success");
    }
    assert!(emulator.attempts().is_empty());
}

#[tokio::test]
async fn an_unknown_job_and_one_that_is_not_found_yet_are_422() {
    let emulator = emulator().await;
    let hidden = job("http://127.0.0.1:9/", "[emulator:hidden] Lantern");
    let hidden = create(&emulator, &hidden).await;
    for task_id in ["nope", &hidden] {
        let path = format!("/api/v1/jobs/recordInfo?taskId={task_id}");
        let answer = wire::get(&emulator, &path).await;
        assert_eq!(answer.status, StatusCode::OK);
        let expected = json!({"code": 422, "msg": "recordInfo is null", "data": null});
        assert_eq!(answer.json(), expected);
    }
}

#[tokio::test]
async fn a_job_tells_when_it_ended_and_what_it_cost() {
    let (emulator, receiver) = (emulator().await, Receiver::start().await);
    let task_id = create(&emulator, &job(&receiver.url(), "Lantern")).await;
    let running = record(&emulator, &task_id).await;
    assert_eq!(
        (&running["completeTime"], &running["costTime"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(running["updateTime"], running["createTime"]);
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let data = receiver.received()[0].json()["data"].clone();
    let time = |name: &str| data[name].as_u64().unwrap();
    let passed = time("completeTime") - time("createTime");
    assert!((70_000..=110_000).contains(&passed), "{passed}");
    assert_eq!(time("costTime"), passed / 1000);
    assert_eq!(data["updateTime"], data["completeTime"]);
    assert_eq!(
        (&data["consumeCredits"], &data["remainedCredits"]),
        (&json!(12), &json!(9988))
    );
    let names: Vec<&String> = data.as_object().unwrap().keys().collect();
    let expected = [
        "completeTime",
        "consumeCredits",
        "costTime",
        "createTime",
        "creditsConsumed",
        "failCode",
        "failMsg",
        "model",
        "param",
        "remainedCredits",
        "resultJson",
        "state",
        "taskId",
        "updateTime",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn an_outer_model_that_is_no_operation_is_refused() {
    let emulator = emulator().await;
    for model in [
        "V6",
        "add-instrumental",
        "ai-music-api/",
        "ai-music-api/cover",
    ] {
        let mut body = job("http://127.0.0.1:9/", "Lantern");
        body["model"] = json!(model);
        assert_eq!(
            wire::post(&emulator, CREATE, &body).await.code(),
            422,
            "{model}"
        );
    }
}
