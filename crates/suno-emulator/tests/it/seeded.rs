//! Runs with the same seed are the same, byte for byte.

use std::time::Duration;

use suno_emulator::{Attempt, Config, Emulator};

use crate::receiver::{Receiver, Reply};
use crate::wire;

/// Everything that is seen of a run, without the ports, which differ.
async fn run(seed: u64) -> (Vec<Attempt>, Vec<String>, Vec<Vec<u8>>) {
    let replies = [200, 500, 200, 404, 200, 200, 503, 503, 200].map(Reply::Status);
    let receiver = Receiver::with_script(&replies).await;
    let config = Config::default()
        .with_driven_clock(1_780_000_000_000)
        .with_seed(seed)
        .with_webhook_key("whk_of_this_test")
        .with_public_base_url("http://media.example.com")
        .with_scenario("random")
        .without_rate_limits();
    let emulator = Emulator::start(config).await.unwrap();
    let mut records = Vec::new();
    for index in 0..20 {
        let task_id = wire::submit(&emulator, &receiver.url(), &format!("Song {index}")).await;
        emulator.advance(Duration::from_secs(13)).await.unwrap();
        let record = wire::record_or_null(&emulator, &task_id).await;
        records.push(record.to_string().replace(&receiver.url(), "URL"));
    }
    emulator.advance(Duration::from_secs(3000)).await.unwrap();
    let attempts = emulator.attempts().into_iter().map(|mut attempt| {
        attempt.url = attempt.url.replace(&receiver.url(), "URL");
        attempt
    });
    let media = format!("/media/{}/audio-1.wav", emulator.tasks()[0].task_id);
    let mut bodies: Vec<Vec<u8>> = receiver
        .received()
        .iter()
        .map(|callback| callback.body.to_vec())
        .collect();
    bodies.push(wire::get(&emulator, &media).await.body.to_vec());
    (attempts.collect(), records, bodies)
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let one = run(42).await;
    assert!(one.0.len() > 40, "{}", one.0.len());
    assert!(one == run(42).await, "two runs with one seed differ");
    let other = run(43).await;
    assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2);
}
