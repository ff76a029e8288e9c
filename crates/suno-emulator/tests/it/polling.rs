//! Polls (`PROTOCOL.md 4`).

use std::time::Duration;

use serde_json::{Value, json};
use suno_emulator::{Config, Emulator};

use crate::receiver::Receiver;
use crate::wire;

const START_MS: u64 = 1_780_000_000_000;

async fn driven() -> Emulator {
    let config = Config::default().with_driven_clock(START_MS).with_seed(7);
    Emulator::start(config).await.unwrap()
}

async fn advance(emulator: &Emulator, seconds: u64) {
    emulator
        .advance(Duration::from_secs(seconds))
        .await
        .unwrap();
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[tokio::test]
async fn a_task_that_is_not_known_has_no_data() {
    let emulator = driven().await;
    let path = "/api/v1/generate/record-info?taskId=00000000000000000000000000000000";
    let answer = wire::get(&emulator, path).await;
    assert_eq!(answer.text(), r#"{"code":200,"data":null,"msg":"success"}"#);
}

#[tokio::test]
async fn a_new_task_is_pending_without_a_response() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    let record = wire::record(&emulator, &task_id).await;
    let param: Value = serde_json::from_str(record["param"].as_str().unwrap()).unwrap();
    assert_eq!(param, wire::submission(&receiver.url(), "Lantern"));
    assert_eq!(
        record,
        json!({
            "createTime": START_MS,
            "errorCode": null,
            "errorMessage": null,
            "operationType": "underpainting",
            "param": record["param"],
            "parentMusicId": "",
            "response": null,
            "status": "PENDING",
            "taskId": task_id,
            "type": "chirp-crow",
        })
    );
}

#[tokio::test]
async fn the_status_follows_the_stages() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    let mut seen = Vec::new();
    for _ in 0..120 {
        let status = wire::record(&emulator, &task_id).await["status"].clone();
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        advance(&emulator, 1).await;
    }
    assert_eq!(
        seen,
        ["PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS", "SUCCESS"]
    );
}

#[tokio::test]
async fn first_success_has_one_track_that_is_not_ready() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    advance(&emulator, 50).await;
    let record = wire::record(&emulator, &task_id).await;
    assert_eq!(record["status"], "FIRST_SUCCESS");
    assert_eq!(record["response"]["taskId"], task_id.as_str());
    let tracks = record["response"]["sunoData"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    assert!(
        tracks[0]["audioUrl"]
            .as_str()
            .unwrap()
            .starts_with(emulator.base_url())
    );
    assert_eq!(tracks[1]["audioUrl"], "");
    assert_eq!(
        keys(&tracks[1]),
        [
            "audioUrl",
            "createTime",
            "id",
            "imageUrl",
            "modelName",
            "prompt",
            "sourceImageUrl",
            "sourceStreamAudioUrl",
            "streamAudioUrl",
            "tags",
            "title"
        ]
    );
}

#[tokio::test]
async fn success_has_two_finished_tracks_in_camel_case() {
    let (emulator, receiver) = (driven().await, Receiver::start().await);
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    advance(&emulator, 200).await;
    let record = wire::record(&emulator, &task_id).await;
    assert_eq!(record["status"], "SUCCESS");
    let tracks = record["response"]["sunoData"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    assert_ne!(tracks[0]["id"], tracks[1]["id"]);
    for track in tracks {
        assert_eq!(
            keys(track),
            [
                "audioUrl",
                "createTime",
                "duration",
                "id",
                "imageUrl",
                "modelName",
                "prompt",
                "sourceAudioUrl",
                "sourceImageUrl",
                "sourceStreamAudioUrl",
                "streamAudioUrl",
                "tags",
                "title"
            ]
        );
        assert!(track["createTime"].as_u64().unwrap() > START_MS);
        assert_eq!(track["title"], "Lantern");
    }
}

#[tokio::test]
async fn the_key_is_needed_and_the_task_id_too() {
    let emulator = driven().await;
    let missing = wire::get(&emulator, "/api/v1/generate/record-info")
        .await
        .json();
    assert_eq!(
        missing,
        json!({"code": 422, "msg": "Please enter taskId.", "data": null})
    );
    let url = format!(
        "{}/api/v1/generate/record-info?taskId=1",
        emulator.base_url()
    );
    let answer = wire::send(http::Method::GET, &url, &[], "").await.unwrap();
    assert_eq!(answer.code(), 401);
}
