//! The legitimate sender: signed callbacks at a steady pace, regardless of the strangers.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use suno_testkit::callback::{KEY, request};
use suno_testkit::http::{connect, status};
use suno_types::signature::WebhookKey;

/// The time from one callback to the next.
const INTERVAL: Duration = Duration::from_millis(20);
/// The number of connections that take turns, so that a slow response does not delay the next
/// callback.
const CONNECTIONS: u32 = 4;
/// The time limit for a response before the connection is dropped. It is less than the provider
/// waits, so that a receiver that hangs does not delay the run.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The number of events that are sent at the end, to measure how soon they are handled.
const PROBES: u64 = 10;
/// The first letter of the task ids of probes; those of the steady sender begin with 0.
const PROBE: char = 'f';

/// The results of signed callbacks.
#[derive(Debug)]
pub(super) struct Answers {
    /// The number that were due, whether or not they could be sent.
    pub(super) due: u64,
    /// The tasks that were answered with 200, with the time of the response.
    pub(super) accepted: Vec<(String, Instant)>,
    /// The duration of each from the time at which it was due, in microseconds.
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

    /// Returns the time within which the given share of the callbacks was answered.
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
    /// Waits for the last responses.
    pub(super) fn end(self) -> Result<Answers> {
        let mut all = Answers::new()?;
        for connection in self.0 {
            let answers = connection.join();
            all.add(answers.map_err(|_| anyhow!("a sender panicked"))??)?;
        }
        Ok(all)
    }
}

/// Sends a few events of new tasks, one after the other. If one is not answered with 200, the
/// others count as due but are not sent, so that the run waits for a hanging receiver only once.
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

    /// Sends each callback at its time, or late if the previous response was late. Callbacks that
    /// could not be sent before the end count as due and not as accepted.
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

/// Records a callback with the time since it was due.
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
