//! Connections that are closed while the next request is on its way.

use std::time::Duration;

use suno_gateway::Next;

use super::{Notes, builder};
use crate::consumer::{Consumer, Reply, status};
use crate::scene::message;

#[tokio::test]
async fn requests_in_a_row_share_a_connection() {
    let consumer = Consumer::start(|_, _| status(200)).await;
    let handler = super::handler(&consumer.url());
    for number in 0..5 {
        let delivered = handler.deliver(&message(&number.to_string()), 1).await;
        assert_eq!(delivered.next, Next::Done);
    }
    let connections: Vec<usize> = consumer.requests().iter().map(|it| it.connection).collect();
    assert_eq!(connections, [0; 5]);
}

/// The server reads the second request of each connection, and closes instead of answering it.
#[tokio::test]
async fn a_request_that_meets_the_end_of_its_connection_is_sent_again_at_once() {
    let consumer = Consumer::start(|_, request| {
        let is_second = request.header("webhook-id").starts_with("odd");
        match is_second && request.connection % 2 == 0 {
            true => Reply::Raw(Vec::new()),
            false => status(200),
        }
    })
    .await;
    let notes = Notes::new();
    let handler = builder(&consumer.url())
        .with_observer(notes.clone())
        .build()
        .unwrap();
    for number in 0..4 {
        let task = if number % 2 == 0 { "even" } else { "odd" };
        let delivered = handler.deliver(&message(task), 1).await;
        assert_eq!(delivered.next, Next::Done, "{delivered:?}");
    }
    let resent: Vec<bool> = notes.attempts().iter().map(|it| it.is_resent).collect();
    assert_eq!(resent, [false, true, false, false]);
    assert_eq!(consumer.count(), 5, "no attempt had more than one resend");
}

/// All kept connections are closed when they are used again, and only one of them is tried.
#[tokio::test]
async fn the_second_time_is_on_a_new_connection() {
    let consumer = Consumer::start(|_, request| {
        let is_second = request.header("webhook-id").starts_with("second");
        match is_second && request.connection < 4 {
            true => Reply::Raw(Vec::new()),
            false => Reply::Late(Duration::from_millis(50), Box::new(status(200))),
        }
    })
    .await;
    let handler = super::handler(&consumer.url());
    let (a, b, c, d) = (message("a"), message("b"), message("c"), message("d"));
    let _ = tokio::join!(
        handler.deliver(&a, 1),
        handler.deliver(&b, 1),
        handler.deliver(&c, 1),
        handler.deliver(&d, 1),
    );
    let delivered = handler.deliver(&message("second"), 1).await;
    assert_eq!(delivered.next, Next::Done, "{delivered:?}");
    assert_eq!(consumer.count(), 6);
}

/// A new connection that is closed before the answer is a failure: the request may be what ends it.
#[tokio::test]
async fn a_request_is_not_sent_a_third_time() {
    let consumer = Consumer::start(|number, _| match number {
        0 => status(200),
        _ => Reply::Raw(Vec::new()),
    })
    .await;
    let handler = super::handler(&consumer.url());
    assert_eq!(handler.deliver(&message("a"), 1).await.next, Next::Done);
    let delivered = handler.deliver(&message("b"), 1).await;
    assert!(super::is_retried(&delivered));
    assert!(delivered.attempt.unwrap().is_resent);
    assert_eq!(consumer.count(), 3);
}

/// The server closes idle connections after 60 ms, and requests are sent around that moment.
#[tokio::test]
async fn a_server_that_closes_idle_connections_causes_no_failed_attempt() {
    let idle = Duration::from_millis(60);
    let consumer = Consumer::start(move |_, _| Reply::ThenClose(200, idle)).await;
    let notes = Notes::new();
    let handler = builder(&consumer.url())
        .with_idle_time(Duration::from_secs(10))
        .with_observer(notes.clone())
        .build()
        .unwrap();
    for wait in 55..65 {
        for part in 0..4 {
            let delivered = handler
                .deliver(&message(&format!("{wait}-{part}")), 1)
                .await;
            assert_eq!(delivered.next, Next::Done, "{delivered:?}");
            tokio::time::sleep(Duration::from_micros(wait * 1_000 + part * 250)).await;
        }
    }
    assert_eq!(notes.attempts().len(), 40);
    assert!(consumer.count() <= 80);
}
