//! Sends signed callbacks over many connections, until the receiver is gone.

use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use suno_testkit::callback::{KEY, request};
use suno_testkit::http::status;
use suno_types::signature::WebhookKey;

use super::options::EVENTS_PER_ROUND_MAX;

/// The time limit for a response.
const ANSWER: Duration = Duration::from_secs(15);

/// The deliveries and responses so far.
#[derive(Debug)]
pub(super) struct Load {
    connections: usize,
    run: u64,
    next: Arc<AtomicU64>,
    /// The tasks whose callback was answered with 200.
    accepted: BTreeSet<String>,
    sent: u64,
    answered: u64,
}

/// The result of one connection.
#[derive(Debug, Default)]
struct Told {
    accepted: Vec<String>,
    sent: u64,
}

/// The sending connections. Each ends with the receiver, or when it is asked to.
pub(super) struct Sending {
    connections: Vec<JoinHandle<Told>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    pub(super) fn new(connections: usize, run: u64) -> Self {
        Self {
            connections,
            run,
            next: Arc::default(),
            accepted: BTreeSet::new(),
            sent: 0,
            answered: 0,
        }
    }

    /// Starts to send.
    pub(super) fn begin(&self, address: SocketAddr) -> Sending {
        let last = self.next.load(Ordering::SeqCst) + EVENTS_PER_ROUND_MAX;
        let is_over = Arc::new(AtomicBool::new(false));
        let send = |place| {
            let sender = Sender {
                address,
                run: self.run,
                next: self.next.clone(),
                last,
                is_over: is_over.clone(),
                dice: fastrand::Rng::with_seed(self.run ^ place as u64 ^ last),
                key: WebhookKey::new(KEY),
            };
            thread::spawn(move || sender.send_all())
        };
        Sending {
            connections: (0..self.connections).map(send).collect(),
            is_over,
        }
    }

    /// Stops sending, and collects the responses.
    pub(super) fn end(&mut self, sending: Sending) {
        sending.is_over.store(true, Ordering::SeqCst);
        for connection in sending.connections {
            // A sender that panicked returns no result, and its deliveries are not
            // counted.
            let told = connection.join().unwrap_or_default();
            self.sent += told.sent;
            self.answered += told.accepted.len() as u64;
            self.accepted.extend(told.accepted);
        }
    }

    /// The tasks whose callback was answered with 200.
    pub(super) fn accepted(&self) -> &BTreeSet<String> {
        &self.accepted
    }

    /// The number of deliveries that were sent, and of those that were answered with 200.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.sent, self.answered)
    }
}

struct Sender {
    address: SocketAddr,
    run: u64,
    next: Arc<AtomicU64>,
    last: u64,
    is_over: Arc<AtomicBool>,
    dice: fastrand::Rng,
    key: WebhookKey,
}

impl Sender {
    fn send_all(mut self) -> Told {
        let mut told = Told::default();
        let Ok(stream) = TcpStream::connect(self.address) else {
            return told;
        };
        let _ = stream.set_read_timeout(Some(ANSWER));
        let Ok(mut writer) = stream.try_clone() else {
            return told;
        };
        let mut reader = BufReader::new(stream);
        while !self.is_over.load(Ordering::SeqCst) {
            // One in five is sent again.
            let task = match told.accepted.is_empty() || self.dice.u8(0..5) > 0 {
                true => {
                    let number = self.next.fetch_add(1, Ordering::SeqCst);
                    if number >= self.last {
                        return told;
                    }
                    format!("{:08x}{number:024x}", self.run as u32)
                }
                false => told.accepted[self.dice.usize(0..told.accepted.len())].clone(),
            };
            told.sent += 1;
            if writer
                .write_all(&request(self.address, &self.key, &task))
                .is_err()
            {
                return told;
            }
            match status(&mut reader) {
                Some(200) => told.accepted.push(task),
                Some(_) => {}
                None => return told,
            }
        }
        told
    }
}
