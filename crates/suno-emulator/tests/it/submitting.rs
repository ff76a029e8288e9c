//! Submits and credits (`PROTOCOL.md 1`).

use http::{Method, StatusCode};
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator, Profile};

use crate::wire::{self, SUBMIT, submission};

const NOWHERE: &str = "http://127.0.0.1:9/callback";

async fn emulator() -> Emulator {
    Emulator::start(Config::default()).await.unwrap()
}

#[tokio::test]
async fn a_taken_task_is_answered_with_an_id_of_32_hexadecimal_digits() {
    let emulator = emulator().await;
    let answer = wire::post(&emulator, SUBMIT, &submission(NOWHERE, "Lantern")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let body = answer.json();
    let task_id = body["data"]["taskId"].as_str().unwrap();
    assert_eq!(
        body,
        json!({"code": 200, "msg": "success", "data": {"taskId": task_id}})
    );
    assert_eq!(task_id.len(), 32);
    assert!(
        task_id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
}

#[tokio::test]
async fn an_empty_or_missing_callback_url_is_refused_word_for_word() {
    let emulator = emulator().await;
    let mut without = submission(NOWHERE, "Lantern");
    without.as_object_mut().unwrap().remove("callBackUrl");
    for body in [submission("", "Lantern"), without] {
        let answer = wire::post(&emulator, SUBMIT, &body).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(
            answer.text(),
            r#"{"code":422,"data":null,"msg":"Please enter callBackUrl."}"#
        );
    }
}

#[tokio::test]
async fn every_required_member_is_asked_for_by_its_name() {
    let emulator = emulator().await;
    for name in ["uploadUrl", "title", "tags", "negativeTags", "callBackUrl"] {
        let mut body = submission(NOWHERE, "Lantern");
        body[name] = Value::Null;
        let answer = wire::post(&emulator, SUBMIT, &body).await.json();
        assert_eq!(answer["msg"], format!("Please enter {name}."));
    }
}

#[tokio::test]
async fn values_out_of_bounds_are_refused() {
    let emulator = emulator().await;
    let wrong = [
        ("styleWeight", json!(1.5)),
        ("weirdnessConstraint", json!(-0.1)),
        ("audioWeight", json!("half")),
        ("vocalGender", json!("x")),
        ("variety", json!(5)),
        ("lyrics", json!("la".repeat(2501))),
    ];
    for (name, value) in wrong {
        let mut body = submission(NOWHERE, "Lantern");
        body[name] = value;
        assert_eq!(
            wire::post(&emulator, SUBMIT, &body).await.code(),
            422,
            "{name}"
        );
    }
}

#[tokio::test]
async fn unknown_members_are_ignored() {
    let emulator = emulator().await;
    let mut body = submission(NOWHERE, "Lantern");
    body["callbackUrl"] = json!("http://misspelt.example.com");
    let answer = wire::post(&emulator, SUBMIT, &body).await.json();
    assert_eq!(answer["code"], 200);
    let record = wire::record(&emulator, answer["data"]["taskId"].as_str().unwrap()).await;
    assert!(!record["param"].as_str().unwrap().contains("misspelt"));
}

#[tokio::test]
async fn a_long_title_is_refused_by_sunoapi_alone() {
    let body = submission(NOWHERE, &"x".repeat(101));
    assert_eq!(
        wire::post(&emulator().await, SUBMIT, &body).await.code(),
        200
    );
    let sunoapi = Config::default().with_provider(Profile::SunoApi);
    let sunoapi = Emulator::start(sunoapi).await.unwrap();
    assert_eq!(wire::post(&sunoapi, SUBMIT, &body).await.code(), 413);
    let with_words = format!("[emulator:stages=none] {}", "x".repeat(100));
    let body = submission(NOWHERE, &with_words);
    assert_eq!(wire::post(&sunoapi, SUBMIT, &body).await.code(), 200);
}

#[tokio::test]
async fn more_than_is_kept_of_a_submit_is_refused() {
    let emulator = emulator().await;
    let mut body = submission(NOWHERE, "Lantern");
    body["tags"] = json!("x".repeat(60 * 1024));
    assert_eq!(wire::post(&emulator, SUBMIT, &body).await.code(), 200);
    body["tags"] = json!("x".repeat(64 * 1024));
    assert_eq!(wire::post(&emulator, SUBMIT, &body).await.code(), 422);
}

#[tokio::test]
async fn a_scenario_header_that_cannot_be_read_is_not_ignored() {
    let emulator = emulator().await;
    let body = submission(NOWHERE, "Lantern").to_string();
    let headers = [("x-emulator-scenario", "drop ü")];
    let answer = wire::post_with(&emulator, SUBMIT, &headers, &body)
        .await
        .unwrap();
    assert_eq!(answer.code(), 422);
    assert!(
        answer.text().contains("x-emulator-scenario"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_401_in_an_answer_of_http_200() {
    let emulator = emulator().await;
    let url = format!("{}/api/v1/chat/credit", emulator.base_url());
    let lower = format!("bearer {}", emulator.api_key());
    for header in ["Bearer wrong", "", "Basic eDp5", lower.as_str()] {
        let answer = wire::send(Method::GET, &url, &[("authorization", header)], "")
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::OK, 401),
            "{header}"
        );
    }
    let answer = wire::send(Method::GET, &url, &[], "").await.unwrap();
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, 401));
}

#[tokio::test]
async fn a_body_that_is_not_an_object_of_json_gets_an_envelope() {
    let emulator = emulator().await;
    for body in ["", "{", "[]", "null", "\"text\"", "a=b&c=d", "\u{feff}{}"] {
        let answer = wire::post_with(&emulator, SUBMIT, &[], body).await.unwrap();
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::OK, 422),
            "{body:?}"
        );
        assert_eq!(answer.json()["data"], Value::Null);
    }
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_413() {
    let emulator = emulator().await;
    let mut body = submission(NOWHERE, "Lantern").to_string();
    body.push_str(&" ".repeat(1024 * 1024 - body.len()));
    let fits = wire::post_with(&emulator, SUBMIT, &[], &body)
        .await
        .unwrap();
    assert_eq!((fits.status, fits.code()), (StatusCode::OK, 200));
    for more in [1, 8 * 1024 * 1024] {
        body.push_str(&" ".repeat(more));
        let answer = wire::post_with(&emulator, SUBMIT, &[], &body)
            .await
            .unwrap();
        let seen = (answer.status, answer.code());
        assert_eq!(seen, (StatusCode::PAYLOAD_TOO_LARGE, 413), "{more}");
    }
}

#[tokio::test]
async fn wrong_paths_and_methods_are_answered_with_an_envelope() {
    let emulator = emulator().await;
    let path = wire::get(&emulator, "/api/v1/generate/nothing").await;
    assert_eq!((path.status, path.code()), (StatusCode::NOT_FOUND, 404));
    let method = wire::get(&emulator, SUBMIT).await;
    assert_eq!(
        (method.status, method.code()),
        (StatusCode::METHOD_NOT_ALLOWED, 404)
    );
    assert_eq!(method.header("allow"), "POST");
}

#[tokio::test]
async fn every_answer_says_that_an_emulator_gave_it() {
    let emulator = emulator().await;
    for path in [
        "/api/v1/chat/credit",
        "/nothing",
        "/media/x/audio-1.wav",
        SUBMIT,
    ] {
        let answer = wire::get(&emulator, path).await;
        assert_eq!(
            answer.header("x-suno-emulator"),
            env!("CARGO_PKG_VERSION"),
            "{path}"
        );
    }
    let large = "x".repeat(1024 * 1024 + 1);
    let answer = wire::post_with(&emulator, SUBMIT, &[], &large)
        .await
        .unwrap();
    assert_eq!(answer.header("x-suno-emulator"), env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn a_task_costs_12_credits_until_too_few_are_left() {
    let emulator = Emulator::start(Config::default().with_credits(30))
        .await
        .unwrap();
    let left = async || wire::get(&emulator, "/api/v1/chat/credit").await.json()["data"].clone();
    assert_eq!(left().await, json!(30));
    wire::submit(&emulator, NOWHERE, "Lantern").await;
    wire::submit(&emulator, NOWHERE, "Lantern").await;
    assert_eq!(left().await, json!(6));
    let refused = wire::post(&emulator, SUBMIT, &submission(NOWHERE, "Lantern"))
        .await
        .json();
    assert_eq!(
        (&refused["code"], &refused["data"]),
        (&json!(402), &Value::Null)
    );
    assert_eq!(left().await, json!(6));
}

#[tokio::test]
async fn each_provider_has_its_own_path_for_credits_and_code_for_too_few() {
    let config = Config::default()
        .with_provider(Profile::SunoApi)
        .with_credits(0);
    let emulator = Emulator::start(config).await.unwrap();
    let credits = wire::get(&emulator, "/api/v1/generate/credit").await.json();
    assert_eq!(credits, json!({"code": 200, "msg": "success", "data": 0}));
    let other = wire::get(&emulator, "/api/v1/chat/credit").await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let refused = wire::post(&emulator, SUBMIT, &submission(NOWHERE, "Lantern")).await;
    assert_eq!(refused.code(), 429);
}
