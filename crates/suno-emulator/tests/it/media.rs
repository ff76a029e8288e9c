//! Audio and covers.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::Value;
use suno_emulator::{Config, Emulator};

use crate::receiver::Receiver;
use crate::wire;

/// An emulator with one task, moved on by so many seconds, and its tracks.
async fn tracks_after(seconds: u64) -> (Emulator, Value) {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(3);
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator
        .advance(Duration::from_secs(seconds))
        .await
        .unwrap();
    let record = wire::record(&emulator, &task_id).await;
    (emulator, record["response"]["sunoData"].clone())
}

async fn fetch(url: &Value, range: Option<&str>) -> wire::Answer {
    let headers: Vec<(&str, &str)> = range.iter().map(|range| ("range", *range)).collect();
    wire::send(Method::GET, url.as_str().unwrap(), &headers, "")
        .await
        .unwrap()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[tokio::test]
async fn the_audio_is_a_wav_file_as_long_as_the_track_says() {
    let (_emulator, tracks) = tracks_after(200).await;
    for track in tracks.as_array().unwrap() {
        let answer = fetch(&track["audioUrl"], None).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("content-type"), "audio/wav");
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string()
        );
        let file = &answer.body;
        assert_eq!((&file[..4], &file[8..16]), (&b"RIFF"[..], &b"WAVEfmt "[..]));
        assert_eq!(u32_at(file, 4) as usize, file.len() - 8);
        assert_eq!(u32_at(file, 40) as usize, file.len() - 44);
        let seconds = f64::from(u32_at(file, 40)) / f64::from(u32_at(file, 28));
        assert!((seconds - track["duration"].as_f64().unwrap()).abs() < 0.001);
        let samples = file[44..]
            .chunks(2)
            .map(|b| i16::from_le_bytes([b[0], b[1]]));
        assert!(
            samples.map(i16::unsigned_abs).max().unwrap() > 5000,
            "it can be heard"
        );
    }
    let [one, two] = [&tracks[0], &tracks[1]].map(|track| &track["audioUrl"]);
    assert_ne!(fetch(one, None).await.body, fetch(two, None).await.body);
    assert_eq!(fetch(one, None).await.body, fetch(one, None).await.body);
}

#[tokio::test]
async fn a_part_of_the_audio_can_be_asked_for() {
    let (_emulator, tracks) = tracks_after(200).await;
    let url = &tracks[0]["audioUrl"];
    let whole = fetch(url, None).await.body;
    let length = whole.len();
    assert_eq!(fetch(url, None).await.header("accept-ranges"), "bytes");

    let middle = fetch(url, Some("bytes=100-199")).await;
    assert_eq!(middle.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        middle.header("content-range"),
        format!("bytes 100-199/{length}")
    );
    assert_eq!(middle.header("content-length"), "100");
    assert_eq!(middle.body, whole[100..200]);

    let rest = fetch(url, Some("bytes=1000-")).await;
    assert_eq!(
        (rest.status, &rest.body[..]),
        (StatusCode::PARTIAL_CONTENT, &whole[1000..])
    );

    let beyond = fetch(url, Some(&format!("bytes={length}-"))).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), format!("bytes */{length}"));
}

#[tokio::test]
async fn head_tells_the_length_without_the_audio() {
    let (_emulator, tracks) = tracks_after(200).await;
    let url = tracks[0]["audioUrl"].as_str().unwrap();
    let whole = wire::send(Method::GET, url, &[], "").await.unwrap();
    let head = wire::send(Method::HEAD, url, &[], "").await.unwrap();
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn the_cover_is_a_png_file() {
    let (_emulator, tracks) = tracks_after(200).await;
    let answer = fetch(&tracks[0]["imageUrl"], None).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (StatusCode::OK, "image/png")
    );
    assert!(answer.body.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(answer.body.ends_with(b"IEND\xae\x42\x60\x82"));
}

#[tokio::test]
async fn audio_that_is_not_ready_is_not_served() {
    let (emulator, tracks) = tracks_after(50).await;
    assert_eq!(
        fetch(&tracks[0]["audioUrl"], None).await.status,
        StatusCode::OK
    );
    assert_eq!(
        fetch(&tracks[1]["streamAudioUrl"], None).await.status,
        StatusCode::OK
    );
    let second = tracks[0]["audioUrl"]
        .as_str()
        .unwrap()
        .replace("audio-1", "audio-2");
    assert_eq!(
        fetch(&second.into(), None).await.status,
        StatusCode::NOT_FOUND
    );
    for path in [
        "/media/",
        "/media/x/y",
        "/media/x/audio-1.wav",
        "/media/../../etc/passwd",
    ] {
        assert_eq!(
            wire::get(&emulator, path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn audio_of_the_second_track_can_be_there_first() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(3)
        .with_scenario("second-first");
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.advance(Duration::from_secs(60)).await.unwrap();
    let status = async |name: &str| {
        let path = format!("/media/{task_id}/{name}");
        wire::get(&emulator, &path).await.status.as_u16()
    };
    let audio = [status("audio-1.wav").await, status("audio-2.wav").await];
    assert_eq!(audio, [404, 200]);
    let streams = [status("stream-1.wav").await, status("stream-2.wav").await];
    assert_eq!(streams, [200, 200]);
}
