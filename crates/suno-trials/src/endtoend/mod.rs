//! `cargo xtask end-to-end`: client, receiver, dispatcher and reconciler against the emulator, under
//! faults drawn at random, on a clock that is stepped.
//!
//! At the end every task that was made has exactly one last event that was handled, found by a
//! callback or by asking, and it is what the provider made of the task; nothing was submitted twice;
//! nothing that a stranger sent was handled. A task whose answer and callbacks were all lost is
//! among the submits that the ledger reports.

mod jobs;
mod options;
mod ours;
mod verdict;
mod world;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub use self::options::{Broken, EndToEnd};
use self::verdict::Verdict;
use self::world::World;

/// How many findings are printed.
const FINDINGS_MAX: usize = 20;

impl EndToEnd {
    /// Runs all worlds to their ends, and tells what was found; false if anything was wrong.
    ///
    /// # Errors
    ///
    /// If a world cannot be set up or does not come to an end.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool> {
        let started = Instant::now();
        let worlds = self.worlds.clamp(1, self.tasks.max(1));
        let verdicts = std::thread::scope(|scope| {
            let running: Vec<_> = (0..worlds)
                .map(|number| {
                    let tasks = self.tasks * (number + 1) / worlds - self.tasks * number / worlds;
                    let seed = self.seed.wrapping_add(number as u64);
                    scope.spawn(move || live(tasks, seed, self.broken))
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
        all.tell(self, started.elapsed(), FINDINGS_MAX, out)?;
        Ok(all.is_good())
    }
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
