//! Senders that are slow, silent or many, and a receiver that answers the others all the same.

use std::collections::VecDeque;
#[cfg(unix)]
use std::net::SocketAddr;
#[cfg(unix)]
use std::process::Stdio;
use std::time::Duration;

use suno_callback::serve::Serve;
use suno_callback::{Inbox, Receiver};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpSocket, TcpStream};
#[cfg(unix)]
use tokio::process::ChildStdout;
use tokio::time::Instant;

use crate::wire::{Listening, ask, closed, head, read_answer, talk, talk_over, whole};

/// Whole seconds since then.
fn seconds_since(start: Instant) -> u64 {
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_head_of_one_byte_a_second_is_cut_off_and_others_are_answered() {
    let listening = Listening::start().await;
    let mut slow = TcpStream::connect(listening.address).await.unwrap();
    let begun = Instant::now();
    for byte in head("x-filler: 1\r\n\r\n") {
        if slow.write_all(&[byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        listening.assert_answers().await;
    }
    let limit = Serve::HEADER_TIMEOUT.as_secs();
    let took = seconds_since(begun);
    assert!((limit..limit + 3).contains(&took), "cut off after {took} s");
}

#[tokio::test(start_paused = true)]
async fn a_body_of_one_byte_a_second_is_answered_408_and_closed() {
    let listening = Listening::start().await;
    let mut slow = TcpStream::connect(listening.address).await.unwrap();
    slow.write_all(&head("content-length: 100\r\n\r\n"))
        .await
        .unwrap();
    let begun = Instant::now();
    let (mut reading, mut writing) = slow.into_split();
    let dripping = tokio::spawn(async move {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if writing.write_all(b" ").await.is_err() {
                break;
            }
        }
    });
    let mut answer = [0; 12];
    reading.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(seconds_since(begun), Serve::BODY_TIMEOUT.as_secs());
    closed(&mut reading).await;
    dripping.abort();
    listening.assert_answers().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_a_body_took_is_not_given_once_more_to_the_store() {
    let (budget, least) = (Receiver::ANSWER_BUDGET, Receiver::STORING_MIN);
    let almost = Serve::BODY_TIMEOUT - Duration::from_secs(1);
    let cases = [
        // Here the store has had its time before the answer has.
        (Duration::ZERO, Inbox::COMMIT_TIMEOUT),
        (budget / 2, budget),
        (almost, almost + least),
    ];
    for (body_after, answered_after) in cases {
        let listening = Listening::start().await;
        let _storing = listening.store.accepting.lock().await;
        let mut slow = TcpStream::connect(listening.address).await.unwrap();
        let (begun, request) = (Instant::now(), whole(""));
        slow.write_all(&request[..request.len() - 1]).await.unwrap();
        tokio::time::sleep(body_after).await;
        slow.write_all(&request[request.len() - 1..]).await.unwrap();
        let mut answer = [0; 12];
        slow.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 503");
        assert_eq!(seconds_since(begun), answered_after.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_idle_after_its_answer_is_closed() {
    let listening = Listening::start().await;
    let mut idle = TcpStream::connect(listening.address).await.unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    ask(&mut idle).await;
    let answered = Instant::now();
    closed(&mut idle).await;
    assert_eq!(seconds_since(answered), Serve::HEADER_TIMEOUT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_never_reads_its_answers_is_cut_off() {
    let socket = TcpSocket::new_v4().unwrap();
    // Small buffers fill soon. The connections inherit them.
    socket.set_send_buffer_size(4_096).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listening = Listening::behind(socket.listen(16).unwrap(), |serve| serve);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut deaf = socket.connect(listening.address).await.unwrap();
    let (begun, request) = (Instant::now(), b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut sent = 0;
    while deaf.write_all(request).await.is_ok() {
        sent += 1;
        assert!(sent < 1_000_000, "nothing holds it back");
    }
    assert_eq!(seconds_since(begun), Serve::HEADER_TIMEOUT.as_secs());
    listening.assert_answers().await;
}

#[tokio::test]
async fn when_all_connections_are_taken_the_longest_idle_one_is_closed_for_a_new_one() {
    const CONNECTIONS_MAX: usize = 20;
    let settings = |serve: Serve| serve.with_connections_max(CONNECTIONS_MAX);
    let listening = Listening::with(settings).await;
    let mut open = VecDeque::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        ask(&mut stream).await;
        open.push_back(stream);
    }
    // The first one is used again: now the second one is idle for longest.
    ask(&mut open[0]).await;
    open.rotate_left(1);
    for _ in 0..5 {
        let mut new = TcpStream::connect(listening.address).await.unwrap();
        ask(&mut new).await;
        open.push_back(new);
        closed(&mut open.pop_front().unwrap()).await;
    }
    for stream in &mut open {
        ask(stream).await;
    }
}

#[tokio::test]
async fn many_silent_connections_at_once_do_not_keep_others_out() {
    const CONNECTIONS_MAX: usize = 100;
    let settings = |serve: Serve| serve.with_connections_max(CONNECTIONS_MAX);
    let listening = Listening::with(settings).await;
    let mut silent = Vec::new();
    for number in 0..CONNECTIONS_MAX + 50 {
        let mut stream = TcpStream::connect(listening.address).await.unwrap();
        // Some have said nothing yet, some the half of a head, some the half of a body.
        let said = match number % 3 {
            0 => Vec::new(),
            1 => b"POST /suno/callback HTTP/1.1\r\nhost: ".to_vec(),
            _ => [head("content-length: 10\r\n\r\n"), b"{".to_vec()].concat(),
        };
        // It may have been closed already, to make room for the next.
        let _ = stream.write_all(&said).await;
        silent.push(stream);
    }
    for _ in 0..10 {
        listening.assert_answers().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_is_being_stored_is_not_closed_to_make_room() {
    let listening = Listening::with(|serve| serve.with_connections_max(1)).await;
    let storing = listening.store.accepting.lock().await;
    let mut first = TcpStream::connect(listening.address).await.unwrap();
    first.write_all(&whole("")).await.unwrap();
    listening.store.asked.notified().await;
    let second = TcpStream::connect(listening.address).await.unwrap();
    let second = tokio::spawn(talk_over(second, whole("connection: close\r\n")));
    // Long enough for the server to look for room more than once.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!second.is_finished());
    drop(storing);
    read_answer(&mut first).await;
    assert!(second.await.unwrap().starts_with("HTTP/1.1 200"));
}

/// Set in a process that runs one of these tests again, to do the other half of it.
#[cfg(unix)]
const OTHER_HALF: &str = "SUNO_TEST_OTHER_HALF";

/// Runs the other half of a test in a process of its own, with a limit on its open files.
#[cfg(unix)]
fn other_half(test: &str, value: &str, limit: &str) -> tokio::process::Child {
    tokio::process::Command::new("sh")
        .args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(OTHER_HALF, value)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// What a process prints. Dropping it would fail the process.
#[cfg(unix)]
type Printed = Lines<BufReader<ChildStdout>>;

/// What stands behind `words` in a line that a process prints.
#[cfg(unix)]
async fn told(lines: &mut Printed, words: &str) -> String {
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        // The line begins with what the test harness says.
        if let Some((_, told)) = line.split_once(words) {
            return told.to_owned();
        }
    }
}

#[cfg(unix)]
async fn until_input_ends() {
    let mut input = tokio::io::stdin();
    input.read_to_end(&mut Vec::new()).await.unwrap();
}

/// The receiver runs in a process of its own that may have only so many files open.
#[cfg(unix)]
#[tokio::test]
async fn a_process_without_file_handles_closes_idle_connections() {
    if std::env::var_os(OTHER_HALF).is_some() {
        let listening = Listening::start().await;
        println!("listening on {}", listening.address);
        until_input_ends().await;
        return listening.stop().await;
    }
    let this = "slow_senders::a_process_without_file_handles_closes_idle_connections";
    let mut process = other_half(this, "receiver", "40");
    let mut printed = BufReader::new(process.stdout.take().unwrap()).lines();
    let address: SocketAddr = told(&mut printed, "listening on ").await.parse().unwrap();
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answer = talk(address, whole("connection: close\r\n"));
    let answer = tokio::time::timeout(Serve::HEADER_TIMEOUT / 2, answer).await;
    assert!(answer.unwrap().starts_with("HTTP/1.1 200"));
    drop(process.stdin.take());
    assert!(process.wait().await.unwrap().success());
}

/// The senders are in a process of their own, so that each side has its own file handles.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_connections_at_once_leave_the_receiver_answering_others() {
    const SENDERS: usize = 5_000;
    if let Ok(address) = std::env::var(OTHER_HALF) {
        let mut connecting = tokio::task::JoinSet::new();
        for number in 0..SENDERS {
            let address: SocketAddr = address.parse().unwrap();
            connecting.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let said: &[u8] = if number % 2 == 0 { b"POST /suno" } else { b"" };
                let _ = stream.write_all(said).await;
                stream
            });
        }
        let held = connecting.join_all().await;
        println!("connected {}", held.len());
        return until_input_ends().await;
    }
    let listening = Listening::start().await;
    let this =
        "slow_senders::five_thousand_connections_at_once_leave_the_receiver_answering_others";
    let address = listening.address.to_string();
    let mut senders = other_half(this, &address, "\"$(ulimit -H -n)\"");
    let mut printed = BufReader::new(senders.stdout.take().unwrap()).lines();
    let connected = tokio::spawn(async move { told(&mut printed, "connected ").await });
    let mut answered = 0;
    while !connected.is_finished() || answered < 20 {
        let begun = Instant::now();
        listening.assert_answers().await;
        let took = begun.elapsed();
        assert!(took < Serve::HEADER_TIMEOUT / 2, "answered after {took:?}");
        answered += 1;
    }
    assert_eq!(connected.await.unwrap(), SENDERS.to_string());
    listening.assert_answers().await;
}
