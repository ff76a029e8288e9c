//! Files of tasks through the service: parts of them, and addresses that are refused.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use suno_callback::suno_client::suno_types::Provider;
use suno_callback::suno_client::{ApiKey, Client};
use suno_callback::{Delivery, IdempotencyStore, MemoryStore};
use suno_gateway::admin::Admin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Answer, Running, now};

const FILE: &str = "ID3-0123456789";

/// A media host on loopback: `/a.mp3`, `/page`, and redirects.
async fn media_host() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let head = String::from_utf8(head).unwrap().to_lowercase();
                let answer = host_answer(&head);
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    addr
}

fn host_answer(head: &str) -> String {
    let answer = |status: &str, headers: &str, body: &str| {
        let body = if head.starts_with("head") { "" } else { body };
        format!("HTTP/1.1 {status}\r\nconnection: close\r\nset-cookie: a=b\r\n{headers}\r\n{body}")
    };
    let whole = format!(
        "content-type: audio/mpeg\r\netag: \"v1\"\r\ncontent-length: {}\r\n",
        FILE.len()
    );
    let path = head.split(' ').nth(1).unwrap_or_default();
    match path {
        "/page" => answer("200 OK", "content-type: text/html\r\n", "<html>"),
        "/lie" => answer("200 OK", "content-type: audio/mpeg\r\n", "<html>"),
        "/odd" => answer("200 OK", "content-type: application/x-odd\r\n", "odd"),
        "/away" => answer(
            "302 Found",
            "location: http://[::ffff:10.0.0.1]/a.mp3\r\n",
            "",
        ),
        "/here" => answer("302 Found", "location: /a.mp3\r\n", ""),
        "/gone" => answer("404 Not Found", "", ""),
        _ if head.contains("if-range: \"v0\"") => answer("200 OK", &whole, FILE),
        _ if head.contains("range: bytes=0-1\r") => {
            let headers =
                "content-type: audio/mpeg\r\ncontent-length: 2\r\ncontent-range: bytes 0-1/14\r\n";
            answer("206 Partial Content", headers, "ID")
        }
        _ if head.contains("range: bytes=9999999999-") => {
            let headers = "content-range: bytes */14\r\ncontent-length: 0\r\n";
            answer("416 Range Not Satisfiable", headers, "")
        }
        _ => answer("200 OK", &whole, FILE),
    }
}

pub(super) fn client(is_open: bool) -> Client {
    let builder = Client::builder(Provider::Kie, ApiKey::new("sk-demo").unwrap());
    let builder = match is_open {
        true => builder
            .allow_private_downloads()
            .dangerous_allow_plain_http(),
        false => builder,
    };
    builder.build().unwrap()
}

/// A service with one task, whose tracks have these URLs.
async fn service(client: Client, urls: &[String]) -> Running {
    let store = Arc::new(MemoryStore::new());
    let tracks: Vec<_> = urls
        .iter()
        .enumerate()
        .map(|(place, url)| json!({"id": place.to_string(), "audio_url": url, "image_url": url}))
        .collect();
    let body =
        json!({"code": 200, "data": {"callbackType": "complete", "task_id": "t", "data": tracks}});
    let delivery = Delivery::decode(body.to_string().into(), now());
    store.accept(&[delivery]).await.unwrap();
    Running::start(Admin::new(store).with_media(client)).await
}

async fn get(running: &Running, track: usize, headers: &str) -> Answer {
    let path = format!("/v1/media/1/{track}/audio");
    running.ask("GET", &path, headers, "").await
}

#[tokio::test]
async fn a_file_and_its_parts_are_passed_on_without_foreign_headers() {
    let host = media_host().await;
    let urls = ["/a.mp3", "/here", "/odd"].map(|path| format!("http://{host}{path}"));
    let running = service(client(true), &urls).await;
    for track in [0, 1] {
        let whole = get(&running, track, "").await;
        assert_eq!((whole.status, &*whole.body), (200, FILE));
        assert_eq!(whole.headers["content-type"], "audio/mpeg");
        assert_eq!(whole.headers["x-content-type-options"], "nosniff");
        assert!(!whole.headers.contains_key("set-cookie"));
    }
    let part = get(&running, 0, "range: bytes=0-1\r\n").await;
    assert_eq!((part.status, &*part.body), (206, "ID"));
    assert_eq!(part.headers["content-range"], "bytes 0-1/14");
    let beyond = get(&running, 0, "range: bytes=9999999999-\r\n").await;
    assert_eq!(beyond.status, 416);
    let other = get(&running, 0, "range: bytes=0-1\r\nif-range: \"v0\"\r\n").await;
    assert_eq!((other.status, &*other.body), (200, FILE));
    let head = running.ask("HEAD", "/v1/media/1/0/audio", "", "").await;
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.headers["content-length"], "14");
    // Nobody plays or shows what has an unknown type.
    let odd = get(&running, 2, "").await;
    assert_eq!(odd.headers["content-type"], "application/octet-stream");
    assert_eq!(running.get("/v1/media/1/0/image").await.status, 200);
    for missing in [
        "/v1/media/1/9/audio",
        "/v1/media/9/0/audio",
        "/v1/media/1/0/other",
    ] {
        assert_eq!(running.get(missing).await.status, 404, "{missing}");
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let host = media_host().await;
    let urls = ["/page", "/gone"].map(|path| format!("http://{host}{path}"));
    let running = service(client(true), &urls).await;
    for track in [0, 1] {
        let answer = get(&running, track, "").await;
        assert_eq!((answer.status, &*answer.problem()), (502, "media"));
    }
    running.stop().await;
}

#[tokio::test]
async fn private_addresses_are_refused_in_every_form_and_after_a_redirect() {
    let host = media_host().await;
    let urls = [
        format!("http://{host}/a.mp3"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::ffff:127.0.0.1]/a.mp3".to_owned(),
        "https://100.64.0.1/a.mp3".to_owned(),
        "https://2130706433/a.mp3".to_owned(),
        "https://localhost/a.mp3".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    let running = service(client(false), &urls).await;
    for (track, url) in urls.iter().enumerate() {
        let answer = get(&running, track, "").await;
        assert_eq!(answer.status, 502, "{url}");
        assert!(
            answer.body.contains("private or not allowed"),
            "{url}: {}",
            answer.body
        );
    }
    running.stop().await;
}
