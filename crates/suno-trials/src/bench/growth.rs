//! Measures the cost of each operation of a store with many events, and the time to open it.

mod beside;
mod fill;
mod overdue;
mod report;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use suno_callback::{Delivery, PurgeRequest, Settlement};
use suno_testkit::callback::body;
use suno_testkit::postgres::{TestSchema, URL_VARIABLE};
use suno_testkit::process::own_cpu;
use suno_types::TaskId;

use self::fill::Store;
use super::bound;
use super::load::BODY_BYTES;
use super::machine::Program;
use crate::stored::StorePlace;

/// The number of deliveries in a commit while it is measured: about as many as 64 connections send.
const BATCH: usize = 32;
/// The number of events in a claim.
const CLAIM_MAX: usize = 256;
const LEASE: Duration = Duration::from_secs(600);
/// The number of tasks that are looked up in each turn, half of them unknown.
const FINDS: usize = 512;
/// The number of purge steps in each turn.
const PURGES: usize = 4;
/// The number of times each store is opened at the end.
const STARTS: usize = 5;

/// Accept, claim, settle, find, purge and open with growing numbers of stored events
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    growing: Growing,
    /// Server of a store in PostgreSQL, as postgres://USER@HOST/DATABASE; SQLite if omitted
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The sizes of the stores.
#[derive(Debug, Clone, clap::Args)]
pub struct Growing {
    /// Number of events that are stored and handled; several are measured in turns
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        value_parser = bound::count::<u64>(bound::EVENTS_MAX),
        default_value = "10000,1000000"
    )]
    events: Vec<u64>,
    /// Number of events that wait for a retry, in separate stores
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        value_parser = bound::count::<u64>(bound::EVENTS_MAX),
        default_value = "1000000"
    )]
    waiting: Vec<u64>,
    /// Number of events that are ready and were never claimed, in separate stores
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        value_parser = bound::count::<u64>(bound::EVENTS_MAX),
        default_value = "1000000"
    )]
    ready: Vec<u64>,
    /// Number of tasks that are overdue in each store while it is asked for some of them
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<u64>(bound::EVENTS_MAX),
        default_value_t = 100_000
    )]
    overdue: u64,
    /// Size of a body
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = bound::body_bytes(),
        default_value_t = BODY_BYTES
    )]
    body_bytes: usize,
    /// Number of events that are accepted, claimed and settled in each turn
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::EVENTS_MAX),
        default_value_t = 8_192
    )]
    turn_over: usize,
    /// Number of turns of each store
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::ROUNDS_MAX),
        default_value_t = 3
    )]
    rounds: usize,
    /// Time limit for filling and measuring together, in minutes
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<u64>(bound::MINUTES_MAX),
        default_value_t = 30
    )]
    minutes_max: u64,
    /// Places of the stores; in a temporary folder if omitted
    #[arg(long, hide = true)]
    places: Vec<StorePlace>,
}

impl Growing {
    fn arguments(&self) -> Vec<String> {
        let counts = |events: &[u64]| {
            let events: Vec<String> = events.iter().map(u64::to_string).collect();
            events.join(",")
        };
        vec![
            format!("--events={}", counts(&self.events)),
            format!("--waiting={}", counts(&self.waiting)),
            format!("--ready={}", counts(&self.ready)),
            format!("--overdue={}", self.overdue),
            format!("--body-bytes={}", self.body_bytes),
            format!("--turn-over={}", self.turn_over),
            format!("--rounds={}", self.rounds),
            format!("--minutes-max={}", self.minutes_max),
        ]
    }

    /// Returns the stores, in the order in which they are measured and reported.
    fn contents(&self) -> Vec<Content> {
        let of = |held: Held, events: &[u64]| -> Vec<Content> {
            let contents = events.iter().map(|events| Content {
                held,
                events: *events,
            });
            contents.collect()
        };
        [
            of(Held::Handled, &self.events),
            of(Held::Waiting, &self.waiting),
            of(Held::Ready, &self.ready),
        ]
        .concat()
    }
}

/// The state of the events that a store is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Held {
    Handled,
    Waiting,
    Ready,
}

/// The contents of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    held: Held,
    events: u64,
}

/// The cost of a turn: microseconds for each event or task, and milliseconds for each purge step.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Round {
    content: Content,
    accept: f64,
    accept_cpu: f64,
    claim: f64,
    settle: f64,
    /// Claiming and settling together.
    handle_cpu: f64,
    find: f64,
    purge_ms: f64,
    /// The longest operation that writes, in milliseconds.
    slowest_ms: f64,
}

/// The time from opening a store to the first accepted event.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Start {
    content: Content,
    millis: f64,
}

/// The time in which another process accepts a delivery while a dispatcher is busy: the 99th
/// percentile, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Beside {
    content: Content,
    p99_ms: f64,
}

/// What taking an overdue task and postponing it costs, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Asking {
    content: Content,
    millis: f64,
}

/// All measurements.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Measured {
    turns: Vec<Round>,
    starts: Vec<Start>,
    besides: Vec<Beside>,
    asking: Vec<Asking>,
}

pub(super) fn run(program: &Program, options: &Options, out: &mut dyn Write) -> Result<()> {
    let schemas: Vec<TestSchema> = match &options.store {
        Some(url) => {
            let contents = options.growing.contents();
            contents.iter().map(|_| TestSchema::new(url)).collect()
        }
        None => Vec::new(),
    };
    let mut arguments = options.growing.arguments();
    let places = schemas.iter().map(StorePlace::schema);
    arguments.extend(places.map(|place| format!("--places={place}")));
    let variables = options.store.iter().map(|url| (URL_VARIABLE, url.as_str()));
    let measured: Measured = program.tell_with("bench-grow", arguments, variables)?;
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&measured)?)?;
        return Ok(());
    }
    report::tell(&options.growing, &measured, out)
}

/// Fills stores, measures, and prints the figures as JSON. The stores are in a temporary folder, which
/// is removed at the end.
///
/// # Errors
///
/// Returns an error if a store cannot be written, or the time limit has passed.
pub(crate) async fn grow(growing: Growing) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60 * growing.minutes_max);
    let dir = tempfile::tempdir()?;
    let mut stores = Vec::new();
    for content in growing.contents() {
        let file = dir.path().join(format!("{}.db", stores.len()));
        let place = growing.places.get(stores.len());
        let place = place.cloned().unwrap_or_else(|| StorePlace::file(&file));
        stores.push(Store::fill(place, content, growing.body_bytes, deadline).await?);
    }
    let mut measured = Measured::default();
    for _ in 0..growing.rounds {
        for store in &mut stores {
            check_time(deadline)?;
            measured.turns.push(turn(store, growing.turn_over).await?);
        }
    }
    for mut store in stores {
        check_time(deadline)?;
        measured.besides.push(Beside {
            content: store.content(),
            p99_ms: beside::accept_p99_millis(&mut store).await?,
        });
        measured.asking.push(Asking {
            content: store.content(),
            millis: overdue::millis_each(&store, growing.overdue, deadline).await?,
        });
        for _ in 0..STARTS {
            check_time(deadline)?;
            let (opened, millis) = start(store).await?;
            store = opened;
            let content = store.content();
            measured.starts.push(Start { content, millis });
        }
    }
    writeln!(io::stdout(), "{}", serde_json::to_string(&measured)?)?;
    Ok(())
}

fn check_time(deadline: Instant) -> Result<()> {
    ensure!(Instant::now() < deadline, "the time limit has passed");
    Ok(())
}

/// Accepts this many new events, claims and settles as many of the oldest ready ones, and looks up
/// and purges some.
async fn turn(store: &mut Store, count: usize) -> Result<Round> {
    let deliveries = store.deliveries(count)?;
    let mut slowest = Duration::ZERO;
    let accepting = Stopwatch::start();
    for batch in deliveries.chunks(BATCH) {
        timed(&mut slowest, store.accept(batch)).await?;
    }
    let (accept, accept_cpu) = accepting.micros_each(count)?;
    let handling = Stopwatch::start();
    let (mut claiming, mut settled) = (Duration::ZERO, 0);
    while settled < count {
        let claim_started = Instant::now();
        let claim = store.claim(CLAIM_MAX.min(count - settled));
        let claims = timed(&mut slowest, claim).await?;
        claiming += claim_started.elapsed();
        ensure!(
            !claims.is_empty(),
            "a store has fewer events than were put into it"
        );
        settled += claims.len();
        timed(&mut slowest, store.settle(&claims, &Settlement::Done)).await?;
    }
    let (handle, handle_cpu) = handling.micros_each(count)?;
    let claim = micros_each(claiming, count);
    let find = find(store).await?;
    let purge_ms = purge(store, &mut slowest).await?;
    Ok(Round {
        content: store.content(),
        accept,
        accept_cpu,
        claim,
        settle: handle - claim,
        handle_cpu,
        find,
        purge_ms,
        slowest_ms: slowest.as_secs_f64() * 1e3,
    })
}

/// Runs an operation, and records its duration if it is the longest.
async fn timed<T>(slowest: &mut Duration, operation: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let result = operation.await;
    *slowest = started.elapsed().max(*slowest);
    result
}

/// Returns the microseconds for each task that is looked up.
async fn find(store: &Store) -> Result<f64> {
    let tasks: Vec<TaskId> = (0..FINDS)
        .map(|place| store.task_id(place % 2 == 0))
        .collect::<Result<_>>()?;
    let watch = Stopwatch::start();
    for task in &tasks {
        store.find(task).await?;
    }
    Ok(watch.micros_each(FINDS)?.0)
}

/// Returns the milliseconds for each step that purges bodies and keys, starting with the oldest.
async fn purge(store: &Store, slowest: &mut Duration) -> Result<f64> {
    let mut request = PurgeRequest::default();
    request.bodies_after = Duration::ZERO;
    request.keys_after = Duration::ZERO;
    let watch = Stopwatch::start();
    for _ in 0..PURGES {
        timed(slowest, store.purge(&request)).await?;
    }
    Ok(watch.micros_each(PURGES)?.0 / 1e3)
}

/// Closes and opens a store. Returns the milliseconds until the first event is accepted.
async fn start(store: Store) -> Result<(Store, f64)> {
    let closed = store.close();
    let watch = Stopwatch::start();
    let mut store = closed.open().await?;
    let delivery = store.deliveries(1)?;
    store.accept(&delivery).await?;
    Ok((store, watch.micros_each(1)?.0 / 1e3))
}

/// Creates a delivery of a complete callback, as the receiver does.
pub(crate) fn delivery(task: &str, body_bytes: usize) -> Result<Delivery> {
    let body = Bytes::from(body(task, body_bytes));
    Ok(Delivery::decode(body, Timestamp::UNIX_EPOCH))
}

struct Stopwatch {
    started: Instant,
    cpu: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu: own_cpu().unwrap_or_default(),
        }
    }

    /// The elapsed time and the CPU time, in microseconds.
    fn micros_each(&self, count: usize) -> Result<(f64, f64)> {
        let elapsed = self.started.elapsed();
        let cpu = own_cpu().unwrap_or_default();
        let cpu = cpu
            .checked_sub(self.cpu)
            .context("a clock that goes back")?;
        Ok((micros_each(elapsed, count), micros_each(cpu, count)))
    }
}

fn micros_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
