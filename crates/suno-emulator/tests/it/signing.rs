//! Signatures (`PROTOCOL.md 3`).

use suno_emulator::{Config, Emulator, Profile, signature};

use crate::receiver::Receiver;
use crate::wire;

#[test]
fn the_signature_gives_the_published_vectors() {
    let vectors = [
        (
            "test-webhook-hmac-key",
            "ee9c2715375b7837f8bb51d641ff5863",
            "1769670760",
            "xG6/yOyrMyJtUdc1yjmHpKLHSHF3MpzOPa6uxSj3qb4=",
        ),
        (
            "whk_demo_key",
            "2fac0000000000000000000000009f72",
            "1700000000",
            "51qBb5pc1un3Y9fC53TzjcvdqxGKmq0vdR2PvnMc32U=",
        ),
        (
            "ключ-ü",
            "5c79000000000000000000000000be8e",
            "1735689600",
            "kRPvw70nacqZOWH/48EZUAD6AicWE5EMfqsLG8LvjiA=",
        ),
    ];
    for (key, task_id, timestamp, expected) in vectors {
        assert_eq!(signature(key, task_id, timestamp), expected);
    }
}

#[tokio::test]
async fn every_callback_of_kie_is_signed_with_the_key_that_is_shown() {
    let receiver = Receiver::start().await;
    let emulator = Emulator::start(Config::default().with_speed(1000.0))
        .await
        .unwrap();
    let task_id = wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.idle().await;
    let key = emulator.webhook_key().unwrap();
    assert_eq!(receiver.received().len(), 3);
    for callback in receiver.received() {
        let timestamp = callback.header("x-webhook-timestamp").unwrap();
        let expected = signature(key, &task_id, timestamp);
        assert_eq!(
            callback.header("x-webhook-signature"),
            Some(expected.as_str())
        );
    }
}

#[tokio::test]
async fn sunoapi_signs_nothing() {
    let receiver = Receiver::start().await;
    let config = Config::default()
        .with_speed(1000.0)
        .with_provider(Profile::SunoApi);
    let emulator = Emulator::start(config).await.unwrap();
    assert_eq!(emulator.webhook_key(), None);
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.idle().await;
    assert_eq!(receiver.stages(), ["text", "first", "complete"]);
    for callback in receiver.received() {
        assert_eq!(callback.header("x-webhook-timestamp"), None);
        assert_eq!(callback.header("x-webhook-signature"), None);
    }
}
