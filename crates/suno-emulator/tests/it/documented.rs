//! Bodies in the form of the provider's pages (`PROTOCOL.md 2.5`, `2.17`).

use std::time::Duration;

use suno_emulator::{Config, Emulator};

use crate::receiver::Receiver;
use crate::wire;

#[tokio::test]
async fn documented_bodies_have_text_for_times_no_tracks_in_text_and_one_in_first() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_driven_clock(1_735_689_600_000)
        .with_documented_bodies();
    let emulator = Emulator::start(config).await.unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    assert_eq!(
        wire::record(&emulator, &task_id).await["createTime"],
        "2025-01-01 00:00:00"
    );
    emulator.advance(Duration::from_secs(300)).await.unwrap();
    let tracks: Vec<_> = receiver
        .received()
        .iter()
        .map(|callback| callback.json()["data"]["data"].as_array().unwrap().clone())
        .collect();
    assert_eq!(tracks.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 2]);
    for track in tracks.iter().flatten() {
        let time = track["createTime"].as_str().unwrap();
        assert!(
            time.starts_with("2025-01-01 00:00:") && time.len() == 19,
            "{time}"
        );
        assert_ne!(track["audio_url"], "");
    }
}
