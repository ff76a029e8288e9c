//! `cargo xtask footprint`: measures the memory of `suno listen`, and checks that it responds
//! during a flood of connections. It reads `/proc`, so it runs only on Linux.

mod subject;

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use suno_testkit::callback::{KEY, request};
use suno_testkit::http::status;
use suno_testkit::receiver::Profile;
use suno_types::signature::WebhookKey;

use self::subject::Subject;

/// Measure the memory of `suno listen`, and check that it responds during a flood of connections
///
/// Exit codes: 0 all limits were kept; 1 a limit was exceeded; 2 the test could not be run.
#[derive(Debug, Clone, clap::Args)]
pub struct Footprint {
    /// Number of open idle connections
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    connections: usize,
    /// Number of stored unhandled events
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    events: usize,
    /// Number of connections that are opened at once
    #[arg(long, value_name = "COUNT", default_value_t = 5_000)]
    flood: usize,
    /// Measure a build without optimisations
    #[arg(long)]
    debug: bool,
}

/// The maximum number of resident bytes after the first event.
const IDLE_BYTES_MAX: u64 = 20_000_000;
/// The maximum number of bytes that an open idle connection may add. hyper alone uses 11,100 of
/// them, for two buffers of 8 KiB each with some touched pages. The granularity of pages changes it
/// by 150 from run to run.
const CONNECTION_BYTES_MAX: u64 = 12_000;
/// The maximum number of bytes that the unhandled events may add.
const EVENTS_BYTES_MAX: u64 = 20_000_000;
/// The time limit for a response during the flood.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The number of connections that send events, and the number of events that each sends before it
/// reads the responses.
const SENDERS: usize = 16;
const PIPELINED: usize = 25;

impl Footprint {
    /// Measures each figure in its own process, and prints the results. Returns false if a limit is
    /// exceeded.
    ///
    /// # Errors
    ///
    /// Returns an error if the receiver cannot be built or started, or does not respond.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool> {
        let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
        let profile = match self.debug {
            true => Profile::Debug,
            false => Profile::Release,
        };
        let start = |name: &str| Subject::start(&dir.path().join(name), profile);
        let idle = idle(&start("idle.db")?)?;
        let connection = of_a_connection(&start("connections.db")?, self.connections)?;
        let events = of_events(&start("events.db")?, self.events)?;
        let slowest = during_a_flood(&start("flood.db")?, self.flood)?;
        let rows = [
            ("bytes resident when idle", idle, IDLE_BYTES_MAX),
            (
                "bytes for each open idle connection",
                connection,
                CONNECTION_BYTES_MAX,
            ),
            ("bytes for the unhandled events", events, EVENTS_BYTES_MAX),
            (
                "ms until the slowest answer during the flood",
                millis(slowest),
                millis(ANSWER_MAX),
            ),
        ];
        let Self {
            connections,
            events,
            flood,
            ..
        } = self;
        writeln!(
            out,
            "{connections} idle connections, {events} unhandled events, a flood of {flood} connections"
        )?;
        for (what, measured, bound) in rows {
            let verdict = if measured <= bound { "" } else { "  TOO MUCH" };
            writeln!(out, "{measured:>12}  {what} (at most {bound}){verdict}")?;
        }
        Ok(rows.iter().all(|(_, measured, bound)| measured <= bound))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Measured after one event, so that everything has been used once.
fn idle(subject: &Subject) -> Result<u64> {
    Sender::connect(subject.address())?.send(0..1)?;
    subject.resident_bytes()
}

/// Each connection has sent an event before it becomes idle. All of these events were stored
/// before, so that the memory of the store does not count.
fn of_a_connection(subject: &Subject, count: usize) -> Result<u64> {
    Sender::connect(subject.address())?.send(0..count + 1)?;
    let before = idle(subject)?;
    let mut open = Vec::with_capacity(count);
    for number in 1..=count {
        let mut sender = Sender::connect(subject.address())?;
        sender.send(number..number + 1)?;
        open.push(sender);
    }
    let after = subject.resident_bytes()?;
    for sender in &mut open {
        // None of them may have been closed in the meantime.
        sender.send(0..1)?;
    }
    Ok(after.saturating_sub(before) / count.max(1) as u64)
}

/// The output of the receiver is not read, so that all but the first few events stay unhandled.
fn of_events(subject: &Subject, count: usize) -> Result<u64> {
    let before = idle(subject)?;
    let address = subject.address();
    let share = count.div_ceil(SENDERS);
    let senders: Vec<_> = (0..SENDERS)
        .map(|place| {
            let events = (place * share).min(count)..((place + 1) * share).min(count);
            thread::spawn(move || Sender::connect(address)?.send(events))
        })
        .collect();
    for sender in senders {
        sender
            .join()
            .map_err(|_| anyhow::anyhow!("a sender panicked"))??;
    }
    let unhandled = subject.unhandled()?;
    ensure!(
        unhandled * 10 >= count as u64 * 9,
        "only {unhandled} events wait to be handled"
    );
    Ok(subject.resident_bytes()?.saturating_sub(before))
}

/// Returns the time of the slowest response to other requests while many connections are opened and
/// send nothing.
fn during_a_flood(subject: &Subject, count: usize) -> Result<Duration> {
    let address = subject.address();
    let flood = thread::spawn(move || -> std::io::Result<Vec<TcpStream>> {
        (0..count).map(|_| TcpStream::connect(address)).collect()
    });
    let (mut slowest, mut number) = (Duration::ZERO, 0);
    while !flood.is_finished() || number < PIPELINED {
        let begun = Instant::now();
        Sender::connect(address)?.send(number..number + 1)?;
        slowest = slowest.max(begun.elapsed());
        number += 1;
    }
    let flood = flood
        .join()
        .map_err(|_| anyhow::anyhow!("the flood panicked"))?;
    let _open = flood.context("the flood could not connect; are there enough file handles?")?;
    let begun = Instant::now();
    Sender::connect(address)?.send(number..number + 1)?;
    Ok(slowest.max(begun.elapsed()))
}

/// A connection that sends events.
struct Sender {
    address: SocketAddr,
    reader: BufReader<TcpStream>,
    key: WebhookKey,
}

impl Sender {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("cannot connect to the receiver")?;
        stream.set_read_timeout(Some(ANSWER_MAX * 2))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            address,
            reader: BufReader::with_capacity(1_024, stream),
            key: WebhookKey::new(KEY),
        })
    }

    /// Sends events with these numbers, and expects each to be accepted.
    fn send(&mut self, numbers: std::ops::Range<usize>) -> Result<()> {
        let numbers: Vec<_> = numbers.collect();
        for numbers in numbers.chunks(PIPELINED) {
            let requests: Vec<u8> = numbers
                .iter()
                .flat_map(|number| request(self.address, &self.key, &format!("{number:032x}")))
                .collect();
            self.reader.get_mut().write_all(&requests)?;
            for _ in numbers {
                let status = status(&mut self.reader);
                ensure!(status == Some(200), "the receiver answered {status:?}");
            }
        }
        Ok(())
    }
}
