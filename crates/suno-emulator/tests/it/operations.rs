//! Every operation on both routes: from the submit to the callback, the record and the files.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use suno_emulator::{Emulator, Profile, TaskEnding};

use crate::catalogue::{JOBS, ROWS, driven};
use crate::receiver::Receiver;
use crate::wire;

/// Every URL of the emulator in a body, also in texts of JSON.
fn own_urls(emulator: &Emulator, body: &Value) -> Vec<String> {
    let base = format!("{}/media/", emulator.base_url());
    match body {
        Value::String(text) if text.starts_with(&base) => vec![text.clone()],
        Value::String(text) if text.starts_with('{') => {
            own_urls(emulator, &serde_json::from_str(text).unwrap())
        }
        Value::Array(items) => items.iter().flat_map(|v| own_urls(emulator, v)).collect(),
        Value::Object(members) => members
            .values()
            .flat_map(|v| own_urls(emulator, v))
            .collect(),
        _ => Vec::new(),
    }
}

/// Every URL leads to a file of the type that its ending names.
async fn are_served(emulator: &Emulator, body: &Value) -> usize {
    let urls = own_urls(emulator, body);
    for url in &urls {
        let answer = wire::send(Method::GET, url, &[], "").await.unwrap();
        let expected = match url.rsplit('.').next().unwrap() {
            "wav" => ("audio/wav", &b"RIFF"[..]),
            "png" => ("image/png", &b"\x89PNG"[..]),
            "mp4" => ("video/mp4", &b"\0\0\0"[..]),
            "m4a" => ("audio/mp4", &b"\0\0\0"[..]),
            other => panic!("{other}"),
        };
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        assert_eq!(answer.header("content-type"), expected.0, "{url}");
        assert!(answer.body.starts_with(expected.1), "{url}");
    }
    urls.len()
}

#[tokio::test]
async fn every_operation_runs_on_the_direct_route_from_the_submit_to_the_result() {
    for profile in [Profile::Kie, Profile::SunoApi] {
        let (emulator, receiver) = (driven(profile).await, Receiver::start().await);
        for row in &ROWS {
            let at = format!("{profile} {}", row.path);
            let before = receiver.count();
            let answer = wire::post(&emulator, &row.url(), &row.direct(&receiver.url())).await;
            let answer = answer.json();
            assert_eq!(
                (&answer["code"], &answer["msg"]),
                (&json!(200), &json!("success")),
                "{at}"
            );
            if row.is_immediate() {
                assert!(answer["data"].is_object(), "{at}: {answer}");
                emulator.advance(Duration::from_secs(300)).await.unwrap();
                assert_eq!(receiver.count(), before, "{at}");
                continue;
            }
            let task_id = answer["data"][row.task_id_name()]
                .as_str()
                .unwrap()
                .to_owned();
            let name = row.task_id_name();
            let poll = format!("/api/v1/{}?{name}={task_id}", row.polls);
            let running = wire::get(&emulator, &poll).await.json();
            assert!(own_urls(&emulator, &running).is_empty(), "{at}: {running}");
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            assert_eq!(
                emulator.task(&task_id).unwrap().ending,
                TaskEnding::Complete,
                "{at}"
            );

            let callbacks = &receiver.received()[before..];
            let expected = if row.is_song() { 3 } else { 1 };
            assert_eq!(callbacks.len(), expected, "{at}");
            let callback = callbacks.last().unwrap().json();
            assert_eq!(callback["code"], 200, "{at}");
            assert!(callback.to_string().contains(&task_id), "{at}: {callback}");
            let record = wire::get(&emulator, &poll).await.json();
            assert_eq!(record["code"], 200, "{at}");
            let of_callback = are_served(&emulator, &callback).await;
            let of_record = are_served(&emulator, &record).await;
            let has_files = !["lyrics", "midi", "voice"]
                .iter()
                .any(|p| row.path.starts_with(p));
            assert_eq!(
                (of_callback > 0, of_record > 0),
                (has_files, has_files),
                "{at}"
            );
        }
    }
}

#[tokio::test]
async fn every_operation_runs_as_a_job_with_and_without_a_callback_url() {
    let (emulator, receiver) = (driven(Profile::Kie).await, Receiver::start().await);
    for row in &ROWS {
        for callback_url in [Some(receiver.url()), None] {
            let before = receiver.count();
            let body = row.job(callback_url.as_deref());
            let answer = wire::post(&emulator, JOBS, &body).await.json();
            if answer["code"] == 409 {
                // The operation makes its product once, also without a callback URL.
                assert!(["wav/generate", "suno/cover/generate"].contains(&row.path));
                continue;
            }
            let Some(task_id) = answer["data"]["taskId"].as_str() else {
                panic!("{}: {answer}", row.path);
            };
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            let poll = format!("/api/v1/jobs/recordInfo?taskId={task_id}");
            let record = wire::get(&emulator, &poll).await.json()["data"].clone();
            assert_eq!(record["state"], "success", "{}: {record}", row.path);
            assert_eq!(record["model"], body["model"]);
            let param: Value = serde_json::from_str(record["param"].as_str().unwrap()).unwrap();
            assert_eq!(param, body, "{}", row.path);
            let result: Value =
                serde_json::from_str(record["resultJson"].as_str().unwrap()).unwrap();
            let member = match row.path {
                "wav/generate" | "mp4/generate" | "suno/cover/generate" => "resultUrls",
                "suno/recovery" => "data",
                path if row.is_song() => {
                    assert_eq!(result["data"].as_array().unwrap().len(), 2, "{path}");
                    "data"
                }
                _ => "resultObject",
            };
            assert!(!result[member].is_null(), "{}: {result}", row.path);
            are_served(&emulator, &result).await;
            let callbacks = &receiver.received()[before..];
            assert_eq!(
                callbacks.len(),
                usize::from(callback_url.is_some()),
                "{}",
                row.path
            );
            for callback in callbacks {
                assert_eq!(callback.json()["data"], record, "{}", row.path);
            }
        }
    }
}

#[tokio::test]
async fn every_operation_can_fail_on_both_routes() {
    let (emulator, receiver) = (driven(Profile::Kie).await, Receiver::start().await);
    let headers = [("x-emulator-scenario", "fail=531")];
    for row in &ROWS {
        let before = receiver.count();
        let direct = row.direct(&receiver.url()).to_string();
        let answer = wire::post_with(&emulator, &row.url(), &headers, &direct)
            .await
            .unwrap();
        if row.is_immediate() {
            assert_eq!(answer.code(), 531, "{}", row.path);
        } else {
            assert_eq!(answer.code(), 200, "{}", row.path);
            emulator.advance(Duration::from_secs(300)).await.unwrap();
            let callback = receiver.received().last().unwrap().json();
            assert_eq!(callback["code"], 531, "{}", row.path);
            assert!(
                own_urls(&emulator, &callback).is_empty(),
                "{}: {callback}",
                row.path
            );
            assert!(receiver.count() > before);
        }
        let job = row.job(Some(&receiver.url())).to_string();
        let answer = wire::post_with(&emulator, JOBS, &headers, &job)
            .await
            .unwrap();
        assert_eq!(answer.code(), 200, "{}", row.path);
        emulator.advance(Duration::from_secs(300)).await.unwrap();
        let callback = receiver.received().last().unwrap().json();
        let data = &callback["data"];
        assert_eq!(
            (&callback["code"], &data["state"]),
            (&json!(501), &json!("fail"))
        );
        assert_eq!(
            (&data["failCode"], &data["resultJson"]),
            (&json!("531"), &Value::Null)
        );
    }
    let spent = wire::get(&emulator, "/_emulator/status").await.json();
    assert_eq!(
        spent["counts"]["credits_left"], 10_000,
        "531 refunds every price: {spent}"
    );
}

#[tokio::test]
async fn a_task_is_polled_where_its_product_is() {
    let emulator = driven(Profile::SunoApi).await;
    let body = json!({"prompt": "A lantern", "callBackUrl": "http://127.0.0.1:9/"});
    let answer = wire::post(&emulator, "/api/v1/lyrics", &body).await.json();
    let task_id = answer["data"]["taskId"].as_str().unwrap();
    assert_eq!(wire::record(&emulator, task_id).await, Value::Null);
    let poll = format!("/api/v1/lyrics/record-info?taskId={task_id}");
    assert_eq!(
        wire::get(&emulator, &poll).await.json()["data"]["status"],
        "PENDING"
    );
}

#[tokio::test]
async fn words_for_songs_alone_are_refused_elsewhere_unless_they_are_the_default() {
    let (emulator, receiver) = (driven(Profile::Kie).await, Receiver::start().await);
    let body = json!({"prompt": "A lantern", "callBackUrl": receiver.url()}).to_string();
    let headers = [("x-emulator-scenario", "drop, text=null")];
    let answer = wire::post_with(&emulator, "/api/v1/lyrics", &headers, &body)
        .await
        .unwrap();
    assert_eq!(answer.code(), 422);
    assert!(
        answer.text().contains("\\\"text\\\" is for songs only"),
        "{}",
        answer.text()
    );
    emulator
        .set_scenario("text=null, unknown-type, one-track", None)
        .unwrap();
    let answer = wire::post_with(&emulator, "/api/v1/lyrics", &[], &body)
        .await
        .unwrap();
    assert_eq!(answer.code(), 200);
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    assert_eq!(receiver.stages(), ["complete"]);
}

#[tokio::test]
async fn the_words_about_callbacks_and_requests_apply_to_every_product() {
    let (emulator, receiver) = (driven(Profile::Kie).await, Receiver::start().await);
    for (words, expected) in [
        ("drop", 0),
        ("duplicate=3", 3),
        ("forge", 2),
        ("forge-error", 2),
        ("delay=60", 1),
        ("reorder", 1),
        ("stages=none", 0),
        ("hidden=5", 1),
        ("unknown-fields", 1),
        ("random", usize::MAX),
    ] {
        for row in ROWS.iter().filter(|row| !row.is_immediate()) {
            let mut body = row.direct(&receiver.url());
            if body.get("taskId").is_some() {
                body["taskId"] = words.into();
            }
            let before = receiver.count();
            let headers = [("x-emulator-scenario", words)];
            let text = body.to_string();
            let answer = wire::post_with(&emulator, &row.url(), &headers, &text)
                .await
                .unwrap();
            assert_eq!(
                answer.code(),
                200,
                "{words} {}: {}",
                row.path,
                answer.text()
            );
            emulator.advance(Duration::from_secs(900)).await.unwrap();
            let is_song = row.is_song();
            if !is_song && expected != usize::MAX {
                assert_eq!(receiver.count() - before, expected, "{words} {}", row.path);
            }
        }
    }
}
