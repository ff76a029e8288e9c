//! How much memory waits take: measured in a process of its own, where nothing else runs.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use suno_types::TaskId;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{PENDING, TASK, client_at};

const WAITS: usize = 10_000;

/// 60 MB, for the whole process with its server.
const RESIDENT_KIB_MAX: u64 = 60_000_000 / 1024;

/// Set in the process that measures.
const MEASURING: &str = "SUNO_CLIENT_TEST_MEASURING";

#[test]
fn ten_thousand_waits_at_the_same_time_take_at_most_60_mb() {
    if std::env::var_os(MEASURING).is_some() {
        println!("resident {} KiB", measure());
        return;
    }
    let name = "memory::ten_thousand_waits_at_the_same_time_take_at_most_60_mb";
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", name, "--nocapture"])
        .env(MEASURING, "1")
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    let kib = text
        .split_once("resident ")
        .and_then(|(_, rest)| rest.split_once(" KiB"))
        .unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let kib: u64 = kib.0.parse().expect("a number");
    assert!(kib <= RESIDENT_KIB_MAX, "{kib} KiB");
    // A bound that could not be reached would say nothing.
    assert!(kib >= 10 * 1024, "{kib} KiB are less than the waits alone");
}

/// Lets all waits poll at once, again and again, and gives the peak of what was resident.
fn measure() -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let client = client_at(&format!("http://{}", listener.local_addr().expect("one")));
        let polls = Arc::new(AtomicUsize::new(0));
        tokio::spawn(accept(listener, polls.clone()));
        let mut waits = JoinSet::new();
        for number in 0..WAITS {
            let task = TaskId::new(format!("{number:032x}")).expect("an id");
            let wait = client.wait(&task, Duration::from_secs(3600));
            waits.spawn(wait.with_interval(Duration::from_millis(500)).into_future());
        }
        while polls.load(Ordering::Relaxed) < 2 * WAITS {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(waits.len(), WAITS);
        peak_kib()
    })
}

async fn accept(listener: TcpListener, polls: Arc<AtomicUsize>) {
    while let Ok((tcp, _)) = listener.accept().await {
        tokio::spawn(answer(tcp, polls.clone()));
    }
}

/// Says of every task that is asked about that it is pending.
async fn answer(tcp: TcpStream, polls: Arc<AtomicUsize>) -> Option<()> {
    let mut stream = BufReader::new(tcp);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let (_, rest) = head.split_once("taskId=")?;
        let body = PENDING.replace(TASK, rest.split(' ').next()?);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        polls.fetch_add(1, Ordering::Relaxed);
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("a peak").parse().expect("a number")
}
