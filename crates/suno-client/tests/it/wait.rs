//! Waiting for a task, mostly on a clock that the test moves.

use std::time::Duration;

use futures_util::StreamExt;
use suno_client::{ErrorKind, Limit, Retry, Timeouts, Updates, WaitError};

use crate::clock::{HeldClock, until};
use crate::server::{Reply, Server, Then};
use crate::{INVISIBLE, PENDING, TASK, builder, client, status, task};

const MINUTES: Duration = Duration::from_secs(15 * 60);
const TICK: Duration = Duration::from_millis(1);

fn busy() -> Reply {
    Reply::json(r#"{"code":429,"msg":"Slow down.","data":null}"#)
}

fn finished() -> Reply {
    Reply::json(&status("SUCCESS", &["https://m.example.com/1.mp3"]))
}

#[tokio::test]
async fn updates_are_told_once_each_and_end_with_the_finished_task() {
    let first = status("FIRST_SUCCESS", &["https://m.example.com/1.mp3", ""]);
    let done = status(
        "SUCCESS",
        &["https://m.example.com/1.mp3", "https://m.example.com/2.mp3"],
    );
    let server = Server::start([
        Reply::json(INVISIBLE),
        Reply::json(PENDING),
        Reply::json(PENDING),
        busy(),
        Reply::json(&first),
        Reply::json(&first),
        Reply::json(&done),
    ])
    .await;
    let client = builder(&server).poll_limit(None).build().expect("a client");
    let wait = client.wait(&task(), MINUTES).with_interval(TICK);
    let heard: Vec<String> = wait
        .updates()
        .map(|update| update.expect("no error").status.as_str().to_owned())
        .collect()
        .await;
    assert_eq!(heard, ["PENDING", "FIRST_SUCCESS", "SUCCESS"]);
    assert_eq!(server.asked().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_success_in_an_unknown_shape_ends_the_wait_with_its_record() {
    let clock = HeldClock::new();
    let odd =
        r#"{"code":200,"msg":"","data":{"taskId":"TASK","status":"SUCCESS","clips":{"a":1}}}"#;
    let odd = Reply::json(&odd.replace("TASK", TASK));
    let server = Server::start(vec![odd; 5]).await;
    let waiting = tokio::spawn(client(&server).wait(&task(), MINUTES).into_future());
    for polls in 1..5 {
        until(|| server.asked().len() == polls).await;
        clock.settle().await;
        clock.advance(Duration::from_secs(33)).await;
    }
    match waiting.await.expect("no panic").expect_err("no result") {
        WaitError::WithoutResult { record, .. } => {
            assert_eq!(record.extra.json("clips"), Some(r#"{"a":1}"#));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn updates_can_be_read_one_by_one_until_there_are_none() {
    let server = Server::start([Reply::json(PENDING), finished()]).await;
    let client = builder(&server).poll_limit(None).build().expect("a client");
    let wait = client.wait(&task(), MINUTES).with_interval(TICK);
    let mut updates = wait.updates();
    let mut heard = Vec::new();
    while let Some(update) = Updates::next(&mut updates).await {
        heard.push(update.expect("no error").status.as_str().to_owned());
    }
    assert_eq!(heard, ["PENDING", "SUCCESS"]);
    assert!(updates.next().await.is_none());
}

#[tokio::test]
async fn times_without_an_end_are_no_panic() {
    let server = Server::start([Reply::json(PENDING), finished()]).await;
    let forever = Timeouts::new()
        .with_connect(Duration::MAX)
        .with_headers(Duration::MAX)
        .with_total(Duration::MAX)
        .with_stall(Duration::MAX)
        .with_download(Duration::MAX);
    let client = builder(&server)
        .timeouts(forever)
        .poll_limit(Some(Limit::new(2, Duration::MAX)))
        .build()
        .expect("a client");
    let wait = client.wait(&task(), Duration::MAX).with_interval(TICK);
    let record = wait.with_visible_within(Duration::MAX).await;
    assert_eq!(record.expect("it ends").status.as_str(), "SUCCESS");
}

#[tokio::test(start_paused = true)]
async fn polls_keep_their_interval_and_stop_when_the_wait_is_dropped() {
    let clock = HeldClock::new();
    let server = Server::start(vec![Reply::json(PENDING); 100]).await;
    let waiting = client(&server).wait(&task(), MINUTES);
    let waiting = tokio::spawn(waiting.into_future());
    for polls in 1..5 {
        until(|| server.asked().len() == polls).await;
        clock.settle().await;
        // Not before the interval is over.
        clock.advance(Duration::from_secs(29)).await;
        assert_eq!(server.asked().len(), polls);
        // And not later than a tenth after it.
        clock.advance(Duration::from_secs(4)).await;
    }
    until(|| server.asked().len() == 5).await;
    waiting.abort();
    clock.settle().await;
    clock.advance(MINUTES).await;
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_last_poll_is_made_a_tenth_of_the_time_before_the_deadline() {
    let clock = HeldClock::new();
    let server = Server::start([Reply::json(PENDING), finished()]).await;
    let wait = client(&server).wait(&task(), Duration::from_secs(20));
    let waiting = tokio::spawn(wait.into_future());
    until(|| server.asked().len() == 1).await;
    clock.settle().await;
    clock.advance(Duration::from_secs(17)).await;
    assert_eq!(server.asked().len(), 1);
    clock.advance(Duration::from_secs(1)).await;
    let record = waiting.await.expect("no panic").expect("finished in time");
    assert_eq!(record.task_id.as_str(), TASK);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_says_what_was_heard_last() {
    let clock = HeldClock::new();
    let server = Server::start(vec![Reply::json(&status("TEXT_SUCCESS", &[])); 3]).await;
    let wait = client(&server).wait(&task(), Duration::from_secs(20));
    let waiting = tokio::spawn(wait.into_future());
    until(|| server.asked().len() == 1).await;
    clock.settle().await;
    clock.advance(Duration::from_secs(18)).await;
    match waiting.await.expect("no panic").expect_err("still running") {
        WaitError::Deadline {
            task_id,
            last_status,
            source,
            ..
        } => {
            assert_eq!(task_id, task());
            assert_eq!(last_status.expect("a status").as_str(), "TEXT_SUCCESS");
            assert!(source.is_none());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_silent_provider_does_not_hold_up_the_deadline() {
    let silent = Reply::json("").cut(0).then(Then::Hang);
    let server = Server::start(vec![silent; 50]).await;
    // Without regard to the deadline one poll would take 20 s.
    let client = builder(&server)
        .poll_limit(None)
        .retry(Retry::new().with_base(TICK).with_attempts_max(50))
        .timeouts(Timeouts::new().with_total(Duration::from_millis(400)))
        .build()
        .expect("a client");
    let wait = client.wait(&task(), Duration::from_millis(10));
    let start = std::time::Instant::now();
    let err = wait.await.expect_err("no answer");
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert!(matches!(err, WaitError::Deadline { .. }), "{err:?}");
    assert_eq!(err.task_id(), &task());
    let cause = err.client_error().expect("a cause");
    assert_eq!(cause.kind(), ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_task_that_stays_invisible_is_an_error_of_its_own() {
    let server = Server::start(vec![Reply::json(INVISIBLE); 100]).await;
    let client = builder(&server).poll_limit(None).build().expect("a client");
    let wait = client
        .wait(&task(), MINUTES)
        .with_interval(TICK)
        .with_visible_within(Duration::from_millis(20));
    let err = wait.await.expect_err("nothing to see");
    assert!(matches!(err, WaitError::NotVisible { .. }), "{err:?}");
    assert_eq!(err.task_id(), &task());
    assert!(!err.is_task_failure());
}

#[tokio::test]
async fn errors_in_a_row_end_the_wait_and_keep_the_task_id() {
    let page = || Reply::new(502, &[], b"<html>");
    let server =
        Server::start([page(), page(), Reply::json(PENDING), page(), page(), page()]).await;
    let client = builder(&server)
        .poll_limit(None)
        .retry(Retry::new().with_attempts_max(1))
        .build()
        .expect("a client");
    let wait = client
        .wait(&task(), MINUTES)
        .with_interval(TICK)
        .with_errors_max(3);
    let err = wait.await.expect_err("too many errors");
    assert!(matches!(err, WaitError::CouldNotAsk { .. }), "{err:?}");
    assert_eq!(err.task_id(), &task());
    assert_eq!(
        err.client_error().expect("a cause").kind(),
        ErrorKind::Server
    );
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test]
async fn a_failed_task_and_a_failed_poll_are_told_apart() {
    let failed = PENDING.replace(r#""errorCode":null"#, r#""errorCode":531"#);
    let server = Server::start([Reply::json(&failed)]).await;
    let err = client(&server)
        .wait(&task(), MINUTES)
        .await
        .expect_err("failed");
    assert!(err.is_task_failure() && err.client_error().is_none());
    let failure = err.failure().expect("a failure");
    assert_eq!(failure.code().map(|code| code.0), Some(531));
    assert_eq!(failure.to_string(), "status PENDING, code 531");

    let server = Server::start([Reply::json(r#"{"code":401,"msg":"","data":null}"#)]).await;
    let err = client(&server)
        .wait(&task(), MINUTES)
        .await
        .expect_err("refused");
    assert!(!err.is_task_failure() && err.failure().is_none());
    assert!(err.client_error().expect("a cause").is_unauthorized());
    assert_eq!(err.task_id(), &task());
}

#[tokio::test]
async fn another_process_can_go_on_with_the_id_alone() {
    let server = Server::start([Reply::json(PENDING), Reply::json(PENDING), finished()]).await;
    let wait = client(&server).wait(&task(), Duration::from_millis(5));
    let err = wait.await.expect_err("still running");
    let id = err.task_id().to_string().parse().expect("an id");
    let record = client(&server).wait(&id, MINUTES).with_interval(TICK).await;
    assert!(record.expect("finished").is_terminal());
}
