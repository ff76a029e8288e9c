//! Files of a media host that are passed on while they arrive.

use http::HeaderValue;
use suno_client::{ClientError, ErrorKind, MediaFile, MediaRequest};

use crate::builder;
use crate::download::{AUDIO, Desk, MP3};
use crate::server::{Reply, Server};

async fn open(desk: &Desk, request: &MediaRequest) -> Result<MediaFile, ClientError> {
    let url = format!("{}/media/a.mp3?sig=s3cret", desk.server.url());
    desk.client.open_media(&url, request).await
}

async fn read(mut file: MediaFile) -> Result<Vec<u8>, ClientError> {
    let mut all = Vec::new();
    while let Some(piece) = file.chunk().await? {
        all.extend(piece);
    }
    Ok(all)
}

#[tokio::test]
async fn a_part_is_asked_for_and_passed_on_without_the_key_and_foreign_headers() {
    let headers = [
        MP3,
        ("Content-Range", "bytes 0-1/42"),
        ("Set-Cookie", "a=b"),
    ];
    let desk = Desk::new([Reply::new(206, &headers, b"ID")]).await;
    let version = HeaderValue::from_static("\"v1\"");
    let request =
        MediaRequest::new().with_range(HeaderValue::from_static("bytes=0-1"), Some(version));
    let file = open(&desk, &request).await.expect("a file");
    assert_eq!(file.status(), 206);
    assert_eq!(file.headers()["content-range"], "bytes 0-1/42");
    assert!(!file.headers().contains_key("set-cookie"));
    assert!(!format!("{file:?}").contains("s3cret"));
    assert_eq!(read(file).await.expect("bytes"), b"ID");
    let asked = &desk.server.asked()[0];
    assert_eq!(asked.header("range"), Some("bytes=0-1"));
    assert_eq!(asked.header("if-range"), Some("\"v1\""));
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_a_page_and_a_refusal_are_errors() {
    let html = ("Content-Type", "text/html");
    for (reply, expected) in [
        (Reply::new(206, &[MP3], b"ID"), ErrorKind::HttpStatus),
        (Reply::new(200, &[html], b"<html>"), ErrorKind::BadFile),
        (Reply::new(404, &[], b""), ErrorKind::HttpStatus),
    ] {
        let desk = Desk::new([reply]).await;
        let opened = open(&desk, &MediaRequest::new()).await;
        assert_eq!(opened.expect_err("refused").kind(), expected);
    }
    let desk = Desk::new([Reply::new(200, &[MP3], b"<html>")]).await;
    let file = open(&desk, &MediaRequest::new()).await.expect("a file");
    assert_eq!(
        read(file).await.expect_err("a page").kind(),
        ErrorKind::BadFile
    );
}

#[tokio::test]
async fn no_more_bytes_are_passed_on_than_allowed_whatever_was_announced() {
    let bytes_max = AUDIO.len() as u64 - 1;
    let chunked = ("Transfer-Encoding", "chunked");
    let body = format!(
        "{:x}\r\n{}\r\n0\r\n\r\n",
        AUDIO.len(),
        String::from_utf8_lossy(AUDIO)
    );
    let mut silent = Reply::new(200, &[MP3, chunked], b"");
    let head = String::from_utf8_lossy(&silent.bytes).replace("Content-Length: 0\r\n", "");
    silent.bytes = format!("{head}{body}").into_bytes();
    for reply in [Reply::new(200, &[MP3], AUDIO), silent] {
        let server = Server::start([reply]).await;
        let client = builder(&server)
            .allow_private_downloads()
            .download_bytes_max(bytes_max)
            .build()
            .expect("a client");
        let url = format!("{}/a.mp3", server.url());
        let read = match client.open_media(&url, &MediaRequest::new()).await {
            Ok(file) => read(file).await,
            Err(err) => Err(err),
        };
        assert_eq!(read.expect_err("too large").kind(), ErrorKind::TooLarge);
    }
}

#[tokio::test]
async fn a_private_address_is_not_contacted() {
    let server = Server::start([Reply::new(200, &[MP3], AUDIO)]).await;
    let client = builder(&server).build().expect("a client");
    let url = format!("{}/a.mp3", server.url());
    let opened = client.open_media(&url, &MediaRequest::new()).await;
    let err = opened.expect_err("forbidden");
    assert_eq!(err.kind(), ErrorKind::ForbiddenAddress);
    assert!(server.asked().is_empty());
}
