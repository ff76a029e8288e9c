//! Time limits, and where the key may go.

use std::num::NonZeroUsize;
use std::time::Duration;

use suno_client::{ApiKey, Client, ClientBuilder, ErrorKind, Proxy, Timeouts};
use suno_types::Provider;

use crate::server::{Reply, Server, Then};
use crate::{KEY, PENDING, TAKEN, builder, builder_at, client_at, instrumental, task};

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn an_answer_that_never_begins_is_ambiguous_for_a_submit() {
    let silent = || Reply::json(TAKEN).cut(0).then(Then::Hang);
    let server = Server::start([silent(), Reply::json(TAKEN)]).await;
    let client = builder(&server)
        .timeouts(Timeouts::new().with_headers(SHORT))
        .build()
        .expect("a client");
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
    let client = builder(&server)
        .timeouts(Timeouts::new().with_total(SHORT))
        .build()
        .expect("a client");
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
    let client = builder(&server)
        .timeouts(Timeouts::new().with_headers(SHORT))
        .build()
        .expect("a client");
    assert!(client.record(&task()).await.is_ok());
    assert!(server.asked().len() >= 2);
}

/// The server takes the connection and never says a word of TLS.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
#[tokio::test]
async fn a_connection_that_takes_too_long_proves_that_nothing_was_sent() {
    let server = Server::start([]).await;
    let url = server.url().replace("http://", "https://");
    let builder = builder_at(&url)
        .root_certificate(crate::tls::Authority::new().der())
        .retry(suno_client::Retry::new().with_attempts_max(1));
    for timeouts in [
        Timeouts::new().with_connect(SHORT),
        Timeouts::new().with_headers(SHORT),
        Timeouts::new().with_total(SHORT),
    ] {
        let client = builder
            .clone()
            .timeouts(timeouts)
            .build()
            .expect("a client");
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
    for url in [
        "http://api.example.com",
        "http://10.0.0.1:8080",
        "http://localhost.example.com",
        "http://[2001:db8::1]",
    ] {
        let err = builder_at(url).build().expect_err("plain HTTP");
        assert_eq!(err.kind(), ErrorKind::Setting, "{url}");
        let allowed = builder_at(url).dangerous_allow_plain_http();
        assert!(allowed.build().is_ok(), "{url}");
    }
    for url in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"] {
        assert!(builder_at(url).build().is_ok(), "{url}");
    }
    for url in [
        "ftp://localhost",
        "localhost:80",
        "",
        "https://u:p@h",
        "https://h?q",
        "https://h#f",
    ] {
        let builder = builder_at(url).dangerous_allow_plain_http();
        assert!(builder.build().is_err(), "{url}");
    }
}

/// Applies the steps in each of their orders.
fn in_every_order(steps: &[Step]) -> Vec<ClientBuilder> {
    let key = ApiKey::new(KEY).expect("a key");
    let Some(_) = steps.first() else {
        return vec![Client::builder(Provider::Kie, key)];
    };
    let mut built = Vec::new();
    for last in 0..steps.len() {
        let mut others = steps.to_vec();
        let last = others.remove(last);
        built.extend(in_every_order(&others).into_iter().map(last));
    }
    built
}

type Step = fn(ClientBuilder) -> ClientBuilder;

#[test]
fn settings_may_come_in_any_order() {
    const STEPS: [Step; 5] = [
        |builder| builder.dangerous_allow_plain_http(),
        |builder| builder.base_url("http://gateway.example.com/suno"),
        |builder| builder.timeouts(Timeouts::new().with_total(SHORT)),
        |builder| builder.poll_limit(None),
        |builder| builder.proxy(Proxy::new("http://127.0.0.1:9").expect("a proxy")),
    ];
    let allowed = in_every_order(&STEPS);
    assert_eq!(allowed.len(), 120);
    let mut shown: Vec<String> = allowed
        .into_iter()
        .map(|builder| {
            format!(
                "{builder:?} {:?}",
                builder.clone().build().expect("allowed")
            )
        })
        .collect();
    shown.dedup();
    assert_eq!(shown.len(), 1, "{shown:#?}");
    assert!(shown[0].contains("gateway.example.com/suno/"), "{shown:?}");
    for refused in in_every_order(&STEPS[1..]) {
        let err = refused.build().expect_err("plain HTTP");
        assert_eq!(err.kind(), ErrorKind::Setting);
    }
}

#[test]
fn the_last_of_two_base_urls_counts() {
    let builder = builder_at("not a URL").base_url("http://localhost:1/last");
    let shown = format!("{:?}", builder.build().expect("a client"));
    assert!(shown.contains("localhost:1/last/"), "{shown}");
}

#[test]
fn a_base_url_that_is_refused_is_not_shown() {
    let builder = builder_at("https://user:p4ss-canary@api.example.com");
    let shown = format!("{builder:?}");
    let err = builder.build().expect_err("a password");
    let shown = format!("{shown} {err} {err:?}");
    assert!(!shown.contains("canary"), "{shown}");
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
    let client = builder(&server)
        .poll_limit(None)
        .connections_max(NonZeroUsize::new(3).expect("not zero"))
        .build()
        .expect("a client");
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
