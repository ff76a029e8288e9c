//! Starting and ending an emulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use suno_emulator::{Config, Emulator, EmulatorError, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::receiver::Receiver;
use crate::wire;

#[tokio::test]
async fn a_port_in_use_is_an_error_that_says_what_to_do() {
    let first = Emulator::start(Config::default()).await.unwrap();
    let second = Emulator::start(Config::default().with_addr(first.addr())).await;
    let err = second.unwrap_err();
    assert!(matches!(err, EmulatorError::AddressInUse { addr } if addr == first.addr()));
    assert!(err.to_string().contains("use port 0"), "{err}");
}

#[tokio::test]
async fn an_address_that_others_can_reach_must_be_allowed() {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let refused = Emulator::start(Config::default().with_addr(any))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, EmulatorError::NotLoopback { .. }),
        "{refused}"
    );
    let allowed = Config::default()
        .with_addr(any)
        .with_public_binding_allowed();
    let emulator = Emulator::start(allowed).await.unwrap();
    assert!(
        emulator.base_url().starts_with("http://127.0.0.1:"),
        "{}",
        emulator.base_url()
    );
    assert_eq!(
        wire::get(&emulator, "/api/v1/chat/credit").await.code(),
        200
    );
}

#[tokio::test]
async fn settings_that_make_no_sense_are_named() {
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let err = Emulator::start(Config::default().with_speed(speed))
            .await
            .unwrap_err();
        assert!(err.to_string().starts_with("the setting speed"), "{err}");
    }
    let second = Duration::from_secs(1);
    let unordered = Config::default().with_stage_times(second * 3, second * 2, second);
    let err = Emulator::start(unordered).await.unwrap_err();
    assert!(err.to_string().contains("stage times"), "{err}");
}

#[tokio::test]
async fn keys_and_urls_that_cannot_work_are_named() {
    let script =
        |name: &str| Script::from_json(&format!(r#"{{"name":"{name}","steps":[]}}"#)).unwrap();
    let cases = [
        (Config::default().with_api_key(""), "API key"),
        (Config::default().with_api_key("two words"), "API key"),
        (Config::default().with_webhook_key(""), "webhook key"),
        (
            Config::default().with_public_base_url("media.example.com"),
            "public base URL",
        ),
        (
            Config::default().with_user_agent("two\nlines"),
            "user agent",
        ),
        (Config::default().with_connections_max(0), "connections"),
        (
            Config::default().with_deliveries_at_once_max(usize::MAX),
            "deliveries at once",
        ),
        (Config::default().with_tasks_kept_max(0), "tasks kept"),
        (
            Config::default().with_retry_pauses(&[Duration::ZERO; 33]),
            "retry pauses",
        ),
        (
            Config::default()
                .with_script(script("same"))
                .with_script(script("same")),
            "scripts",
        ),
        (Config::default().with_scenario("script=none"), "none"),
    ];
    for (config, name) in cases {
        let err = Emulator::start(config).await.unwrap_err();
        assert!(err.to_string().contains(name), "{err}");
    }
    let unicode = Config::default().with_webhook_key("ключ-ü");
    assert_eq!(
        Emulator::start(unicode).await.unwrap().webhook_key(),
        Some("ключ-ü")
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_too_slowly_is_broken_off() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345",
        wire::SUBMIT
    );
    for (sent, expected) in [(head.as_str(), "HTTP/1.1 408 "), ("GET / HT", "")] {
        let begun = tokio::time::Instant::now();
        let mut stream = TcpStream::connect(emulator.addr()).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(expected), "{answer}");
        assert_eq!(answer.is_empty(), expected.is_empty(), "{answer}");
        assert_eq!(begun.elapsed().as_secs(), 10, "{sent}");
    }
}

#[tokio::test]
async fn a_time_that_never_comes_holds_up_no_other_task() {
    let receiver = Receiver::start().await;
    let script = |name: &str, at_ms: u64| {
        let post = r#"{"callback_type":"complete"}"#;
        let step = format!(r#"{{"at_ms":{at_ms},"callbacks":[{post}]}}"#);
        Script::from_json(&format!(r#"{{"name":"{name}","steps":[{step}]}}"#)).unwrap()
    };
    let config = Config::default()
        .with_speed(0.001)
        .with_script(script("never", u64::MAX))
        .with_script(script("now", 0));
    let emulator = Emulator::start(config).await.unwrap();
    for name in ["never", "now"] {
        let title = format!("[emulator:script={name}] Lantern");
        wire::submit(&emulator, &receiver.url(), &title).await;
        // The pacer sees the first task before the second is there.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while receiver.received().is_empty() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "nothing is sent any more"
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn after_shutdown_the_port_is_free_and_nothing_is_sent() {
    let receiver = Receiver::start().await;
    let emulator = Emulator::start(Config::default().with_speed(100.0))
        .await
        .unwrap();
    let addr = emulator.addr();
    wire::submit(&emulator, &receiver.url(), "Lantern").await;
    emulator.shutdown().await;
    assert!(TcpStream::connect(addr).await.is_err());
    let again = Emulator::start(Config::default().with_addr(addr))
        .await
        .unwrap();
    assert_eq!(again.addr(), addr);
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_dropped_emulator_stops_listening() {
    let emulator = Emulator::start(Config::default()).await.unwrap();
    let addr = emulator.addr();
    drop(emulator);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(addr).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "it still listens");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn many_emulators_run_in_one_process_with_keys_of_their_own() {
    let one = Emulator::start(Config::default()).await.unwrap();
    let two = Emulator::start(Config::default()).await.unwrap();
    assert_ne!(one.base_url(), two.base_url());
    assert_ne!(one.api_key(), two.api_key());
    assert_ne!(one.webhook_key(), two.webhook_key());
}

#[tokio::test]
async fn debug_shows_no_key() {
    let config = Config::default()
        .with_api_key("sk_private")
        .with_webhook_key("whk_private");
    let shown = format!("{config:?}");
    let emulator = Emulator::start(config).await.unwrap();
    let shown = format!("{shown}{emulator:?}");
    assert!(!shown.contains("private"), "{shown}");
}
