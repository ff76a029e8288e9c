//! One connection of the load: a request, its response, the next request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use suno_testkit::callback::SignedRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::load::Load;

/// The maximum size of a response, in bytes.
const ANSWER_BYTES_MAX: usize = 1_024;
/// The time before a request during which the clock is polled: tokio's timers are coarser than
/// the measured times.
const SPIN: Duration = Duration::from_millis(2);

pub(super) struct Connection {
    stream: TcpStream,
    request: SignedRequest,
    answer: Vec<u8>,
    duplicates_percent: u8,
    run: u32,
    place: usize,
    sent: u64,
    dice: fastrand::Rng,
}

impl Connection {
    pub(super) async fn open(load: &Load, run: u32, place: usize) -> Result<Self> {
        Ok(Self {
            stream: connect(load.address).await?,
            request: SignedRequest::new(load.body_bytes)?,
            answer: vec![0; ANSWER_BYTES_MAX],
            duplicates_percent: load.duplicates_percent,
            run,
            place,
            sent: 0,
            dice: fastrand::Rng::with_seed(u64::from(run) ^ place as u64),
        })
    }

    /// Closed loop: sends the next request as soon as the last is answered. Records the duration
    /// of each.
    pub(super) async fn run(&mut self, until: Instant) -> Result<Histogram<u64>> {
        let mut times = Histogram::new(3)?;
        while Instant::now() < until {
            let before = Instant::now();
            self.exchange().await?;
            times.record(before.elapsed().as_micros() as u64)?;
        }
        Ok(times)
    }

    /// Open loop: each request has an intended time, independent of earlier ones. Durations are
    /// counted from that time, so a request that is delayed by a slow response counts as late as
    /// its sender would find it (no coordinated omission).
    pub(super) async fn run_paced(
        &mut self,
        first: Instant,
        interval: Duration,
        until: Instant,
    ) -> Result<Histogram<u64>> {
        let mut times = Histogram::new(3)?;
        let mut intended = first;
        while intended < until {
            wait_for(intended).await;
            self.exchange().await?;
            times.record(intended.elapsed().as_micros() as u64)?;
            intended += interval;
        }
        Ok(times)
    }

    /// Sends this many requests, as fast as they are answered.
    pub(super) async fn send(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.exchange().await?;
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<()> {
        let task = self.next_task();
        let request = self.request.for_task(&task)?;
        self.stream.write_all(request).await?;
        read_answer(&mut self.stream, &mut self.answer).await
    }

    /// Returns the next task: a new one, or one that was sent before.
    fn next_task(&mut self) -> String {
        let event = if self.sent > 0 && self.dice.u8(0..100) < self.duplicates_percent {
            self.dice.u64(0..self.sent)
        } else {
            self.sent += 1;
            self.sent - 1
        };
        // Mixed, so that the ids are in no order, like the provider's.
        let mixed = (event ^ (self.place as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{mixed:016x}{:08x}{event:08x}", self.run)
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn wait_for(moment: Instant) {
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SPIN {
            tokio::time::sleep(left - SPIN).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

async fn read_answer(stream: &mut TcpStream, answer: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut answer[filled..]).await?;
        if read == 0 {
            bail!("the connection was closed, or the answer is too long");
        }
        filled += read;
        if is_whole(&answer[..filled])? {
            return Ok(());
        }
    }
}

/// Whether the response is complete.
///
/// # Errors
///
/// Returns an error if its status is not 200.
fn is_whole(answer: &[u8]) -> Result<bool> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = answer.windows(END.len()).position(|bytes| bytes == END) else {
        return Ok(false);
    };
    let (head, body) = (&answer[..end], &answer[end + END.len()..]);
    if !head.starts_with(b"HTTP/1.1 200") {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        bail!("answered with {}", String::from_utf8_lossy(line));
    }
    Ok(body.len() >= content_length(head).context("a response without a length")?)
}

fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        if !name.eq_ignore_ascii_case(NAME) {
            return None;
        }
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        for end in 0..answer.len() {
            assert!(!is_whole(&answer[..end]).unwrap(), "{end}");
        }
        assert!(is_whole(answer).unwrap());
    }

    #[test]
    fn an_answer_that_is_not_200_is_an_error_that_says_so() {
        let err = is_whole(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").unwrap_err();
        assert_eq!(err.to_string(), "answered with HTTP/1.1 503 Busy");
    }

    #[tokio::test]
    async fn a_slow_answer_makes_all_that_were_due_meanwhile_late() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stall = Duration::from_millis(100);
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let mut is_first = true;
            while stream.read(&mut request).await.unwrap() > 0 {
                if std::mem::take(&mut is_first) {
                    tokio::time::sleep(stall).await;
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        });
        let load = Load::closed(address, 1, stall);
        let mut connection = Connection::open(&load, 1, 0).await.unwrap();
        let started = Instant::now();
        let times = connection
            .run_paced(started, stall / 10, started + stall)
            .await
            .unwrap();
        assert_eq!(times.len(), 10);
        // Of ten requests due during the stall, the first took all of it, the sixth half of it.
        assert!(
            times.value_at_quantile(0.5) > 40_000,
            "{:?}",
            times.value_at_quantile(0.5)
        );
    }
}
