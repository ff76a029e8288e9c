//! Serving over hyper: the answers over a real connection, and a graceful stop.

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

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_head_alone() {
    let address = Listening::start().await.address;
    let head = head("content-length: 1048577\r\n\r\n");
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
    for _ in 0..17 {
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
