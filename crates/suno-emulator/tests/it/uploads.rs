//! Uploads of files, and the URLs at which they are served.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use suno_emulator::{Config, Emulator};

use crate::wire::{self, Answer};

async fn emulator() -> Emulator {
    let config = Config::default().with_driven_clock(1_780_000_000_000);
    Emulator::start(config.with_seed(6)).await.unwrap()
}

async fn fetch(data: &Value) -> Answer {
    let url = data["downloadUrl"].as_str().unwrap();
    wire::send(Method::GET, url, &[], "").await.unwrap()
}

#[tokio::test]
async fn a_file_in_base64_is_served_as_it_was() {
    let emulator = emulator().await;
    for data in ["UklGRiBhIHZvaWNl", "data:audio/wav;base64,UklGRiBhIHZvaWNl"] {
        let body = json!({"base64Data": data, "uploadPath": "songs/", "fileName": "a voice.wav"});
        let answer = wire::post(&emulator, "/api/file-base64-upload", &body)
            .await
            .json();
        let data = &answer["data"];
        let expected = json!({"success": true, "code": 200, "msg": "File uploaded successfully",
        "data": {
            "fileName": "a voice.wav", "filePath": "songs/a voice.wav",
            "downloadUrl": data["downloadUrl"], "fileSize": 12, "mimeType": "audio/wav",
            "uploadedAt": "2026-05-28T20:26:40.000Z",
        }});
        assert_eq!(answer, expected);
        let file = fetch(data).await;
        assert_eq!(
            (file.status, &file.body[..]),
            (StatusCode::OK, &b"RIFF a voice"[..])
        );
        assert_eq!(file.header("content-type"), "audio/wav");
    }
}

#[tokio::test]
async fn a_form_is_read_whatever_its_content_type_says() {
    let emulator = emulator().await;
    let form = "--b1\r\nContent-Disposition: form-data; name=\"uploadPath\"\r\n\r\nsongs\r\n\
        --b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../x/a.mp3\"\r\n\
        Content-Type: audio/mpeg\r\n\r\nID3\0\r\n--b1--\r\n";
    let url = format!("{}/api/file-stream-upload", emulator.base_url());
    let key = format!("Bearer {}", emulator.api_key());
    for content_type in ["multipart/form-data; boundary=b1", "application/json"] {
        let headers = [("authorization", &*key), ("content-type", content_type)];
        let answer = wire::send(Method::POST, &url, &headers, form)
            .await
            .unwrap()
            .json();
        assert_eq!(answer["data"]["filePath"], "songs/a.mp3", "{answer}");
        assert_eq!(&fetch(&answer["data"]).await.body[..], b"ID3\0");
    }
    let headers = [("authorization", &*key)];
    let answer = wire::send(Method::POST, &url, &headers, "no form")
        .await
        .unwrap()
        .json();
    assert_eq!(
        (&answer["success"], &answer["code"]),
        (&json!(false), &json!(422))
    );
}

#[tokio::test]
async fn a_url_is_not_fetched_and_music_takes_the_place_of_the_file() {
    let emulator = emulator().await;
    let body = json!({"fileUrl": "https://nobody.invalid/a.mp3", "uploadPath": "songs",
        "fileName": "a.mp3"});
    let answer = wire::post(&emulator, "/api/file-url-upload", &body)
        .await
        .json();
    let file = fetch(&answer["data"]).await;
    assert_eq!(answer["data"]["fileName"], "a.wav");
    assert_eq!(answer["data"]["fileSize"], file.body.len());
    assert!(file.body.starts_with(b"RIFF"));
}

#[tokio::test]
async fn a_file_is_never_shown_as_a_page() {
    let emulator = emulator().await;
    let body = json!({"base64Data": "PHNjcmlwdD4=", "uploadPath": "x", "fileName": "a.html"});
    let answer = wire::post(&emulator, "/api/file-base64-upload", &body)
        .await
        .json();
    let file = fetch(&answer["data"]).await;
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(file.header("content-disposition"), "attachment");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn uploads_need_the_key_and_have_bounds() {
    let emulator = emulator().await;
    let url = format!("{}/api/file-base64-upload", emulator.base_url());
    let answer = wire::send(Method::POST, &url, &[], "{}").await.unwrap();
    assert_eq!(answer.code(), 401);
    for (body, message) in [
        (json!({"uploadPath": "a"}), "Please enter base64Data."),
        (
            json!({"base64Data": "UklGRg=="}),
            "Please enter uploadPath.",
        ),
        (
            json!({"base64Data": "%", "uploadPath": "a"}),
            "base64Data is not base64.",
        ),
    ] {
        let answer = wire::post(&emulator, "/api/file-base64-upload", &body)
            .await
            .json();
        assert_eq!(
            (&answer["code"], &answer["msg"]),
            (&json!(422), &json!(message))
        );
    }
    let large = json!({"base64Data": "AAAA".repeat(500_000), "uploadPath": "a"});
    let answer = wire::post(&emulator, "/api/file-base64-upload", &large).await;
    assert_eq!(answer.code(), 200, "more than a mebibyte fits");
    let answer = wire::send(Method::POST, &url, &[], large.to_string())
        .await
        .unwrap();
    assert_eq!(
        answer.status,
        StatusCode::PAYLOAD_TOO_LARGE,
        "but not without the key"
    );
    let larger = " ".repeat(32 * 1024 * 1024 + 1);
    let answer = wire::post_with(&emulator, "/api/file-base64-upload", &[], &larger).await;
    assert_eq!(answer.unwrap().status, StatusCode::PAYLOAD_TOO_LARGE);
    let missing = wire::get(&emulator, "/files/0123/a.wav").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}
