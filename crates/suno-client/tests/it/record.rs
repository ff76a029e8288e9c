//! Asking about a task and the account.

use std::time::Duration;

use suno_client::{ErrorKind, Retry};
use suno_types::TaskStatus;

use crate::clock::{HeldClock, until};
use crate::server::{Reply, Server};
use crate::{PENDING, TASK, builder, client, task};

#[tokio::test]
async fn an_answer_cut_at_any_byte_is_asked_for_again() {
    let whole = Reply::json(PENDING).bytes.len();
    for bytes in 0..whole {
        let server = Server::start([Reply::json(PENDING).cut(bytes), Reply::json(PENDING)]).await;
        let record = client(&server).record(&task()).await;
        let record = record.expect("the second answer").expect("a record");
        assert_eq!(record.status, TaskStatus::PENDING);
        assert_eq!(server.asked().len(), 2, "{bytes}");
    }
}

#[tokio::test]
async fn an_answer_that_is_always_cut_says_that_nobody_could_be_asked() {
    let cut = || Reply::json(PENDING).cut(60);
    let server = Server::start([cut(), cut(), cut(), cut()]).await;
    let err = client(&server).record(&task()).await.expect_err("cut");
    assert_eq!(err.kind(), ErrorKind::Interrupted);
    assert!(err.is_retryable() && !err.is_ambiguous(), "{err:?}");
    assert_eq!(server.asked().len(), 4, "the attempts of the defaults");
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_is_only_taken_if_it_is_whole() {
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    for bytes in 0..=PENDING.len() {
        let mut cut = Reply::json("");
        cut.bytes = [head.as_bytes(), &PENDING.as_bytes()[..bytes]].concat();
        let length = cut.bytes.len();
        let server = Server::start([cut.cut(length)]).await;
        let client = builder(&server)
            .retry(Retry::new().with_attempts_max(1))
            .build()
            .expect("a client");
        match client.record(&task()).await {
            Ok(record) => assert!(record.is_some() && bytes == PENDING.len(), "{bytes}"),
            Err(err) => assert_eq!(err.kind(), ErrorKind::NotJson, "{bytes}"),
        }
    }
}

#[tokio::test]
async fn an_answer_about_another_task_is_refused() {
    let other = PENDING.replace(TASK, "00000000000000000000000000000000");
    let server = Server::start([Reply::json(&other)]).await;
    let err = client(&server).record(&task()).await.expect_err("another");
    assert_eq!(err.kind(), ErrorKind::UnexpectedAnswer);
}

#[tokio::test]
async fn an_answer_may_not_be_larger_than_allowed() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut endless = Reply::json("");
    endless.bytes = [chunked.to_owned(), "a\r\n0123456789\r\n".repeat(50)]
        .concat()
        .into_bytes();
    // Each of the two pieces is smaller than what is allowed.
    let mut two = Reply::json("");
    let piece = format!("3c\r\n{}\r\n", "x".repeat(60));
    two.bytes = [chunked, &piece, &piece, "0\r\n\r\n"].concat().into_bytes();
    for reply in [Reply::json(&"x".repeat(101)), endless, two] {
        let server = Server::start([reply]).await;
        let client = builder(&server)
            .answer_bytes_max(100)
            .build()
            .expect("a client");
        let err = client.record(&task()).await.expect_err("too large");
        assert_eq!(err.kind(), ErrorKind::TooLarge, "{err:?}");
        assert!(!err.is_retryable());
    }
    let server = Server::start([Reply::json(PENDING)]).await;
    let client = builder(&server)
        .answer_bytes_max(PENDING.len())
        .build()
        .expect("a client");
    assert!(client.record(&task()).await.is_ok());
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let busy = r#"{"code":429,"msg":"Slow down.","data":null}"#;
    let busy = Reply::new(200, &[("Retry-After", "1")], busy.as_bytes());
    let server = Server::start([busy, Reply::json(PENDING)]).await;
    let client = client(&server);
    let start = std::time::Instant::now();
    client.record(&task()).await.expect("the second answer");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn too_long_a_retry_after_is_handed_to_the_caller() {
    let busy = r#"{"code":429,"msg":"Slow down at https://x.example.com/?k=1","data":null}"#;
    let busy = Reply::new(429, &[("Retry-After", "3600")], busy.as_bytes());
    let server = Server::start([busy]).await;
    let err = client(&server).record(&task()).await.expect_err("busy");
    assert!(err.is_rate_limited() && err.is_retryable());
    assert_eq!(err.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(err.http_status(), Some(429));
    assert_eq!(err.msg(), Some("Slow down at <url>"));
    assert_eq!(err.to_string(), "too many requests (code 429)");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_base_url_with_a_path_is_kept_before_the_paths() {
    let credits = r#"{"code":200,"msg":"success","data":12.5}"#;
    let server = Server::start([Reply::json(credits), Reply::json(credits)]).await;
    for base in ["/gateway/suno", "/gateway/suno/"] {
        let client = crate::client_at(&format!("{}{base}", server.url()));
        assert_eq!(client.credits().await.expect("a number").0, 12.5);
    }
    for asked in server.asked() {
        assert_eq!(asked.line, "GET /gateway/suno/api/v1/chat/credit HTTP/1.1");
    }
}

#[tokio::test(start_paused = true)]
async fn one_task_is_polled_three_times_a_second_at_most() {
    let clock = HeldClock::new();
    let server = Server::start(vec![Reply::json(PENDING); 10]).await;
    let client = client(&server);
    let mut polls = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let client = client.clone();
        polls.spawn(async move { client.record(&task()).await.is_ok() });
    }
    until(|| server.asked().len() == 3).await;
    clock.settle().await;
    clock.advance(Duration::from_millis(900)).await;
    assert_eq!(server.asked().len(), 3);
    clock.advance(Duration::from_millis(200)).await;
    assert!(polls.join_all().await.into_iter().all(|polled| polled));
}
