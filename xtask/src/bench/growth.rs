//! What accepting, claiming and settling cost with many events in the SQLite store.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use suno_callback::{
    ClaimRequest, Clock, Delivery, IdempotencyStore, Settlement, SystemClock, Verification,
};
use suno_store_sqlite::SqliteStore;

use super::body::body;
use super::bound;
use super::load::BODY_BYTES;
use super::machine::{self, Program, describe};
use super::statistics::{Figures, cell};

/// How many deliveries share a commit while a store is filled.
const FILLING_BATCH: usize = 512;
/// How many share one while it is measured: about as many as 64 connections bring.
const BATCH: usize = 32;
/// How many events are claimed at once.
const CLAIM_MAX: usize = 256;
const LEASE: Duration = Duration::from_secs(600);

/// Accept and claim at growing numbers of stored events, not handled yet and handled
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    growing: Growing,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How far a store grows.
#[derive(Debug, Clone, clap::Args)]
pub struct Growing {
    /// How many events are stored; several are measured in turns
    #[arg(
        long,
        value_name = "COUNT",
        value_delimiter = ',',
        value_parser = bound::count::<u64>(bound::EVENTS_MAX),
        default_value = "1000,10000,100000,1000000"
    )]
    events: Vec<u64>,
    /// How many events are accepted, claimed and settled in each turn
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::EVENTS_MAX),
        default_value_t = 8_192
    )]
    turn_over: usize,
    /// How many turns each has
    #[arg(
        long,
        value_name = "COUNT",
        value_parser = bound::count::<usize>(bound::ROUNDS_MAX),
        default_value_t = 3
    )]
    rounds: usize,
}

impl Growing {
    fn arguments(&self) -> [String; 3] {
        let events: Vec<String> = self.events.iter().map(u64::to_string).collect();
        [
            format!("--events={}", events.join(",")),
            format!("--turn-over={}", self.turn_over),
            format!("--rounds={}", self.rounds),
        ]
    }
}

/// What a turn took for each event, in microseconds: by the clock, and of the processor.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Turn {
    events: u64,
    handled: bool,
    accept: f64,
    accept_cpu: f64,
    claim: f64,
    claim_cpu: f64,
}

pub(super) fn run(program: &Program, options: &Options, out: &mut dyn Write) -> Result<()> {
    let turns: Vec<Turn> = program.tell("bench-grow", options.growing.arguments())?;
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&turns)?)?;
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    writeln!(
        out,
        "{}; {} rounds of {} events in batches of {BATCH}, claimed {CLAIM_MAX} at once; medians, µs for each event.\n\n\
         | stored | of these | accept | processor | claim and settle | processor |\n\
         | ---: | --- | ---: | ---: | ---: | ---: |",
        describe(dir.path())?,
        options.growing.rounds,
        options.growing.turn_over,
    )?;
    for handled in [false, true] {
        for events in &options.growing.events {
            let median = |figure: fn(&Turn) -> f64| {
                let turns = turns.iter();
                let turns = turns.filter(|turn| turn.events == *events && turn.handled == handled);
                cell(turns.map(figure).collect::<Figures>().median(), 1)
            };
            writeln!(
                out,
                "| {events} | {} | {} | {} | {} | {} |",
                if handled {
                    "all handled"
                } else {
                    "none handled"
                },
                median(|turn| turn.accept),
                median(|turn| turn.accept_cpu),
                median(|turn| turn.claim),
                median(|turn| turn.claim_cpu),
            )?;
        }
    }
    Ok(())
}

/// Fills stores, measures, and prints the turns as JSON.
///
/// # Errors
///
/// If a store cannot be written.
pub async fn grow(growing: Growing) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut stores = Vec::new();
    for events in &growing.events {
        stores.push(Store::fill(dir.path(), *events).await?);
    }
    let mut turns = Vec::new();
    for handled in [false, true] {
        if handled {
            for store in &stores {
                while store.claim_and_settle(FILLING_BATCH).await? > 0 {}
            }
        }
        for _ in 0..growing.rounds {
            for store in &mut stores {
                turns.push(store.turn_over(growing.turn_over, handled).await?);
            }
        }
    }
    writeln!(io::stdout(), "{}", serde_json::to_string(&turns)?)?;
    Ok(())
}

struct Store {
    store: SqliteStore,
    events: u64,
    next: u64,
}

impl Store {
    async fn fill(dir: &Path, events: u64) -> Result<Self> {
        let store = SqliteStore::open(dir.join(format!("{events}.db")))?;
        let mut this = Self {
            store,
            events,
            next: 0,
        };
        while this.next < events {
            let left = usize::try_from(events - this.next)?;
            let deliveries = this.deliveries(left.min(FILLING_BATCH))?;
            this.store.accept(&deliveries).await?;
        }
        Ok(this)
    }

    fn deliveries(&mut self, count: usize) -> Result<Vec<Delivery>> {
        (0..count)
            .map(|_| {
                self.next += 1;
                // Mixed, so that ids come in no order, as the provider's do.
                let mixed = self.next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                delivery(&format!("{mixed:016x}{:016x}", self.next))
            })
            .collect()
    }

    /// Accepts so many new events, and settles as many of the oldest, so that the number of those
    /// that wait stays what it is.
    async fn turn_over(&mut self, count: usize, handled: bool) -> Result<Turn> {
        let deliveries = self.deliveries(count)?;
        let accepting = Stopwatch::start();
        for batch in deliveries.chunks(BATCH) {
            self.store.accept(batch).await?;
        }
        let (accept, accept_cpu) = accepting.micros_each(count)?;
        let claiming = Stopwatch::start();
        let mut settled = 0;
        while settled < count {
            match self
                .claim_and_settle(CLAIM_MAX.min(count - settled))
                .await?
            {
                0 => bail!("a store has fewer events than were put there"),
                more => settled += more,
            }
        }
        let (claim, claim_cpu) = claiming.micros_each(count)?;
        Ok(Turn {
            events: self.events,
            handled,
            accept,
            accept_cpu,
            claim,
            claim_cpu,
        })
    }

    async fn claim_and_settle(&self, events_max: usize) -> Result<usize> {
        let request = ClaimRequest::new(SystemClock.now(), LEASE, events_max);
        let claims = self.store.claim(request).await?;
        let settled: Vec<_> = claims
            .iter()
            .map(|claim| (claim.ticket, Settlement::Done))
            .collect();
        if !settled.is_empty() {
            self.store.settle(&settled).await?;
        }
        Ok(settled.len())
    }
}

/// A delivery of a complete callback, as the receiver makes it.
pub(crate) fn delivery(task: &str) -> Result<Delivery> {
    let body = Bytes::from(body(task, BODY_BYTES));
    let verified = Verification::dangerous_none().verify(None, &HeaderMap::new(), body, 0)?;
    Ok(Delivery::decode(verified, Timestamp::UNIX_EPOCH)?)
}

struct Stopwatch {
    started: Instant,
    cpu: Duration,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            started: Instant::now(),
            cpu: machine::cpu("self").unwrap_or_default(),
        }
    }

    fn micros_each(&self, count: usize) -> Result<(f64, f64)> {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
        let cpu = machine::cpu("self").unwrap_or_default();
        let cpu = cpu
            .checked_sub(self.cpu)
            .context("a clock that goes back")?;
        Ok((each(self.started.elapsed()), each(cpu)))
    }
}
