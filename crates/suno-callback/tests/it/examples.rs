//! The examples do what they say: each is run here as it stands in its file.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use suno_callback::{Acceptance, Inbox, MemoryStore, Pipeline, Receiver, Verification};
use suno_emulator::{Config, Emulator};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::pipeline::told;
use crate::scene::{HandClock, KEY, NOW, WatchedStore};
use crate::submitting::client;
use crate::wire::{head, receiver, talk, until, whole};

#[path = "../../examples/actix.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod actix_application;
#[path = "../../examples/axum.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod axum_application;
#[path = "../../examples/hyper.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod hyper_server;
#[path = "../../examples/plain.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod plain_bytes;
#[path = "../../examples/vec_store.rs"]
#[expect(dead_code, reason = "its main is not called")]
mod vec_store;

/// Takes a callback, serves its own path, and refuses what it should.
async fn assert_mounted(address: SocketAddr) {
    let callback = talk(address, whole("connection: close\r\n")).await;
    assert!(callback.starts_with("HTTP/1.1 200"), "{callback}");
    assert!(callback.ends_with(r#"{"status":"received"}"#), "{callback}");
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        talk(address, request.into_bytes())
    };
    let health = get("/health").await;
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    assert!(health.ends_with("fine"), "{health}");
    assert!(get("/other").await.starts_with("HTTP/1.1 404"));
    assert!(get("/suno/callback").await.starts_with("HTTP/1.1 405"));
    let large = talk(address, head("content-length: 4194305\r\n\r\n")).await;
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
}

#[tokio::test]
async fn a_receiver_inside_a_hyper_server_takes_callbacks_beside_other_paths() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = receiver(Arc::new(WatchedStore::default()));
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(hyper_server::run(listener, receiver, until(stopped)));
    assert_mounted(address).await;
    stop.send(()).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_receiver_inside_an_axum_application_takes_callbacks_beside_other_paths() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (handler, _) = told();
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline::builder(store, handler, Verification::webhook_key(KEY))
        .receiver(|receiver| receiver.with_clock(HandClock::new()))
        .start()
        .unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = axum_application::run(listener, pipeline, "", until(stopped));
    let asserted = async {
        assert_mounted(address).await;
        stop.send(()).unwrap();
    };
    tokio::join!(server, asserted).0.unwrap();
}

#[tokio::test]
async fn an_axum_application_submits_and_gets_the_callbacks_of_its_submits() {
    let emulator = Emulator::start(Config::default().with_speed(1_000.0)).await;
    let emulator = emulator.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (handler, mut told) = told();
    // The emulator's clock is ahead by what it has run through.
    let verification = Verification::webhook_key(emulator.webhook_key().unwrap());
    let store = Arc::new(MemoryStore::new());
    let pipeline = Pipeline::builder(store, handler, verification.with_window(Duration::MAX))
        .with_client(client(&emulator, emulator.api_key()))
        .start()
        .unwrap();
    let (stop, stopped) = oneshot::channel();
    let url = format!("http://{address}");
    let server = axum_application::run(listener, pipeline, &url, until(stopped));
    let submitted = async {
        let request = "POST /songs HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\
                       content-length: 7\r\n\r\nHarbour";
        let answer = talk(address, request.into()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        for stage in ["text", "first", "complete"] {
            let event = told.recv().await.unwrap();
            assert_eq!(event.stage().as_str(), stage);
            assert!(answer.ends_with(event.task_id().as_str()), "{answer}");
        }
        stop.send(()).unwrap();
    };
    tokio::join!(server, submitted).0.unwrap();
    emulator.shutdown().await;
}

#[tokio::test]
async fn a_receiver_inside_an_actix_application_takes_callbacks_beside_other_paths() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let store = Arc::new(WatchedStore::default());
    let receiver = receiver(store.clone());
    let (started, handle) = oneshot::channel();
    let server = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let server = actix_application::server(listener, receiver).unwrap();
            started.send(server.handle()).ok().unwrap();
            server.await.unwrap();
        });
    });
    let handle = handle.await.unwrap();
    assert_mounted(address).await;
    let with_submit = whole("connection: close\r\n");
    let with_submit = String::from_utf8(with_submit).unwrap();
    let named = format!("/suno/callback/{}", "0a".repeat(16));
    let with_submit = with_submit.replacen("/suno/callback", &named, 1);
    let answer = talk(address, with_submit.into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    handle.stop(true).await;
    server.join().unwrap();
    assert_eq!(store.accepted.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn bytes_from_a_queue_are_stored_refused_or_left_for_later() {
    use plain_bytes::{Outcome, demo, take};

    let store = Arc::new(WatchedStore::default());
    let receiver = receiver(store.clone());
    let message = demo(KEY, NOW.unsigned_abs()).unwrap();
    store.down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(take(&receiver, message.clone()).await, Outcome::Later);
    store.down.store(false, std::sync::atomic::Ordering::SeqCst);
    for accepted in [Acceptance::New, Acceptance::Duplicate] {
        let outcome = take(&receiver, message.clone()).await;
        assert_eq!(outcome, Outcome::Stored(accepted));
    }
    let forged = demo("whk-of-somebody", NOW.unsigned_abs()).unwrap();
    assert_eq!(take(&receiver, forged).await, Outcome::Refused);
}

#[tokio::test]
async fn a_message_may_lie_on_the_queue_for_a_day() {
    use plain_bytes::{Outcome, demo, take, verification};

    let (inbox, clock) = (
        Inbox::start(Arc::new(WatchedStore::default())),
        HandClock::new(),
    );
    let receiver = Receiver::new(inbox, verification(KEY)).with_clock(clock.clone());
    let message = demo(KEY, NOW.unsigned_abs()).unwrap();
    clock.advance(86_400);
    let outcome = take(&receiver, message.clone()).await;
    assert_eq!(outcome, Outcome::Stored(Acceptance::New));
    clock.advance(1);
    assert_eq!(take(&receiver, message).await, Outcome::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_store_of_tasks_in_a_vec_keeps_the_contract() {
    let report = vec_store::run().await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.kept().len() > 140, "{report}");
}
