//! Uploads: what is sent to the file service, byte by byte, and what is not sent at all.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use suno_client::{Client, ErrorKind, Timeouts};
use tempfile::TempDir;

use crate::server::{Asked, Reply, Server, Then};
use crate::{KEY, builder, client};

const STORED: &str = r#"{"success":true,"code":200,"msg":"File uploaded successfully","data":{
    "fileName":"hum.mp3","filePath":"suno-client/hum.mp3","fileSize":42,"mimeType":"audio/mpeg",
    "downloadUrl":"https://tempfile.example.com/s3cret/hum.mp3",
    "uploadedAt":"2026-11-28T12:00:00.000Z"}}"#;

/// A folder with a file of `bytes` bytes.
fn file(name: &str, bytes: u64) -> (TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(name);
    let content: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    std::fs::write(&path, &content).expect("a file");
    (dir, path, content)
}

/// The body as JSON, and the name in it, which is random but for its end.
fn json_of(asked: &Asked) -> (Value, String) {
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&asked.body).expect("JSON");
    let name = body["fileName"].as_str().expect("a name").to_owned();
    (body, name)
}

#[tokio::test]
async fn a_small_file_is_sent_as_base64() {
    let server = Server::start([Reply::json(STORED)]).await;
    let (_dir, path, content) = file("My hum.MP3", 42);
    let stored = client(&server).upload(&path).await.expect("stored");
    assert_eq!(stored.url, "https://tempfile.example.com/s3cret/hum.mp3");
    assert_eq!(stored.bytes, Some(42));
    assert_eq!(stored.content_type.as_deref(), Some("audio/mpeg"));
    assert!(!format!("{stored:?}").contains("s3cret"));
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /api/file-base64-upload HTTP/1.1");
    assert_eq!(
        asked.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    let (body, name) = json_of(asked);
    assert!(name.ends_with("-My-hum.mp3"), "{name}");
    let data = BASE64_STANDARD.encode(content);
    assert_eq!(
        body,
        json!({
            "base64Data": format!("data:audio/mpeg;base64,{data}"),
            "uploadPath": "suno-client",
            "fileName": name,
        })
    );
}

/// The form that should have been sent, as far as its boundary and name are known.
fn form(asked: &Asked, content_type: &str, content: &[u8]) -> Vec<u8> {
    let sent = asked.header("content-type").expect("a content type");
    let boundary = sent.strip_prefix("multipart/form-data; boundary=");
    let boundary = boundary.expect("a form");
    let text = String::from_utf8_lossy(&asked.body);
    let name = text.split("name=\"fileName\"\r\n\r\n").nth(1);
    let name = name.and_then(|rest| rest.split("\r\n").next());
    let name = name.expect("a name");
    let head = [
        format!("--{boundary}"),
        "Content-Disposition: form-data; name=\"uploadPath\"".to_owned(),
        String::new(),
        "suno-client".to_owned(),
        format!("--{boundary}"),
        "Content-Disposition: form-data; name=\"fileName\"".to_owned(),
        String::new(),
        name.to_owned(),
        format!("--{boundary}"),
        format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\""),
        format!("Content-Type: {content_type}"),
        "\r\n".to_owned(),
    ];
    let tail = format!("\r\n--{boundary}--\r\n");
    [head.join("\r\n").as_bytes(), content, tail.as_bytes()].concat()
}

#[tokio::test]
async fn a_larger_file_is_sent_as_a_form_with_its_length() {
    let server = Server::start([Reply::json(STORED)]).await;
    let (_dir, path, content) = file("hum.wav", Client::UPLOAD_BASE64_BYTES_MAX + 1);
    client(&server).upload(&path).await.expect("stored");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /api/file-stream-upload HTTP/1.1");
    assert_eq!(
        asked.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    assert_eq!(asked.header("transfer-encoding"), None);
    let length = asked.header("content-length").map(str::to_owned);
    assert_eq!(length, Some(asked.body.len().to_string()));
    assert!(
        asked.body == form(asked, "audio/wav", &content),
        "another form"
    );
}

#[tokio::test]
async fn bytes_are_sent_in_the_same_two_forms() {
    let server = Server::start(vec![Reply::json(STORED); 2]).await;
    let client = client(&server);
    let small = vec![7; Client::UPLOAD_BASE64_BYTES_MAX as usize];
    client.upload_bytes("a.flac", small).await.expect("stored");
    let large = vec![8; Client::UPLOAD_BASE64_BYTES_MAX as usize + 1];
    client
        .upload_bytes("b.xyz", large.clone())
        .await
        .expect("stored");
    let asked = server.asked();
    let (body, name) = json_of(&asked[0]);
    assert!(name.ends_with("-a.flac"), "{name}");
    let data = body["base64Data"].as_str().expect("data");
    assert!(
        data.starts_with("data:audio/flac;base64,BwcH"),
        "{}",
        &data[..40]
    );
    assert_eq!(asked[1].line, "POST /api/file-stream-upload HTTP/1.1");
    let expected = form(&asked[1], "application/octet-stream", &large);
    assert!(asked[1].body == expected, "another form");
}

#[tokio::test]
async fn the_service_can_fetch_a_file_itself() {
    let server = Server::start([Reply::json(STORED)]).await;
    let url = "https://files.example.com/a%20b/hum.m4a?sig=1";
    let client = client(&server);
    client.upload_from_url(url).await.expect("stored");
    let asked = &server.asked()[0];
    assert_eq!(asked.line, "POST /api/file-url-upload HTTP/1.1");
    let (body, name) = json_of(asked);
    assert!(name.ends_with("-hum.m4a"), "{name}");
    assert_eq!(
        body,
        json!({"fileUrl": url, "uploadPath": "suno-client", "fileName": name})
    );
    for url in [
        "hum.mp3",
        "file:///etc/passwd",
        "data:audio/mpeg;base64,AAAA",
    ] {
        let err = client.upload_from_url(url).await.expect_err("no URL");
        assert!(err.is_invalid_request(), "{url}: {err:?}");
    }
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_not_sent() {
    let server = Server::start([Reply::json(STORED)]).await;
    let client = client(&server);
    let (dir, empty, _) = file("empty.mp3", 0);
    let huge = dir.path().join("huge.mp3");
    let sparse = std::fs::File::create(&huge).expect("a file");
    sparse
        .set_len(Client::UPLOAD_BYTES_MAX + 1)
        .expect("a length");
    for (path, kind) in [
        (empty, ErrorKind::BadFile),
        (huge, ErrorKind::TooLarge),
        (dir.path().to_owned(), ErrorKind::File),
        (dir.path().join("s3cret-name.mp3"), ErrorKind::File),
    ] {
        let err = client.upload(&path).await.expect_err("not uploaded");
        assert_eq!(err.kind(), kind, "{err:?}");
        assert!(!format!("{err} {err:?}").contains("s3cret"), "{err:?}");
    }
    let none = client.upload_bytes("a.mp3", Vec::new()).await;
    assert_eq!(none.expect_err("empty").kind(), ErrorKind::BadFile);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn a_failed_upload_is_repeated_with_the_whole_file() {
    let cut = || Reply::json(STORED).cut(0);
    let busy = Reply::new(503, &[], b"<html>");
    let server = Server::start([cut(), busy, Reply::json(STORED)]).await;
    let (_dir, path, content) = file("hum.mp3", Client::UPLOAD_BASE64_BYTES_MAX + 9);
    client(&server).upload(&path).await.expect("stored");
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    for asked in &asked {
        assert!(
            asked.body == form(asked, "audio/mpeg", &content),
            "another form"
        );
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_is_not_repeated_and_never_ambiguous() {
    let (_dir, path, _) = file("hum.mp3", 42);
    let unauthorized = r#"{"success":false,"code":401,"msg":"no","data":null}"#;
    let without_url = r#"{"success":true,"code":200,"msg":"ok","data":{"fileName":"a"}}"#;
    for (body, kind) in [
        (unauthorized, ErrorKind::Unauthorized),
        (
            r#"{"success":false,"code":400,"msg":"bad"}"#,
            ErrorKind::Refused,
        ),
        (without_url, ErrorKind::UnexpectedAnswer),
        (r#"{"code":200,"data":null}"#, ErrorKind::UnexpectedAnswer),
    ] {
        let server = Server::start([Reply::json(body)]).await;
        let err = client(&server).upload(&path).await.expect_err("refused");
        assert_eq!(err.kind(), kind, "{err:?}");
        assert!(!err.is_ambiguous(), "{err:?}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn the_older_name_of_the_url_is_read_as_well() {
    let older = r#"{"code":200,"data":{"fileUrl":"https://files.example.com/a.mp3"}}"#;
    let server = Server::start([Reply::json(older)]).await;
    let stored = client(&server).upload_bytes("a.mp3", vec![1]).await;
    assert_eq!(
        stored.expect("stored").url,
        "https://files.example.com/a.mp3"
    );
}

#[tokio::test]
async fn the_file_service_can_have_an_address_of_its_own() {
    let (api, files) = (
        Server::start([]).await,
        Server::start([Reply::json(STORED)]).await,
    );
    let builder = builder(&api).upload_base_url(format!("{}/files/", files.url()));
    let client = builder.build().expect("a client");
    client.upload_bytes("a.mp3", vec![1]).await.expect("stored");
    assert!(api.asked().is_empty());
    assert_eq!(
        files.asked()[0].line,
        "POST /files/api/file-base64-upload HTTP/1.1"
    );
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_given_up_in_time() {
    let silent = Reply::json("").cut(0).then(Then::Hang);
    let server = Server::start([silent]).await;
    let client = builder(&server)
        .retry(suno_client::Retry::new().with_attempts_max(1))
        .timeouts(Timeouts::new().with_upload(Duration::from_millis(100)))
        .build()
        .expect("a client");
    let err = client
        .upload_bytes("a.mp3", vec![1])
        .await
        .expect_err("late");
    assert_eq!(err.kind(), ErrorKind::TimedOut, "{err:?}");
    assert!(err.is_retryable() && !err.is_ambiguous());
}

/// A program can upload in a task of its own.
#[test]
fn uploads_can_be_spawned() {
    fn spawned<T: Send>(_: impl Fn(Client) -> T) {}
    spawned(|client| async move { client.upload("hum.mp3").await.is_ok() });
    spawned(|client| async move { client.upload_bytes("hum.mp3", vec![1]).await.is_ok() });
    spawned(|client| async move {
        client
            .upload_from_url("https://a.example.com")
            .await
            .is_ok()
    });
    spawned(|client| async move { client.download_all(&[], "songs").await.is_empty() });
}
