//! Submitting: once, whatever happens.

use std::time::Duration;

use suno_client::{ErrorKind, Limit};
use suno_types::{Request, Route};

use crate::clock::{HeldClock, until};
use crate::server::{Reply, Server, Then};
use crate::{KEY, TAKEN, TASK, builder, client, instrumental};

#[tokio::test]
async fn a_submit_that_is_taken_gives_the_task_id() {
    let server = Server::start([Reply::json(TAKEN)]).await;
    let submitted = client(&server)
        .submit(&instrumental())
        .await
        .expect("taken");
    assert_eq!(submitted.task_id.as_str(), TASK);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].line,
        "POST /api/v1/generate/add-instrumental HTTP/1.1"
    );
    assert_eq!(
        asked[0].header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    let agent = concat!("suno-client/", env!("CARGO_PKG_VERSION"));
    assert_eq!(asked[0].header("user-agent"), Some(agent));
    let body = instrumental().encode(Route::Direct).expect("a body");
    assert_eq!(asked[0].body, body);
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_is_ambiguous_and_never_asked_for_again() {
    let whole = Reply::json(TAKEN).bytes.len();
    for bytes in 0..whole {
        let server = Server::start([Reply::json(TAKEN).cut(bytes), Reply::json(TAKEN)]).await;
        let err = client(&server).submit(&instrumental()).await;
        let err = err.expect_err("an answer that was cut");
        assert!(
            err.is_ambiguous() && !err.is_retryable(),
            "{bytes}: {err:?}"
        );
        assert_eq!(err.kind(), ErrorKind::Interrupted, "{bytes}");
        assert!(err.to_string().contains("may exist"), "{err}");
        assert_eq!(server.asked().len(), 1, "{bytes}");
    }
}

#[tokio::test]
async fn a_connection_that_was_left_open_and_then_closed_is_not_a_second_submit() {
    let first = Reply::json(TAKEN).then(Then::Close);
    let server = Server::start([first, Reply::json(TAKEN), Reply::json(TAKEN)]).await;
    let client = client(&server);
    for _ in 0..2 {
        client.submit(&instrumental()).await.expect("taken");
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_request_that_was_read_on_a_kept_connection_is_not_sent_again() {
    let server = Server::start([
        Reply::json(TAKEN),
        Reply::json(TAKEN).cut(0),
        Reply::json(TAKEN),
    ])
    .await;
    let client = client(&server);
    client.submit(&instrumental()).await.expect("taken");
    let err = client.submit(&instrumental()).await.expect_err("cut");
    assert!(err.is_ambiguous(), "{err:?}");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].connection, 0, "the connection was not kept");
}

#[tokio::test]
async fn nobody_listening_is_not_ambiguous() {
    let server = Server::start([]).await;
    server.close().await;
    let err = client(&server).submit(&instrumental()).await;
    let err = err.expect_err("nobody listens");
    assert_eq!(err.kind(), ErrorKind::Connect, "{err:?}");
    assert!(err.is_retryable() && !err.is_ambiguous());
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_an_account_is_shared_by_all_clones_and_waited_for() {
    let clock = HeldClock::new();
    let server = Server::start(vec![Reply::json(TAKEN); 30]).await;
    let client = client(&server);
    let mut submits = tokio::task::JoinSet::new();
    for number in 0..21 {
        let mut client = client.clone();
        if number % 2 == 0 {
            client = client
                .to_builder()
                .answer_bytes_max(10_000)
                .build()
                .expect("a client");
        }
        submits.spawn(async move { client.submit(&instrumental()).await.is_ok() });
    }
    until(|| server.asked().len() == 20).await;
    clock.settle().await;
    clock.advance(Duration::from_millis(9_900)).await;
    assert_eq!(server.asked().len(), 20);
    clock.advance(Duration::from_millis(200)).await;
    until(|| server.asked().len() == 21).await;
    assert!(submits.join_all().await.into_iter().all(|taken| taken));
}

#[tokio::test]
async fn a_limit_can_be_taken_away() {
    let server = Server::start(vec![Reply::json(TAKEN); 50]).await;
    let client = builder(&server)
        .submit_limit(None)
        .build()
        .expect("a client");
    for _ in 0..50 {
        client.submit(&instrumental()).await.expect("taken");
    }
    let again = client
        .to_builder()
        .submit_limit(Some(Limit::new(1, Duration::from_millis(30))))
        .build()
        .expect("a client");
    let start = std::time::Instant::now();
    for _ in 0..2 {
        again
            .submit(&instrumental())
            .await
            .expect_err("the script is over");
    }
    assert!(start.elapsed() >= Duration::from_millis(30));
}

/// Whatever such a code means, it says that the request was wrong.
#[tokio::test]
async fn a_code_of_a_wrong_request_proves_that_nothing_was_done() {
    for code in [
        "400", "402", "403", "404", "409", "413", "418", "451", "499",
    ] {
        let body = format!(r#"{{"code":{code},"msg":"?","data":null}}"#);
        let server = Server::start([Reply::json(&body), Reply::json(TAKEN)]).await;
        let err = client(&server).submit(&instrumental()).await;
        let err = err.expect_err("not taken");
        assert!(
            !err.is_ambiguous() && !err.is_retryable(),
            "{code}: {err:?}"
        );
        assert_eq!(server.asked().len(), 1, "{code}");
    }
}

/// The status proves that nothing was done, but the code does not say that it may work later.
#[tokio::test]
async fn a_server_error_behind_a_refusing_status_is_not_repeated() {
    for status in [401, 403, 404, 413] {
        let json = [("content-type", "application/json")];
        let refused = Reply::new(status, &json, br#"{"code":500,"msg":"?","data":null}"#);
        let server = Server::start([refused, Reply::json(TAKEN)]).await;
        let err = client(&server).submit(&instrumental()).await;
        let err = err.expect_err("not taken");
        assert!(!err.is_ambiguous(), "{status}: {err:?}");
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_code_that_nobody_knows_is_ambiguous() {
    for code in ["0", "-1", "201", "408", "599", "20000"] {
        let body = format!(r#"{{"code":{code},"msg":"?","data":null}}"#);
        let server = Server::start([Reply::json(&body), Reply::json(TAKEN)]).await;
        let err = client(&server).submit(&instrumental()).await;
        let err = err.expect_err("not taken");
        assert!(err.is_ambiguous() && !err.is_retryable(), "{code}: {err:?}");
        assert_eq!(err.kind(), ErrorKind::Refused);
        assert_eq!(server.asked().len(), 1, "{code}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_ambiguous() {
    for bytes in [
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 xyz\r\n\r\n",
        "\0\0\0\0",
        "HTTP/1.1 200 OK\r\n\r",
    ] {
        let mut reply = Reply::json("");
        reply.bytes = bytes.into();
        let server = Server::start([reply.cut(bytes.len()), Reply::json(TAKEN)]).await;
        let err = client(&server).submit(&instrumental()).await;
        assert!(err.expect_err("not HTTP").is_ambiguous(), "{bytes:?}");
        assert_eq!(server.asked().len(), 1, "{bytes:?}");
    }
}

#[tokio::test]
async fn too_large_an_answer_is_ambiguous() {
    let server = Server::start([Reply::json(TAKEN), Reply::json(TAKEN)]).await;
    let client = builder(&server)
        .answer_bytes_max(TAKEN.len() - 1)
        .build()
        .expect("a client");
    let err = client.submit(&instrumental()).await.expect_err("too large");
    assert_eq!(err.kind(), ErrorKind::TooLarge);
    assert!(err.is_ambiguous() && !err.is_retryable(), "{err:?}");
    assert_eq!(server.asked().len(), 1);
}
