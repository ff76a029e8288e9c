//! The provider's part: signed callbacks at a steady pace, whatever strangers do meanwhile.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use suno_testkit::callback::{KEY, request};
use suno_testkit::http::{connect, status};
use suno_types::signature::WebhookKey;

/// How long after the one before each callback is sent.
const INTERVAL: Duration = Duration::from_millis(20);
/// How many connections take turns, so that a slow answer does not hold up the next callback.
const CONNECTIONS: u32 = 4;
/// How long an answer may take before the connection is given up: less than the provider waits, so
/// that a receiver that hangs does not hold up the run.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How many events are sent at the end, to see how soon they are handled.
const PROBES: u64 = 10;
/// The first letter of the task ids of probes; those of the steady sender begin with a 0.
const PROBE: char = 'f';

/// What became of signed callbacks.
#[derive(Debug)]
pub(super) struct Answers {
    /// How many were due, whether they could be sent or not.
    pub(super) due: u64,
    /// The tasks that were answered with 200, and when.
    pub(super) accepted: Vec<(String, Instant)>,
    /// How long each took from the moment at which it was due, in microseconds.
    pub(super) micros: Histogram<u64>,
}

impl Answers {
    fn new() -> Result<Self> {
        Ok(Self {
            due: 0,
            accepted: Vec::new(),
            micros: Histogram::new(3)?,
        })
    }

    fn add(&mut self, other: Self) -> Result<()> {
        self.due += other.due;
        self.accepted.extend(other.accepted);
        Ok(self.micros.add(other.micros)?)
    }

    /// The time within which a part of the callbacks was answered.
    pub(super) fn quantile(&self, part: f64) -> Duration {
        Duration::from_micros(self.micros.value_at_quantile(part))
    }
}

/// The threads of the sender.
pub(super) struct SignedLoad(Vec<JoinHandle<Result<Answers>>>);

/// Starts to send, until `until`.
pub(super) fn begin(address: SocketAddr, begun: Instant, until: Instant) -> SignedLoad {
    let send = |place: u32| {
        let first = begun + INTERVAL * place;
        thread::spawn(move || Sender::new(address).send_until(place, first, until))
    };
    SignedLoad((0..CONNECTIONS).map(send).collect())
}

impl SignedLoad {
    /// Waits for the last answers.
    pub(super) fn end(self) -> Result<Answers> {
        let mut all = Answers::new()?;
        for connection in self.0 {
            let answers = connection.join();
            all.add(answers.map_err(|_| anyhow!("a sender panicked"))??)?;
        }
        Ok(all)
    }
}

/// Sends a few events of tasks of their own, one after the other. If one is not answered with 200, the
/// others are counted as due and not sent, so that a receiver that hangs is waited for once.
pub(super) fn probe(address: SocketAddr) -> Result<Answers> {
    let mut sender = Sender::new(address);
    let mut answers = Answers::new()?;
    for number in 0..PROBES {
        let task = format!("{PROBE}{number:031x}");
        sender.send(task, Instant::now(), &mut answers)?;
        if sender.stream.is_none() {
            break;
        }
    }
    answers.due = PROBES;
    Ok(answers)
}

struct Sender {
    address: SocketAddr,
    key: WebhookKey,
    stream: Option<BufReader<TcpStream>>,
}

impl Sender {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            key: WebhookKey::new(KEY),
            stream: None,
        }
    }

    /// Sends each callback at its time, or late if the answer before it was. Those that could not be
    /// sent before the end are counted as due and not as accepted.
    fn send_until(mut self, place: u32, first: Instant, until: Instant) -> Result<Answers> {
        let mut answers = Answers::new()?;
        let mut due = first;
        let mut number = 0;
        while due < until {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if Instant::now() < until + INTERVAL {
                let task = format!("0{place:07x}{number:024x}");
                self.send(task, due, &mut answers)?;
            } else {
                record(&mut answers, due)?;
            }
            due += INTERVAL * CONNECTIONS;
            number += 1;
        }
        Ok(answers)
    }

    fn send(&mut self, task: String, due: Instant, answers: &mut Answers) -> Result<()> {
        let status = self.exchange(&task);
        record(answers, due)?;
        if status == Some(200) {
            answers.accepted.push((task, Instant::now()));
        } else {
            self.stream = None;
        }
        Ok(())
    }

    fn exchange(&mut self, task: &str) -> Option<u16> {
        let request = request(self.address, &self.key, task);
        if self.stream.is_none() {
            self.stream = connect(self.address, ANSWER_MAX).ok().map(BufReader::new);
        }
        let stream = self.stream.as_mut()?;
        stream.get_mut().write_all(&request).ok()?;
        status(stream)
    }
}

/// Counts a callback with the time since it was due.
fn record(answers: &mut Answers, due: Instant) -> Result<()> {
    answers.due += 1;
    let micros = u64::try_from(due.elapsed().as_micros())?;
    Ok(answers.micros.record(micros)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_all_connections() {
        let answers = |range: std::ops::RangeInclusive<u64>| {
            let mut answers = Answers::new().unwrap();
            for millis in range {
                answers.due += 1;
                answers.micros.record(millis * 1_000).unwrap();
            }
            answers
        };
        let mut all = answers(1..=50);
        all.add(answers(51..=100)).unwrap();
        assert_eq!(all.due, 100);
        let millis = |part| all.quantile(part).as_millis();
        assert_eq!((millis(0.5), millis(0.99)), (50, 99));
    }

    #[test]
    fn a_callback_without_an_answer_is_due_and_not_accepted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let begun = Instant::now();
        let sending = begin(address, begun, begun + INTERVAL * 5);
        let answers = sending.end().unwrap();
        assert_eq!((answers.due, answers.accepted.len()), (5, 0));
    }
}
