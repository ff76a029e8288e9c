//! `cargo xtask crash`: kills a receiver again and again under load, and looks for what it lost.
//!
//! A kill shows what survives the process. It does not show what survives a power cut: the
//! operating system still writes what it was handed. That is the store's `synchronous=FULL`.

pub(crate) mod load;
mod receiver;
mod songs;
pub(crate) mod subject;
pub(crate) mod verdict;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::load::Load;
pub use self::receiver::{Variant, receive};
use self::subject::Subject;
use self::verdict::{Seen, Verdict, unsettled};

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// How often the receiver is killed.
    pub rounds: u32,
    /// How many connections send at the same time.
    pub connections: usize,
    /// Decides when to kill.
    pub seed: u64,
    /// How the receiver differs from `suno listen`, which is the one without a variant.
    pub variant: Option<Variant>,
}

/// How long a round goes on after the first answer, at most.
const ROUND: Duration = Duration::from_millis(600);
/// How many events are sent in a round at most.
const EVENTS_PER_ROUND_MAX: u64 = 400;
/// How long to wait for the last events to be handled.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a round ends.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// At a moment, whatever is under way.
    After(Duration),
    /// When so many events were handled, while the next ones are: as a handler that kills the
    /// process does.
    AtHandled(usize),
}

/// Kills and restarts a receiver, and reports what was found; false if something is wrong.
///
/// # Errors
///
/// If the receiver cannot be built or started.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<bool> {
    let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
    let store = dir.path().join("suno.db");
    let command = match options.variant {
        Some(variant) => subject::of_variant(&store, variant)?,
        None => subject::listen(&store, false)?,
    };
    let started = Instant::now();
    let mut dice = fastrand::Rng::with_seed(options.seed);
    let mut load = Load::new(options.connections, options.seed);
    let mut seen = Seen::default();
    for round in 0..options.rounds {
        let subject = Subject::start(&command)?;
        let kill = if options.variant == Some(Variant::HandlerKills) {
            // It ends itself; if not, there is too little to handle.
            Kill::After(ROUND)
        } else if round % 3 == 2 {
            Kill::AtHandled(dice.usize(1..60))
        } else {
            Kill::After(ROUND.mul_f64(dice.f64()))
        };
        let sending = load.begin(subject.address());
        let lines = subject.kill(kill, ROUND)?;
        load.end(sending);
        seen.handled(lines);
        seen.look_into(&store)?;
    }
    let last = match options.variant {
        Some(Variant::HandlerKills) => subject::listen(&store, false)?,
        _ => command,
    };
    let subject = Subject::start(&last)?;
    wait_until_settled(&store)?;
    seen.handled(subject.terminate()?);
    seen.look_into(&store)?;
    if options.variant.is_some_and(Variant::writes_songs) {
        seen.count_songs(&store)?;
    }
    let verdict = Verdict::new(&load, &seen);
    verdict.tell(options.rounds, started.elapsed(), out)?;
    Ok(verdict.is_good())
}

fn wait_until_settled(store: &std::path::Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while let left = unsettled(store)?
        && left > 0
    {
        if Instant::now() > deadline {
            bail!("{left} events were not handled within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
