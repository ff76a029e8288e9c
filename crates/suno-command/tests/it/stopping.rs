//! `suno listen` ends when it is asked to, whatever hangs, and nobody who reads slowly holds it up.

use std::io::{PipeReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use crate::process::{
    PATIENCE, Process, TASK, body, listen, listen_with, post, signed, status, talk,
};

const VERIFY: [&str; 2] = ["--webhook-key-env", "TEST_WEBHOOK_KEY"];
/// How long a stop may take that has nothing to wait for.
const SOON: Duration = Duration::from_secs(10);

fn store(dir: &tempfile::TempDir) -> std::path::PathBuf {
    dir.path().join("suno.db")
}

/// A `suno listen` whose stderr is a pipe that is full, and that nobody reads: as long as what is
/// returned lives.
fn unread(store: &Path) -> (Process, SocketAddr, PipeReader) {
    const PIPE_BYTES: usize = 64 * 1_024;
    let (unread, mut full) = std::io::pipe().unwrap();
    full.write_all(&[b'x'; PIPE_BYTES]).unwrap();
    let (process, address) = listen_with(store, &VERIFY, |command| command.stderr(full));
    (process, address, unread)
}

fn unsigned(address: SocketAddr) -> u16 {
    let request = format!(
        "POST /suno/callback HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: 2\r\n\r\n{{}}"
    );
    status(&talk(address, request.as_bytes()))
}

/// A request whose body never ends.
fn endless(address: SocketAddr) -> TcpStream {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /suno/callback HTTP/1.1\r\nhost: {address}\r\ncontent-length: 10\r\n\
         x-webhook-timestamp: {now}\r\nx-webhook-signature: {}=\r\n\r\n{{",
        "A".repeat(43)
    )
    .unwrap();
    stream
}

/// Another process that holds the store, until it is dropped.
fn held(store: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(store).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    other
}

/// Senders of a callback each, that have no answer yet.
fn send(address: SocketAddr) -> Vec<JoinHandle<()>> {
    let sender = || {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = signed(address, TASK, &body("complete"));
        stream.write_all(request.as_bytes()).unwrap();
        std::thread::spawn(move || drop(stream.read_to_end(&mut Vec::new())))
    };
    (0..4).map(|_| sender()).collect()
}

#[test]
fn stderr_that_nobody_reads_holds_up_no_callback_and_no_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (process, address, _unread) = unread(&store(&dir));
    for _ in 0..20 {
        assert_eq!(unsigned(address), 401);
    }
    assert_eq!(post(address, TASK, &body("complete")), 200);
    assert_eq!(process.json()["stage"], "complete");
    let asked = Instant::now();
    assert_eq!(process.terminate(), (0, Vec::new()));
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
}

#[test]
fn a_flood_of_refusals_is_some_lines() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, address) = listen_with(&store(&dir), &VERIFY, |command| {
        command.stderr(Stdio::piped())
    });
    for _ in 0..200 {
        assert_eq!(unsigned(address), 401);
    }
    process.signal("TERM");
    let log = process.stderr();
    let refusals = log.matches("callback rejected").count();
    assert!((1..=20).contains(&refusals), "{log}");
}

#[test]
fn a_hang_up_stops_it_as_a_termination_does() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, _) = listen(&store(&dir), &VERIFY);
    process.signal("HUP");
    assert_eq!(process.wait(), 0);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let more = [&VERIFY[..], &["--ack"]].concat();
    let (mut process, address) = listen_with(&store(&dir), &more, |command| {
        command.stdin(Stdio::piped()).stderr(Stdio::piped())
    });
    // Never acknowledged, so that the stop waits for it.
    assert_eq!(post(address, TASK, &body("complete")), 200);
    assert_eq!(process.json()["stage"], "complete");
    let asked = Instant::now();
    process.signal("TERM");
    // It stops listening first: then the signal has come.
    while TcpStream::connect(address).is_ok() {
        assert!(asked.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    process.signal("TERM");
    assert_eq!(process.wait(), 128 + 15);
    assert!(process.stderr().contains("a second signal arrived"));
}

#[test]
fn a_stop_takes_no_longer_than_it_may_although_a_request_never_ends() {
    let dir = tempfile::tempdir().unwrap();
    let more = [&VERIFY[..], &["--stop-grace", "3s"]].concat();
    let (mut process, address) = listen(&store(&dir), &more);
    let _endless = endless(address);
    let asked = Instant::now();
    process.signal("TERM");
    assert_eq!(process.wait(), 0);
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
}

#[test]
fn a_stop_takes_no_longer_than_it_may_although_another_process_holds_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let more = [&VERIFY[..], &["--stop-grace", "3s"]].concat();
    let (mut process, address) = listen(&store(&dir), &more);
    let other = held(&store(&dir));
    let senders = send(address);
    let asked = Instant::now();
    process.signal("TERM");
    process.wait();
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    drop(other);
    for sender in senders {
        sender.join().unwrap();
    }
}
