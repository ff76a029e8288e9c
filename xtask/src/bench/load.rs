//! The load: connections that send one signed callback after the other, each waiting for its
//! answer.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use hdrhistogram::Histogram;
use suno_types::TaskId;
use suno_types::signature::WebhookKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The webhook key of the subjects.
pub(super) const KEY: &str = "whk-bench";
/// How many bytes an answer has at most.
const ANSWER_BYTES_MAX: usize = 1_024;

/// What to send.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Load {
    /// Where to
    pub address: SocketAddr,
    /// How many connections send at the same time
    pub connections: usize,
    /// For how long
    #[arg(value_parser = |text: &str| text.parse().map(Duration::from_millis))]
    pub duration: Duration,
    /// How many of a hundred deliveries were sent before
    pub duplicates_percent: u8,
}

impl Load {
    pub(super) fn arguments(&self) -> [String; 4] {
        [
            self.address.to_string(),
            self.connections.to_string(),
            self.duration.as_millis().to_string(),
            self.duplicates_percent.to_string(),
        ]
    }
}

/// Sends, and prints what came of it as one JSON object.
///
/// # Errors
///
/// If a connection breaks or an answer is not 200.
pub async fn send(load: Load) -> Result<()> {
    let started = Instant::now();
    let run = fastrand::u32(..);
    let mut connections = JoinSet::new();
    for place in 0..load.connections {
        connections.spawn(Connection::open(load, run, place).await?.run(started));
    }
    let mut all = Histogram::<u64>::new(3)?;
    while let Some(times) = connections.join_next().await {
        all.add(times??)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let micros = |quantile| all.value_at_quantile(quantile);
    let told = serde_json::json!({
        "answered": all.len(),
        "per_second": all.len() as f64 / seconds,
        "p50_micros": micros(0.5),
        "p99_micros": micros(0.99),
        "max_micros": all.max(),
    });
    writeln!(io::stdout(), "{told}")?;
    Ok(())
}

struct Connection {
    stream: TcpStream,
    load: Load,
    key: WebhookKey,
    run: u32,
    place: usize,
    sent: u64,
    dice: fastrand::Rng,
}

impl Connection {
    async fn open(load: Load, run: u32, place: usize) -> Result<Self> {
        let stream = TcpStream::connect(load.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            load,
            key: WebhookKey::new(KEY),
            run,
            place,
            sent: 0,
            dice: fastrand::Rng::with_seed(u64::from(run) ^ place as u64),
        })
    }

    async fn run(mut self, started: Instant) -> Result<Histogram<u64>> {
        let mut times = Histogram::new(3)?;
        let mut request = Vec::new();
        let mut answer = vec![0; ANSWER_BYTES_MAX];
        while started.elapsed() < self.load.duration {
            self.write_request(&mut request)?;
            let before = Instant::now();
            self.stream.write_all(&request).await?;
            self.read_answer(&mut answer).await?;
            times.record(before.elapsed().as_micros() as u64)?;
        }
        Ok(times)
    }

    /// Which event comes next: a new one, or one that was sent before.
    fn next_event(&mut self) -> u64 {
        if self.sent > 0 && self.dice.u8(0..100) < self.load.duplicates_percent {
            return self.dice.u64(0..self.sent);
        }
        self.sent += 1;
        self.sent - 1
    }

    fn write_request(&mut self, request: &mut Vec<u8>) -> Result<()> {
        let event = self.next_event();
        // Mixed, so that ids come in no order, as the provider's do.
        let mixed = (event ^ (self.place as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let task = format!("{mixed:016x}{:08x}{event:08x}", self.run);
        let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
        let signature = self.key.sign(&TaskId::new(&*task)?, now);
        let body = body(&task);
        request.clear();
        write!(
            request,
            "POST /suno/callback HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             x-webhook-timestamp: {now}\r\nx-webhook-signature: {signature}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        Ok(())
    }

    async fn read_answer(&mut self, answer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut answer[filled..]).await?;
            if read == 0 {
                bail!("the connection was closed, or the answer is too long");
            }
            filled += read;
            let text = std::str::from_utf8(&answer[..filled]).context("the answer is not text")?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() < length {
                continue;
            }
            if !head.starts_with("HTTP/1.1 200") {
                bail!("answered with {}", head.lines().next().unwrap_or_default());
            }
            return Ok(());
        }
    }
}

/// A complete callback of about 1 kB with two tracks.
fn body(task: &str) -> String {
    let track = |place: u8| {
        format!(
            r#"{{"audio_url":"https://media.example.com/{task}-{place}.mp3","createTime":1780000000000,"duration":198.44,"id":"8551d662-0000-4000-8000-00000000000{place}","image_url":"https://media.example.com/{task}-{place}.jpeg","model_name":"chirp-v5","prompt":"[Verse] Rain on the harbour lights","source_audio_url":"https://cdn.example.com/{task}-{place}.mp3","stream_audio_url":"https://stream.example.com/{task}-{place}","tags":"warm, acoustic","title":"Harbour"}}"#
        )
    };
    format!(
        r#"{{"code":200,"data":{{"callbackType":"complete","data":[{},{}],"task_id":"{task}"}},"msg":"All generated successfully."}}"#,
        track(0),
        track(1)
    )
}
