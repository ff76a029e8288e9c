//! Files of tracks for a player, through the service.

use std::sync::Arc;

use suno_callback::suno_client::{ApiKey, Client};
use suno_callback::{Delivery, IdempotencyStore};
use suno_gateway::admin::Admin;
use suno_types::Provider;

use super::{Answer, Running, now, store};
use crate::consumer::{Consumer, Reply, Request};
use crate::scene::TASK;

const SONG: &[u8] = b"ID3 0123456789";

/// A media host that knows ranges as far as the tests need them.
fn host(_: usize, request: &Request) -> Reply {
    let whole = |kind: &str| {
        Reply::Status(
            200,
            format!("content-type: {kind}\r\netag: \"v1\"\r\n"),
            SONG.to_vec(),
        )
    };
    let part = |from: usize, to: usize| {
        let range = format!("content-range: bytes {from}-{}/{}\r\n", to - 1, SONG.len());
        let lines = format!("content-type: audio/mpeg\r\n{range}");
        Reply::Status(206, lines, SONG[from..to].to_vec())
    };
    if request.line.contains("page") {
        return Reply::Status(
            200,
            "content-type: text/html\r\n".to_owned(),
            b"<p>".to_vec(),
        );
    }
    let range = request
        .headers
        .get("range")
        .map(|range| range.to_str().unwrap());
    let is_known = request
        .headers
        .get("if-range")
        .is_none_or(|tag| tag == "\"v1\"");
    match range.filter(|_| is_known) {
        Some("bytes=0-1") => part(0, 2),
        Some("bytes=10-") => part(10, SONG.len()),
        Some("bytes=-5") => part(SONG.len() - 5, SONG.len()),
        Some("bytes=9999999999-") => {
            let range = format!("content-range: bytes */{}\r\n", SONG.len());
            Reply::Status(416, range, Vec::new())
        }
        _ => whole("audio/mpeg"),
    }
}

/// A service with an event whose track is at a URL.
async fn service(audio: &str, image: &str, is_private: bool) -> (Running, String) {
    let store = store();
    let body = format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"complete","task_id":"{TASK}",
            "data":[{{"id":"a","audio_url":"{audio}","image_url":"{image}"}}]}}}}"#
    );
    let delivery = Delivery::decode(body.into(), now());
    store.accept(&[delivery]).await.unwrap();
    let client = Client::builder(Provider::Kie, ApiKey::new("sk-canary").unwrap());
    let client = match is_private {
        true => client.allow_private_downloads(),
        false => client,
    };
    let admin = Admin::new(Arc::clone(&store) as Arc<dyn IdempotencyStore>);
    let running = Running::start(admin.with_media(client.build().unwrap())).await;
    let list = running.get("/v1/events").await.json();
    let id = list["events"][0]["id"].as_str().unwrap();
    (running, format!("/v1/events/{id}/media"))
}

async fn ranged(running: &Running, path: &str, range: &str, if_range: &str) -> Answer {
    let headers = format!("range: {range}\r\n{if_range}");
    running.ask("GET", path, &headers, "").await
}

#[tokio::test]
async fn a_player_gets_the_parts_that_it_asks_for() {
    let host = Consumer::start(host).await;
    let (running, media) = service(&host.url(), &host.url(), true).await;
    let song = format!("{media}/0/audio");
    for (range, if_range, status, body) in [
        ("bytes=0-1", "", 206, "ID"),
        ("bytes=10-", "", 206, "6789"),
        ("bytes=-5", "", 206, "56789"),
        ("bytes=9999999999-", "", 416, ""),
        ("bytes=0-1,4-5", "", 200, "ID3 0123456789"),
        ("bytes=0-1", "if-range: \"v0\"\r\n", 200, "ID3 0123456789"),
        ("bytes=0-1", "if-range: \"v1\"\r\n", 206, "ID"),
    ] {
        let answer = ranged(&running, &song, range, if_range).await;
        assert_eq!(
            (answer.status, &*answer.body),
            (status, body),
            "{range} {if_range}"
        );
        assert_eq!(answer.headers.contains_key("content-range"), status != 200);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let whole = running.get(&song).await;
    assert_eq!(
        (whole.status, &*whole.headers["content-type"]),
        (200, "audio/mpeg")
    );
    let head = running.ask("HEAD", &song, "", "").await;
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.headers["content-length"], SONG.len().to_string());
    for missing in ["/1/audio", "/0/video", "/0/stream", "/x/audio"] {
        let answer = running.get(&format!("{media}{missing}")).await;
        assert_eq!(answer.problem(), "not-found", "{missing}");
    }
    assert!(
        host.requests()
            .iter()
            .all(|one| !one.headers.contains_key("authorization"))
    );
    running.stop().await;
}

#[tokio::test]
async fn a_page_or_a_private_address_is_refused_with_the_reason() {
    let host = Consumer::start(host).await;
    let page = format!("{}/page", host.url());
    let (running, media) = service(&page, "http://169.254.169.254/a.png", true).await;
    let answer = running.get(&format!("{media}/0/audio")).await;
    assert_eq!((answer.status, &*answer.problem()), (502, "media"));
    assert!(answer.body.contains("neither audio nor a picture"));
    running.stop().await;
    let before = host.count();
    let (running, media) = service(&host.url(), "http://169.254.169.254/a.png", false).await;
    for file in ["/0/audio", "/0/image"] {
        let answer = running.get(&format!("{media}{file}")).await;
        assert_eq!(answer.problem(), "media");
        assert!(answer.body.contains("not allowed"), "{answer:?}");
    }
    assert_eq!(host.count(), before);
    running.stop().await;
}
