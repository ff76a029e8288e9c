//! What is sent, and what an answer means for its event.

use std::time::{Duration, Instant};

use suno_gateway::Next;
use suno_gateway::attempt::{KeptText, Outcome};
use suno_gateway::breaker::BreakerState;
use suno_gateway::destination::{Action, Failure, Policy};
use suno_gateway::forward::ForwardHeader;

use super::{Notes, assert_signed, builder, handler, is_retried, quick, status_of};
use crate::consumer::{Consumer, Reply, status, with_headers};
use crate::scene::{TASK, message};

#[tokio::test]
async fn a_request_has_the_body_its_signature_and_the_headers_that_were_given() {
    let consumer = Consumer::start(|_, _| status(204)).await;
    let header = ForwardHeader::new("Authorization", "Bearer abc").unwrap();
    let url = format!("{}?tenant=a%20b", consumer.url());
    let handler = builder(&url).with_header(header).build().unwrap();
    let message = message(TASK);
    let delivered = handler.deliver(&message, 1).await;
    assert_eq!(
        (delivered.next, status_of(&delivered)),
        (Next::Done, Some(204))
    );
    let [request] = &consumer.requests()[..] else {
        panic!("not one request");
    };
    assert_eq!(request.line, "POST /hook?tenant=a%20b HTTP/1.1");
    assert_eq!(request.body, message.body);
    assert_eq!(request.header("webhook-id"), message.id.as_str());
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("authorization"), "Bearer abc");
    assert_eq!(request.header("host"), consumer.address.to_string());
    assert!(request.header("user-agent").starts_with("suno-gateway/"));
    assert_signed(request);
}

#[tokio::test]
async fn an_event_that_is_sent_again_has_the_same_id_and_bytes_and_a_new_signature() {
    let consumer = Consumer::start(|number, _| match number {
        0 => status(500),
        1 => Reply::Hang,
        _ => Reply::Late(Duration::from_millis(1), Box::new(status(200))),
    })
    .await;
    let quick = Duration::from_millis(1_100);
    for number in 1..=3 {
        // A new handler each time, as after a restart.
        let handler = builder(&consumer.url())
            .with_timeout(quick)
            .build()
            .unwrap();
        let delivered = handler.deliver(&message(TASK), number).await;
        assert_eq!(is_retried(&delivered), number < 3, "{delivered:?}");
        tokio::time::sleep(Duration::from_millis(1_001)).await;
    }
    let requests = consumer.requests();
    let mut times = Vec::new();
    for request in &requests {
        assert_eq!(request.header("webhook-id"), message(TASK).id.as_str());
        assert_eq!(request.body, requests[0].body);
        assert_signed(request);
        times.push(request.header("webhook-timestamp").parse::<u64>().unwrap());
    }
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

#[tokio::test]
async fn a_consumer_that_did_the_work_and_cut_the_line_gets_the_same_id_again() {
    let consumer = Consumer::start(|number, _| match number {
        0 => Reply::Raw(Vec::new()),
        _ => status(200),
    })
    .await;
    let handler = handler(&consumer.url());
    let first = handler.deliver(&message(TASK), 1).await;
    let Outcome::NotAnswered { failure, .. } = first.attempt.as_ref().unwrap().outcome else {
        panic!("{first:?}");
    };
    assert_eq!(failure, Failure::Closed);
    assert!(is_retried(&first));
    assert!(!first.attempt.unwrap().is_resent, "the connection was new");
    let second = handler.deliver(&message(TASK), 2).await;
    assert_eq!(second.next, Next::Done);
    let requests = consumer.requests();
    let ids: Vec<&str> = requests.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!(ids, [message(TASK).id.as_str(); 2]);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_host_is_shown() {
    let elsewhere = Consumer::start(|_, _| status(200)).await;
    let location = format!(
        "location: http://localhost:{}/x?canary\r\n",
        elsewhere.address.port()
    );
    let statuses = [301, 302, 303, 307, 308];
    let consumer =
        Consumer::start(move |number, _| with_headers(statuses[number], &location)).await;
    for expected in statuses {
        let handler = builder(&consumer.url()).build().unwrap();
        let delivered = handler.deliver(&message(TASK), 1).await;
        assert!(matches!(delivered.next, Next::NotNow(_)), "{delivered:?}");
        assert_eq!(handler.state(), BreakerState::Paused);
        let Outcome::Answered(answer) = &delivered.attempt.as_ref().unwrap().outcome else {
            panic!("{delivered:?}");
        };
        assert_eq!(answer.status, expected);
        assert_eq!(answer.location_host.as_ref().unwrap().text, "localhost");
        let stored = serde_json::to_string(&delivered.attempt).unwrap();
        assert!(!stored.contains("canary"), "{stored}");
    }
    assert_eq!((consumer.count(), elsewhere.count()), (5, 0));
}

#[tokio::test]
async fn an_event_at_fault_is_a_dead_letter_after_a_few_attempts_and_the_next_goes_out() {
    let consumer = Consumer::start(|number, _| status(if number < 3 { 422 } else { 200 })).await;
    let handler = handler(&consumer.url());
    for number in 1..=3 {
        let delivered = handler.deliver(&message(TASK), number).await;
        match delivered.next {
            Next::Retry(wait) => assert!(number < 3 && wait >= Duration::from_secs(120)),
            Next::DeadLetter => assert_eq!(number, 3),
            other => panic!("{other:?}"),
        }
        assert_eq!(delivered.attempt.unwrap().action, Action::BadEvent);
    }
    assert_eq!(handler.state(), BreakerState::Closed);
    let next = handler.deliver(&message("other"), 1).await;
    assert_eq!(next.next, Next::Done);
}

#[tokio::test]
async fn a_consumer_can_refuse_a_message_for_good() {
    let answer = "webhook-delivery: abort-message\r\n";
    let consumer = Consumer::start(move |_, _| with_headers(500, answer)).await;
    let delivered = handler(&consumer.url()).deliver(&message(TASK), 1).await;
    assert_eq!(delivered.next, Next::DeadLetter);
    assert!(
        delivered.reason.contains("webhook-delivery"),
        "{}",
        delivered.reason
    );
}

#[tokio::test]
async fn the_wait_is_never_shorter_than_the_answer_asks_for() {
    let values = ["2", "-1", "999999999999999999999", "soon"];
    let consumer = Consumer::start(move |_, request| {
        let place: usize = request.header("webhook-id")[..1].parse().unwrap();
        with_headers(503, &format!("retry-after: {}\r\n", values[place]))
    })
    .await;
    let excess = Duration::from_secs(2 * 3_600);
    let first = Policy::new().backoff.bound(1);
    let bounds = [
        (Duration::from_secs(2), Duration::from_secs(2) + first),
        (Duration::ZERO, first),
        (first + excess, first + excess + first),
        (Duration::ZERO, first),
    ];
    for (place, (floor, ceiling)) in bounds.into_iter().enumerate() {
        let handler = builder(&consumer.url()).with_breaker(quick());
        let handler = handler.build().unwrap();
        let task = place.to_string();
        let delivered = handler.deliver(&message(&task), 1).await;
        let Next::Retry(wait) = delivered.next else {
            panic!("{delivered:?}");
        };
        assert!((floor..=ceiling).contains(&wait), "{place}: {wait:?}");
        // The whole destination is left alone for as long as it asked.
        let next = handler.deliver(&message(&task), 2).await;
        let is_held = matches!(next.next, Next::NotNow(_)) && next.attempt.is_none();
        assert_eq!(is_held, floor > Duration::ZERO, "{place}: {next:?}");
    }
    assert_eq!(consumer.count(), 6);
}

#[tokio::test]
async fn the_status_decides_whatever_becomes_of_the_body() {
    let notes = Notes::new();
    let replies = [
        (Reply::Drip(200, Duration::from_millis(50)), true),
        (Reply::Flood(200), true),
        (Reply::Flood(500), false),
        (Reply::Drip(500, Duration::from_millis(50)), false),
        (
            Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc".to_vec()),
            true,
        ),
        (Reply::Status(200, String::new(), vec![b'x'; 65_536]), true),
        (Reply::Status(200, String::new(), vec![b'x'; 65_537]), true),
    ];
    for (place, (reply, is_done)) in replies.into_iter().enumerate() {
        let shown = format!("{place}");
        // A flood ends by its size, long before the time for a body is over.
        let is_flood = matches!(reply, Reply::Flood(_));
        let limit = Duration::from_millis(if is_flood { 1_900 } else { 5_000 });
        let consumer = Consumer::start(move |_, _| reply.clone()).await;
        let handler = builder(&consumer.url())
            .with_observer(notes.clone())
            .build()
            .unwrap();
        let start = Instant::now();
        let delivered = handler.deliver(&message(TASK), 1).await;
        assert!(start.elapsed() < limit, "{shown}: {:?}", start.elapsed());
        assert_eq!(delivered.next == Next::Done, is_done, "{shown}");
        assert_eq!(is_retried(&delivered), !is_done, "{shown}");
    }
    for attempt in notes.attempts() {
        let Outcome::Answered(answer) = attempt.outcome else {
            panic!("{attempt:?}");
        };
        assert!(answer.body.text.len() <= KeptText::BYTES_MAX);
        assert!(answer.body.is_cut, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_tried_again_with_its_reason() {
    let flood = "x: y\r\n".repeat(100_000);
    for (reply, expected) in [
        (
            Reply::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()),
            Failure::Malformed,
        ),
        (
            Reply::Raw(format!("HTTP/1.1 200 OK\r\n{flood}\r\n").into_bytes()),
            Failure::Malformed,
        ),
        (Reply::Raw(b"HTTP/1.1 2".to_vec()), Failure::Closed),
        (Reply::Hang, Failure::TimedOut),
    ] {
        let shown = format!("{expected:?}");
        let consumer = Consumer::start(move |_, _| reply.clone()).await;
        let handler = builder(&consumer.url());
        let handler = handler
            .with_timeout(Duration::from_millis(300))
            .build()
            .unwrap();
        let delivered = handler.deliver(&message(TASK), 1).await;
        assert!(is_retried(&delivered), "{delivered:?}");
        match delivered.attempt.unwrap().outcome {
            Outcome::NotAnswered { failure, .. } => assert_eq!(failure, expected, "{shown}"),
            other => panic!("{shown}: {other:?}"),
        }
    }
    // A port where nobody listens.
    let refused = handler("http://127.0.0.1:1/")
        .deliver(&message(TASK), 1)
        .await;
    assert!(
        refused.reason.contains("Connection refused"),
        "{}",
        refused.reason
    );
}

#[tokio::test]
async fn an_informational_answer_is_not_the_answer() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let answer = format!("{early}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let consumer = Consumer::start(move |_, _| Reply::Raw(answer.clone().into_bytes())).await;
    let delivered = handler(&consumer.url()).deliver(&message(TASK), 1).await;
    assert_eq!(
        (delivered.next, status_of(&delivered)),
        (Next::Done, Some(200))
    );
}

#[tokio::test]
async fn a_consumer_whose_clock_is_off_is_paused_and_the_attempt_says_by_how_much() {
    let date = |ahead: i64| {
        let now = suno_callback::Clock::now(&suno_callback::SystemClock).as_second() + ahead;
        let time = std::time::UNIX_EPOCH + Duration::from_secs(now.unsigned_abs());
        format!("date: {}\r\n", httpdate::fmt_http_date(time))
    };
    let consumer = Consumer::start(move |number, _| match number {
        0 => with_headers(401, &date(301)),
        1 => with_headers(401, &date(-400)),
        _ => with_headers(401, &date(0)),
    })
    .await;
    for expected in [Some(300..=301), Some(-402..=-400), None] {
        let handler = builder(&consumer.url())
            .with_breaker(quick())
            .build()
            .unwrap();
        let delivered = handler.deliver(&message(TASK), 1).await;
        assert_eq!(handler.state(), BreakerState::Paused);
        let Outcome::Answered(answer) = &delivered.attempt.as_ref().unwrap().outcome else {
            panic!("{delivered:?}");
        };
        match (answer.clock_ahead_seconds, expected) {
            (Some(ahead), Some(expected)) => assert!(expected.contains(&ahead), "{ahead}"),
            (ahead, expected) => assert_eq!((ahead, expected), (None, None)),
        }
    }
}

/// The consumer answers and closes before it has read the body.
#[tokio::test]
async fn an_answer_that_comes_before_the_body_was_read_counts() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 16];
            let _ = stream.read_exact(&mut head).await;
            let answer = b"HTTP/1.1 413 X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let body = crate::scene::callback(TASK, "complete", &"x".repeat(8 << 20));
    let large = crate::scene::message_of(body.as_bytes(), Default::default()).unwrap();
    let delivered = handler(&format!("http://{address}/"))
        .deliver(&large, 1)
        .await;
    assert_eq!(status_of(&delivered), Some(413), "{delivered:?}");
}
