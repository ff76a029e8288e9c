//! Files that are passed on to a player: parts of them, and only from where they may come.

use http::{HeaderValue, StatusCode};
use suno_client::{Client, ErrorKind, MediaRange};

use crate::client_at;
use crate::download::{AUDIO, Desk, MP3};
use crate::server::Reply;

fn range(range: &'static str) -> MediaRange {
    let mut wanted = MediaRange::default();
    wanted.range = Some(HeaderValue::from_static(range));
    wanted.if_range = Some(HeaderValue::from_static("\"v1\""));
    wanted
}

async fn kind(desk: &Desk, url: &str) -> ErrorKind {
    let opened = desk.client.open_media(url, &MediaRange::default()).await;
    match opened {
        Err(err) => err.kind(),
        Ok(mut opened) => loop {
            match opened.chunk().await {
                Ok(chunk) => assert!(chunk.is_some(), "nothing was refused"),
                Err(err) => break err.kind(),
            }
        },
    }
}

#[tokio::test]
async fn a_part_is_asked_for_and_passed_on_with_the_headers_that_a_player_needs() {
    let headers = [
        MP3,
        ("Content-Range", "bytes 0-1/40"),
        ("ETag", "\"v1\""),
        ("Set-Cookie", "secret=1"),
    ];
    let desk = Desk::new([Reply::new(206, &headers, &AUDIO[..2])]).await;
    let url = format!("{}/a.mp3", desk.server.url());
    let mut opened = desk
        .client
        .open_media(&url, &range("bytes=0-1"))
        .await
        .unwrap();
    assert_eq!(opened.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(opened.content_type(), "audio/mpeg");
    assert_eq!(opened.headers()["content-range"], "bytes 0-1/40");
    assert_eq!(opened.headers()["content-length"], "2");
    assert!(!opened.headers().contains_key("set-cookie"));
    assert_eq!(opened.chunk().await.unwrap().unwrap(), &AUDIO[..2]);
    assert!(opened.chunk().await.unwrap().is_none());
    let asked = &desk.server.asked()[0];
    assert_eq!(asked.header("range"), Some("bytes=0-1"));
    assert_eq!(asked.header("if-range"), Some("\"v1\""));
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_spelling() {
    let client: Client = client_at("https://api.example.com");
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:127.0.0.1]/a.mp3",
        "http://100.64.0.1/a.mp3",
        "http://2130706433/a.mp3",
        "http://0x7f.1/a.mp3",
        "http://127.0.0.1:1/a.mp3",
        "http://localhost:1/a.mp3",
        "file:///etc/passwd",
        "ftp://a.example/a.mp3",
    ] {
        let refused = client.open_media(url, &MediaRange::default()).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            ErrorKind::ForbiddenAddress,
            "{url}"
        );
    }
}

#[tokio::test]
async fn pages_and_files_that_are_too_large_are_refused_and_the_bytes_are_bounded() {
    let html = ("Content-Type", "text/html");
    let bare = |head: &str| Reply {
        bytes: format!("HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n{head}\r\n\r\n")
            .into_bytes(),
        then: crate::server::Then::KeepOpen,
    };
    let desk = Desk::new([
        Reply::new(200, &[html], b"<html>"),
        Reply::new(200, &[MP3], b"<html>"),
        bare("Content-Length: 314572800"),
        Reply::new(403, &[MP3], b""),
        Reply::new(302, &[("Location", "file:///etc/passwd")], b""),
    ])
    .await;
    let url = format!("{}/a.mp3", desk.server.url());
    assert_eq!(kind(&desk, &url).await, ErrorKind::BadFile);
    assert_eq!(kind(&desk, &url).await, ErrorKind::BadFile);
    assert_eq!(kind(&desk, &url).await, ErrorKind::TooLarge);
    assert_eq!(kind(&desk, &url).await, ErrorKind::HttpStatus);
    assert_eq!(kind(&desk, &url).await, ErrorKind::ForbiddenAddress);
}
