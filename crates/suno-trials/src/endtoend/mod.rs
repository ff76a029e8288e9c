//! `cargo xtask end-to-end`: client, receiver, dispatcher and reconciler against the emulator, with
//! random faults, on a clock that advances in steps.
//!
//! At the end, every created task must have exactly one handled terminal event, found by a callback
//! or by a poll, which matches the provider's true result. No job may be submitted twice, and no
//! stranger's event may be handled. A task whose response and callbacks were all lost must be among
//! the submits that the ledger reports.

mod jobs;
mod options;
mod ours;
mod verdict;
mod world;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub use self::options::{Broken, EndToEnd};
use self::verdict::WorldReport;
use self::world::World;

/// The maximum number of findings that are printed.
const FINDINGS_MAX: usize = 20;

impl EndToEnd {
    /// Runs all worlds to their ends, and reports the findings. Returns false if anything was
    /// wrong.
    ///
    /// # Errors
    ///
    /// Returns an error if a world cannot be set up or does not end.
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
            ends.collect::<Result<Vec<WorldReport>>>()
        })?;
        let mut all = WorldReport::default();
        for verdict in verdicts {
            all.add(verdict);
        }
        all.tell(self, started.elapsed(), FINDINGS_MAX, out)?;
        Ok(all.is_good())
    }
}

/// Runs one world on a separate thread.
fn live(tasks: usize, seed: u64, broken: Option<Broken>) -> Result<WorldReport> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let end = runtime.block_on(async {
        let world = World::start(tasks, seed, broken).await?;
        world.live().await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    end.with_context(|| format!("the world of seed {seed} did not end"))
}
