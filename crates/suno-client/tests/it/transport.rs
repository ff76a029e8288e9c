//! Time limits, and where the key may go.

use std::num::NonZeroUsize;
use std::time::Duration;

use suno_client::{ApiKey, Client, ErrorKind, Timeouts};
use suno_types::Provider;

use crate::server::{Reply, Server, Then};
use crate::{KEY, PENDING, TAKEN, client, client_at, instrumental, task};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn an_answer_that_never_begins_is_ambiguous_for_a_submit() {
    let silent = || Reply::json(TAKEN).cut(0).then(Then::Hang);
    let server = Server::start([silent(), Reply::json(TAKEN)]).await;
    let client = client(&server).with_timeouts(Timeouts::new().with_headers(SHORT));
    let start = std::time::Instant::now();
    let err = client.submit(&instrumental()).await.expect_err("silence");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(err.kind(), ErrorKind::TimedOut);
    assert!(err.is_ambiguous() && !err.is_retryable());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_ends_is_ambiguous_for_a_submit() {
    let slow = Reply::json(TAKEN).cut(90).then(Then::Hang);
    let server = Server::start([slow, Reply::json(TAKEN)]).await;
    let client = client(&server).with_timeouts(Timeouts::new().with_total(SHORT));
    let start = std::time::Instant::now();
    let err = client.submit(&instrumental()).await.expect_err("slow");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(err.kind(), ErrorKind::TimedOut);
    assert!(err.is_ambiguous());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_poll_that_gets_no_answer_in_time_is_tried_again() {
    let silent = Reply::json(PENDING).cut(0).then(Then::Hang);
    let good = Reply::json(PENDING);
    let server = Server::start([silent, good.clone(), good.clone(), good]).await;
    let client = client(&server).with_timeouts(Timeouts::new().with_headers(SHORT));
    assert!(client.record(&task()).await.is_ok());
    assert!(server.asked().len() >= 2);
}

/// The server takes the connection and never says a word of TLS.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[tokio::test]
async fn a_connection_that_takes_too_long_proves_that_nothing_was_sent() {
    let server = Server::start([]).await;
    let url = server.url().replace("http://", "https://");
    let client = client_at(&url)
        .with_root_certificate(crate::tls::Authority::new().der())
        .with_retry(suno_client::Retry::new().with_attempts_max(1));
    for timeouts in [
        Timeouts::new().with_connect(SHORT),
        Timeouts::new().with_headers(SHORT),
        Timeouts::new().with_total(SHORT),
    ] {
        let client = client.clone().with_timeouts(timeouts);
        let start = std::time::Instant::now();
        let err = client.submit(&instrumental()).await.expect_err("no TLS");
        assert!(start.elapsed() < Duration::from_secs(10), "{timeouts:?}");
        assert_eq!(err.kind(), ErrorKind::Connect, "{err:?}");
        assert!(err.is_retryable() && !err.is_ambiguous());
    }
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
#[tokio::test]
async fn https_without_a_feature_for_it_is_a_clear_error() {
    let client = client_at("https://127.0.0.1:9");
    let err = client.submit(&instrumental()).await.expect_err("no TLS");
    assert_eq!(err.kind(), ErrorKind::Setting, "{err:?}");
    assert!(err.to_string().contains("aws-lc-rs"), "{err}");
    assert!(!err.is_retryable() && !err.is_ambiguous());
}

#[tokio::test]
async fn the_key_does_not_leave_this_machine_in_the_clear() {
    let new = || Client::new(Provider::Kie, ApiKey::new(KEY).expect("a key")).expect("a client");
    for url in [
        "http://api.example.com",
        "http://10.0.0.1:8080",
        "http://localhost.example.com",
        "http://[2001:db8::1]",
    ] {
        let err = new().with_base_url(url).expect_err("plain HTTP");
        assert_eq!(err.kind(), ErrorKind::Setting, "{url}");
        let told = new().dangerous_allow_plain_http();
        assert!(told.with_base_url(url).is_ok(), "{url}");
    }
    for url in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"] {
        assert!(new().with_base_url(url).is_ok(), "{url}");
    }
    let told = new().dangerous_allow_plain_http();
    for url in [
        "ftp://localhost",
        "localhost:80",
        "",
        "https://u:p@h",
        "https://h?q",
        "https://h#f",
    ] {
        assert!(told.clone().with_base_url(url).is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_name_for_this_machine_works() {
    let server = Server::start([Reply::json(TAKEN)]).await;
    let client = client_at(&format!("http://localhost:{}", server.addr.port()));
    assert!(client.submit(&instrumental()).await.is_ok());
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    let server = Server::start(vec![Reply::json(PENDING); 20]).await;
    let client = client(&server)
        .with_poll_limit(None)
        .with_connections_max(NonZeroUsize::new(3).expect("not zero"));
    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = client.clone();
        polls.spawn(async move { client.record(&task()).await.is_ok() });
    }
    assert!(polls.join_all().await.into_iter().all(|good| good));
    let highest = server.asked().iter().map(|asked| asked.connection).max();
    assert!(highest <= Some(2), "{highest:?}");
}

#[test]
fn a_key_that_cannot_be_one_is_refused_without_being_shown() {
    for key in [
        "",
        "  \n",
        "sk canary",
        "sk-canary\u{fc}",
        &"k".repeat(1025),
    ] {
        let err = ApiKey::new(key).expect_err("not a key");
        assert_eq!(err.kind(), ErrorKind::Setting);
        assert!(!format!("{err} {err:?}").contains("sk"), "{err:?}");
    }
    assert!(ApiKey::new("sk-canary\r\n").is_ok());
}
