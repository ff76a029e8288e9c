//! Serving over hyper: the answers over a real connection, and a graceful stop.

use std::sync::atomic::Ordering;
use std::time::Duration;

use suno_callback::Receiver;
use suno_callback::serve::Serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wire::{Listening, ask, closed, head, read_answer, talk, whole};

#[tokio::test]
async fn a_callback_is_answered_over_a_real_connection() {
    let address = Listening::start().await.address;
    let answer = talk(address, whole("connection: close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#"{"status":"received"}"#), "{answer}");
}

/// A sender that uses a connection again just when it is closed gets a reset, which counts against its
/// retries.
#[tokio::test]
async fn an_answer_says_for_how_long_its_connection_may_be_used_again() {
    let address = Listening::start().await.address;
    let answer = talk(address, whole("connection: close\r\n")).await;
    let promised = Serve::HEADER_TIMEOUT.as_secs() - 2;
    let hint = format!("\r\nkeep-alive: timeout={promised}\r\n");
    assert!(answer.to_ascii_lowercase().contains(&hint), "{answer}");

    let hasty = Listening::with(|serve| serve.with_header_timeout(Duration::from_secs(2))).await;
    let answer = talk(hasty.address, whole("connection: close\r\n")).await;
    assert!(
        !answer.to_ascii_lowercase().contains("keep-alive:"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_head_alone() {
    let address = Listening::start().await.address;
    let head = head("content-length: 4194305\r\n\r\n");
    let answer = talk(address, head).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_body_that_hides_its_length_is_cut_off_at_the_limit() {
    let address = Listening::start().await.address;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(&head("transfer-encoding: chunked\r\n\r\n"))
        .await
        .unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut answer = [0; 12];
    for _ in 0..65 {
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered_408() {
    let address = Listening::start().await.address;
    let answer = talk(address, head("content-length: 10\r\n\r\n{")).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_ends() {
    let listening = Listening::start().await;
    let address = listening.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    ask(&mut idle).await;
    listening.stop().await;
    closed(&mut idle).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_waits_for_the_answer_that_is_under_way() {
    let listening = Listening::start().await;
    let store = listening.store.clone();
    let storing = store.accepting.lock().await;
    let mut sender = TcpStream::connect(listening.address).await.unwrap();
    sender.write_all(&whole("")).await.unwrap();
    store.asked.notified().await;
    let stopping = tokio::spawn(listening.stop());
    tokio::task::yield_now().await;
    drop(storing);
    read_answer(&mut sender).await;
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_stop_cuts_off_what_takes_longer_than_its_grace() {
    let grace = Duration::from_millis(10);
    let listening = Listening::with(|serve| serve.with_stop_grace(grace)).await;
    let store = listening.store.clone();
    let _storing = store.accepting.lock().await;
    let mut sender = TcpStream::connect(listening.address).await.unwrap();
    sender.write_all(&whole("")).await.unwrap();
    store.asked.notified().await;
    listening.stop().await;
    // Sooner than the answer budget would end it.
    let mut answer = [0];
    let reading = tokio::time::timeout(Receiver::ANSWER_BUDGET / 2, sender.read(&mut answer));
    let read = reading.await.expect("the connection is closed");
    assert!(!matches!(read, Ok(1)), "it was answered");
}

#[tokio::test]
async fn a_server_that_is_dropped_closes_its_connections() {
    let listening = Listening::start().await;
    let mut idle = TcpStream::connect(listening.address).await.unwrap();
    ask(&mut idle).await;
    listening.abandon().await;
    closed(&mut idle).await;
}

/// The answer to one request on a connection of its own.
async fn answer(listening: &Listening, request: &str) -> String {
    talk(
        listening.address,
        request.replace('\n', "\r\n").into_bytes(),
    )
    .await
}

#[tokio::test]
async fn every_row_of_the_answer_table_holds_over_a_real_connection() {
    let listening = Listening::start().await;
    let closing = |head: &str| format!("{head}\nhost: h\nconnection: close\n");
    let rows = [
        (closing("GET /suno/callback HTTP/1.1") + "\n", 405),
        (closing("HEAD /suno/callback HTTP/1.1") + "\n", 405),
        (closing("POST /suno/callbacks HTTP/1.1") + "\n", 404),
        (closing("POST / HTTP/1.1") + "\n", 404),
        (
            closing("POST /suno/callback HTTP/1.1") + "content-type: text/xml\n\n",
            415,
        ),
        (
            closing("POST /suno/callback HTTP/1.1") + "content-length: 4194305\n\n",
            413,
        ),
        (
            closing("POST /suno/callback HTTP/1.1") + "content-encoding: gzip\n\n",
            415,
        ),
        // No signature at all, whatever the body is.
        (closing("POST /suno/callback HTTP/1.1") + "\n", 401),
        (
            closing("POST /suno/callback HTTP/1.1")
                + "content-length: 27\n\n{\"data\":{\"task_id\":\"abcd\"}}",
            401,
        ),
    ];
    for (request, status) in rows {
        let answer = answer(&listening, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}\n{answer}"
        );
        let says_what_is_allowed = answer.contains("allow: POST");
        assert_eq!(says_what_is_allowed, status == 405, "{answer}");
        assert!(!answer.contains("retry-after"), "{answer}");
    }
    listening.store.down.store(true, Ordering::SeqCst);
    let answer = talk(listening.address, whole("connection: close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 5\r\n"), "{answer}");
    listening.store.down.store(false, Ordering::SeqCst);
    listening.assert_answers().await;
    assert_eq!(listening.store.accepted.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn requests_that_are_sent_before_their_answers_are_answered_in_order() {
    let listening = Listening::start().await;
    let get = b"GET /suno/callback HTTP/1.1\r\nhost: h\r\n\r\n".to_vec();
    let pipelined = [whole(""), get, whole("connection: close\r\n")].concat();
    let answers = talk(listening.address, pipelined).await;
    let statuses: Vec<_> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["200", "405", "200"], "{answers}");
}

#[tokio::test]
async fn a_sender_that_asks_first_is_told_to_go_on_unless_its_head_is_refused() {
    let listening = Listening::start().await;
    let mut sender = TcpStream::connect(listening.address).await.unwrap();
    let all = whole("expect: 100-continue\r\n");
    let head_length = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let (head_of_all, body) = all.split_at(head_length);
    sender.write_all(head_of_all).await.unwrap();
    let mut interim = [0; 25];
    sender.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    sender.write_all(body).await.unwrap();
    read_answer(&mut sender).await;

    let large = head("expect: 100-continue\r\ncontent-length: 4194305\r\n\r\n");
    let answer = talk(listening.address, large).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_head_may_fill_its_bound_and_not_pass_it() {
    let listening = Listening::start().await;
    let with_head_of = |bytes: usize| {
        let lines =
            |padding: usize| format!("connection: close\r\nx-pad: {}\r\n", "x".repeat(padding));
        let all = whole(&lines(0));
        let head_bytes = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        whole(&lines(bytes - head_bytes))
    };
    let longest = talk(listening.address, with_head_of(Serve::HEAD_BYTES_MAX)).await;
    assert!(longest.starts_with("HTTP/1.1 200"), "{longest}");
    for more in [1, 10_000, 50_000] {
        let mut sender = TcpStream::connect(listening.address).await.unwrap();
        let mut answer = Vec::new();
        let bytes = with_head_of(Serve::HEAD_BYTES_MAX + more);
        // The answer is lost if the connection is closed before all was read.
        let sent = sender.write_all(&bytes).await;
        let read = sender.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 431")
                || (answer.is_empty() && sent.and(read.map(drop)).is_err()),
            "{more}: {answer}"
        );
    }
    assert_eq!(listening.store.accepted.lock().unwrap().len(), 1);
}
