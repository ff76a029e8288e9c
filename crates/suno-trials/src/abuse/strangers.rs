//! The strangers: connections whose requests are not signed with a known key, or replay a
//! signature.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use suno_testkit::callback::{self, KEY, head};
use suno_testkit::http::{connect, status};
use suno_types::signature::WebhookKey;

use super::pace::Pace;
use super::scenario::Scenario;

/// The number of bytes that all strangers send in a second: whole requests.
const BYTES_PER_SECOND: u64 = 10_000_000;
/// The same for half-sent bodies: fast enough that all are open after ten seconds, and not so fast that
/// this program and the receiver compete for the processor.
const HALF_SENT_BYTES_PER_SECOND: u64 = 100_000_000;
/// The number of paced connections.
const PACED_CONNECTIONS: u64 = 64;
/// The size of a body without signature headers: the maximum.
const UNSIGNED_BODY_BYTES: usize = 1 << 20;
/// The size of a body with a wrong signature.
const FORGED_BODY_BYTES: usize = 64 << 10;
/// The number of bytes sent at once. It is small, so that little is sent to a receiver that has
/// rejected the head.
const PIECE_BYTES: usize = 64 << 10;
/// The number of connections that send all but the last byte of a body.
const HALF_SENT_CONNECTIONS: u64 = 1_000;
/// The size of that body.
const HALF_SENT_BODY_BYTES: usize = 1 << 20;
/// The number of threads that open those connections.
const HALF_SENT_THREADS: u64 = 8;
/// The number of connections that send small requests.
const REFUSAL_CONNECTIONS: u64 = 8;
/// The number of connections that replay a signature.
const STAGE_CONNECTIONS: u64 = 16;
/// The maximum number of small requests of a connection.
const REQUESTS_MAX: u64 = 100_000;
/// The maximum time that a stranger waits for the receiver.
const PATIENCE: Duration = Duration::from_secs(2);
/// The maximum time that a stranger waits for the response to a head without its body. It is long,
/// so that a busy machine is not taken for a defect.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// The pause of a stranger that could not connect.
const PAUSE: Duration = Duration::from_millis(10);
/// The key of a stranger.
const OTHER_KEY: &str = "whk-of-a-stranger";
/// The task of strangers.
const TASK: &str = "5c79000000000000000000000000be8e";

/// The requests of strangers, and the responses.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The number of requests that were sent or begun.
    pub(super) requests: u64,
    pub(super) bytes: u64,
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Connections that stay open until this is dropped.
    held: Vec<TcpStream>,
}

impl Tally {
    /// Reads the responses on the held connections, and closes them. The receiver must have ended,
    /// so that this does not wait.
    pub(super) fn release(&mut self) {
        for stream in self.held.drain(..) {
            if let Some(status) = status(&mut BufReader::new(stream)) {
                *self.statuses.entry(status).or_default() += 1;
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.held.extend(other.held);
    }
}

/// The threads of the strangers.
pub(super) struct Load(Vec<JoinHandle<Tally>>);

impl Load {
    /// Waits until all have stopped.
    pub(super) fn end(self) -> Result<Tally> {
        let mut all = Tally::default();
        for stranger in self.0 {
            all.add(
                stranger
                    .join()
                    .map_err(|_| anyhow!("a stranger panicked"))?,
            );
        }
        Ok(all)
    }
}

/// Starts the strangers of a scenario, which send from `begun` until `until`.
pub(super) fn begin(
    scenario: Scenario,
    address: SocketAddr,
    begun: Instant,
    until: Instant,
) -> Result<Load> {
    let Some(traffic) = Traffic::of(scenario, address)? else {
        return Ok(Load(Vec::new()));
    };
    let traffic = Arc::new(traffic);
    let pace = Arc::new(Pace::new(begun, traffic.bytes_per_second()));
    let stranger = |place| {
        let stranger = Stranger {
            address,
            until,
            pace: pace.clone(),
            traffic: traffic.clone(),
            tally: Tally::default(),
        };
        thread::spawn(move || stranger.run(place))
    };
    Ok(Load((0..traffic.threads()).map(stranger).collect()))
}

/// Sends the head of an unsigned request and nothing of its body. Returns the status of the
/// response; `None` if there was none, because the receiver waits for the body.
pub(super) fn head_alone(address: SocketAddr) -> Option<u16> {
    let mut stream = connect(address, HEAD_PATIENCE).ok()?;
    let head = head(address, "", UNSIGNED_BODY_BYTES);
    stream.write_all(head.as_bytes()).ok()?;
    status(&mut BufReader::new(stream))
}

/// The requests of a scenario's strangers, and how they are sent.
enum Traffic {
    /// The same request repeatedly, limited by the shared pace.
    Paced { head: String, body: Vec<u8> },
    /// A head and an unfinished body, on many connections.
    HalfSent { head: String, body: Vec<u8> },
    /// The same small request as fast as it is answered.
    Small(String),
    /// The headers of one signed request, with another stage and body each time.
    Replayed {
        address: SocketAddr,
        signature: String,
    },
}

impl Traffic {
    fn of(scenario: Scenario, address: SocketAddr) -> Result<Option<Self>> {
        Ok(Some(match scenario {
            Scenario::Quiet => return Ok(None),
            Scenario::Unsigned => {
                let body = costly_body(UNSIGNED_BODY_BYTES);
                let head = head(address, "", body.len());
                Self::Paced { head, body }
            }
            Scenario::Forged => {
                let body = callback::body(TASK, FORGED_BODY_BYTES).into_bytes();
                let head = head(address, &signature(OTHER_KEY), body.len());
                Self::Paced { head, body }
            }
            Scenario::HalfSent => {
                let mut body = costly_body(HALF_SENT_BODY_BYTES);
                let head = head(address, &signature(OTHER_KEY), body.len());
                body.pop();
                Self::HalfSent { head, body }
            }
            Scenario::Refusals => Self::Small(head(address, "", 2) + "{}"),
            Scenario::Stages => Self::Replayed {
                address,
                signature: signature(KEY),
            },
        }))
    }

    /// How many bytes all send in a second at most, where that is bounded.
    fn bytes_per_second(&self) -> u64 {
        match self {
            Self::HalfSent { .. } => HALF_SENT_BYTES_PER_SECOND,
            _ => BYTES_PER_SECOND,
        }
    }

    /// The number of threads that send; each has one connection, but for those that only wait.
    fn threads(&self) -> u64 {
        match self {
            Self::Paced { .. } => PACED_CONNECTIONS,
            Self::HalfSent { .. } => HALF_SENT_THREADS,
            Self::Small(_) => REFUSAL_CONNECTIONS,
            Self::Replayed { .. } => STAGE_CONNECTIONS,
        }
    }
}

struct Stranger {
    address: SocketAddr,
    until: Instant,
    pace: Arc<Pace>,
    traffic: Arc<Traffic>,
    tally: Tally,
}

impl Stranger {
    fn run(mut self, place: u64) -> Tally {
        match &*self.traffic.clone() {
            Traffic::Paced { head, body } => self.send_paced(head, body),
            Traffic::HalfSent { head, body } => self.hold(head, body),
            Traffic::Small(request) => self.send_small(|_| request.clone()),
            Traffic::Replayed { address, signature } => {
                self.send_small(|number| replayed(*address, signature, place, number));
            }
        }
        self.tally
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Opens a connection. Returns `None` after a pause if that fails.
    fn connect(&self) -> Option<BufReader<TcpStream>> {
        let stream = connect(self.address, PATIENCE);
        if stream.is_err() {
            thread::sleep(PAUSE);
        }
        stream.ok().map(BufReader::new)
    }

    fn send_paced(&mut self, head: &str, body: &[u8]) {
        let bytes = (head.len() + body.len()) as u64;
        let mut open = None;
        while !self.is_over() {
            let Some(mut stream) = open.take().or_else(|| self.connect()) else {
                continue;
            };
            if !self.pace.take(bytes, self.until) {
                return;
            }
            let sent = self.send(stream.get_mut(), head, body);
            self.pace.give_back(bytes.saturating_sub(sent));
            let is_whole = sent == bytes;
            if self.read_answer(&mut stream) && is_whole {
                open = Some(stream);
            }
        }
    }

    /// Sends in pieces. Returns the number of bytes sent.
    fn send(&mut self, stream: &mut TcpStream, head: &str, body: &[u8]) -> u64 {
        self.tally.requests += 1;
        let pieces = std::iter::once(head.as_bytes()).chain(body.chunks(PIECE_BYTES));
        let mut sent = 0;
        for piece in pieces {
            let is_late = Instant::now() >= self.until + PATIENCE;
            if is_late || stream.write_all(piece).is_err() {
                break;
            }
            sent += piece.len() as u64;
        }
        self.tally.bytes += sent;
        sent
    }

    /// Reads and counts a response. Returns false if none arrives.
    fn read_answer(&mut self, stream: &mut BufReader<TcpStream>) -> bool {
        let Some(status) = status(stream) else {
            return false;
        };
        *self.tally.statuses.entry(status).or_default() += 1;
        true
    }

    fn hold(&mut self, head: &str, body: &[u8]) {
        for _ in 0..HALF_SENT_CONNECTIONS / HALF_SENT_THREADS {
            if !self.pace.take((head.len() + body.len()) as u64, self.until) {
                return;
            }
            if let Some(mut stream) = self.connect() {
                self.send(stream.get_mut(), head, body);
                self.tally.held.push(stream.into_inner());
            }
        }
    }

    fn send_small(&mut self, request: impl Fn(u64) -> String) {
        let mut open = None;
        for number in 0..REQUESTS_MAX {
            if self.is_over() {
                return;
            }
            let Some(mut stream) = open.take().or_else(|| self.connect()) else {
                continue;
            };
            self.send(stream.get_mut(), &request(number), &[]);
            if self.read_answer(&mut stream) {
                open = Some(stream);
            }
        }
    }
}

/// Returns the header lines of a signature of the task that is made now.
fn signature(key: &str) -> String {
    callback::signature_headers(&WebhookKey::new(key), TASK)
}

/// Returns a callback with the headers of another one of the same task.
fn replayed(address: SocketAddr, signature: &str, place: u64, number: u64) -> String {
    let body = format!(
        r#"{{"code":200,"msg":"ok","data":{{"callbackType":"stage-{place}-{number}","task_id":"{TASK}","data":[{{"id":"{place}-{number}"}}]}}}}"#
    );
    head(address, signature, body.len()) + &body
}

/// Returns JSON that takes some ninety times its size after it is decoded into values.
fn costly_body(bytes: usize) -> Vec<u8> {
    const ITEM: &str = r#",{"":0}"#;
    let mut body = format!(r#"[{{"":0}}{}"#, ITEM.repeat(bytes / ITEM.len() - 2));
    body.extend(std::iter::repeat_n(' ', bytes - body.len() - 1));
    body.push(']');
    body.into_bytes()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use suno_types::Callback;
    use suno_types::signature::{SignatureHeaders, verify};

    use super::*;

    /// Returns the headers and the body of a request.
    fn parts(request: &str) -> (Vec<(&str, &[u8])>, &str) {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let pairs = head.lines().filter_map(|line| line.split_once(": "));
        let pairs: Vec<_> = pairs
            .map(|(name, value)| (name, value.as_bytes()))
            .collect();
        let length = format!("content-length: {}", body.len());
        assert!(head.ends_with(&length), "{head}");
        (pairs, body)
    }

    fn is_signed(headers: Vec<(&str, &[u8])>) -> bool {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let headers = SignatureHeaders::find(headers).unwrap();
        let window = Duration::from_secs(10);
        // The form and the time are always right.
        headers.parse(now, window).unwrap();
        verify(&[WebhookKey::new(KEY)], TASK, headers, now, window).is_ok()
    }

    fn address() -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    #[test]
    fn a_costly_body_is_json_of_the_size_that_was_asked_for() {
        for bytes in [64, 1_000, UNSIGNED_BODY_BYTES] {
            let body = costly_body(bytes);
            assert_eq!(body.len(), bytes);
            let items: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
            assert!(items.len() > bytes / 10);
        }
    }

    #[test]
    fn a_replayed_signature_is_right_for_every_stage() {
        let signature = signature(KEY);
        let mut stages = std::collections::BTreeSet::new();
        for (place, number) in [(0, 0), (0, 1), (1, 0)] {
            let request = replayed(address(), &signature, place, number);
            let (headers, body) = parts(&request);
            assert!(is_signed(headers));
            let callback = Callback::decode(body.as_bytes()).unwrap();
            assert_eq!(callback.task_id.as_str(), TASK);
            stages.insert(callback.stage().as_str().to_owned());
        }
        assert_eq!(stages.len(), 3);
    }

    #[test]
    fn a_forged_signature_has_the_right_form_and_is_wrong() {
        let Some(Traffic::Paced { head, body }) = Traffic::of(Scenario::Forged, address()).unwrap()
        else {
            panic!("forged requests are paced");
        };
        let request = head + std::str::from_utf8(&body).unwrap();
        let (headers, body) = parts(&request);
        assert!(!is_signed(headers));
        assert!(body.len().abs_diff(FORGED_BODY_BYTES) < 40);
        Callback::decode(body.as_bytes()).unwrap();
    }

    #[test]
    fn a_half_sent_body_lacks_one_byte() {
        let Some(Traffic::HalfSent { head, body }) =
            Traffic::of(Scenario::HalfSent, address()).unwrap()
        else {
            panic!("half-sent bodies are held");
        };
        let length = format!("content-length: {}\r\n", body.len() + 1);
        assert!(head.contains(&length), "{head}");
    }
}
