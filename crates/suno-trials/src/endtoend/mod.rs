//! `cargo xtask end-to-end`: client, receiver, dispatcher and reconciler against the emulator, under
//! faults drawn at random, on a clock that is stepped.
//!
//! At the end every task that was made has exactly one last event that was handled, found by a
//! callback or by asking, and it is what the provider made of the task; nothing was submitted twice;
//! nothing that a stranger sent was handled. A task whose answer and callbacks were all lost is
//! among the submits that the ledger reports.

mod clock;
mod jobs;
mod ours;
mod verdict;
mod world;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use self::verdict::Verdict;
use self::world::World;

/// What to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many tasks are submitted.
    pub tasks: usize,
    /// Decides the faults.
    pub seed: u64,
    /// How many worlds share the tasks, each with a provider and a receiver of its own.
    pub worlds: usize,
    /// What is left out on purpose, which must be caught.
    pub broken: Option<Broken>,
}

/// What can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Broken {
    /// Callbacks are handled as they come, not as the provider's record confirms them.
    Unconfirmed,
    /// Nobody asks about tasks whose callbacks are lost.
    Unreconciled,
}

/// How many findings are printed.
const FINDINGS_MAX: usize = 20;

/// Runs all worlds to their ends, and tells what was found; false if anything was wrong.
///
/// # Errors
///
/// If a world cannot be set up or does not come to an end.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<bool> {
    let started = Instant::now();
    let worlds = options.worlds.clamp(1, options.tasks.max(1));
    let verdicts = std::thread::scope(|scope| {
        let running: Vec<_> = (0..worlds)
            .map(|number| {
                let tasks = options.tasks * (number + 1) / worlds - options.tasks * number / worlds;
                let seed = options.seed.wrapping_add(number as u64);
                scope.spawn(move || live(tasks, seed, options.broken))
            })
            .collect();
        let ends = running.into_iter().map(|world| match world.join() {
            Ok(verdict) => verdict,
            Err(_) => anyhow::bail!("a world panicked"),
        });
        ends.collect::<Result<Vec<Verdict>>>()
    })?;
    let mut all = Verdict::default();
    for verdict in verdicts {
        all.add(verdict);
    }
    all.tell(options, started.elapsed(), FINDINGS_MAX, out)?;
    Ok(all.is_good())
}

/// One world, on a thread of its own.
fn live(tasks: usize, seed: u64, broken: Option<Broken>) -> Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = runtime.block_on(async {
        let world = World::start(tasks, seed, broken).await?;
        world.live().await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    end.with_context(|| format!("the world of seed {seed} did not come to its end"))
}
