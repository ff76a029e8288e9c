//! `cargo xtask crash`: kills a receiver repeatedly under load, and checks that no event is
//! lost.
//!
//! A kill shows that data survives the process. It does not show that data survives a power cut,
//! because the operating system still writes what it was given. The store's `synchronous=FULL`
//! covers that.

mod load;
mod options;
mod receiver;
mod songs;
mod subject;
mod verdict;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::load::Load;
use self::options::Kill;
pub use self::options::{Crash, Variant};
pub(crate) use self::receiver::receive;
use self::subject::Subject;
use self::verdict::{CrashReport, Observations};
use crate::stored::unsettled;

/// The maximum duration of a round after the first response.
const ROUND: Duration = Duration::from_millis(600);
/// The time to wait for the last events to be handled.
const PATIENCE: Duration = Duration::from_secs(30);

impl Crash {
    /// Kills and restarts a receiver, and reports the findings. Returns false if something is
    /// wrong.
    ///
    /// # Errors
    ///
    /// Returns an error if the receiver cannot be built or started.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool> {
        let dir = tempfile::tempdir().context("cannot make a folder for the store")?;
        let store = dir.path().join("suno.db");
        let command = match self.variant() {
            Some(variant) => subject::of_variant(&store, variant)?,
            None => subject::listen(&store)?,
        };
        let started = Instant::now();
        let mut dice = fastrand::Rng::with_seed(self.seed);
        let mut load = Load::new(self.connections, self.seed);
        let mut seen = Observations::default();
        for round in 0..self.rounds {
            let subject = Subject::start(&command)?;
            let kill = if self.variant() == Some(Variant::HandlerKills) {
                // The receiver kills itself; if it does not, there are too few events to handle.
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
        let last = match self.variant() {
            Some(Variant::HandlerKills) => subject::listen(&store)?,
            _ => command,
        };
        let subject = Subject::start(&last)?;
        wait_until_settled(&store)?;
        seen.handled(subject.terminate()?);
        seen.look_into(&store)?;
        if self.variant().is_some_and(Variant::writes_songs) {
            seen.count_songs(&store)?;
        }
        let verdict = CrashReport::new(&load, &seen);
        verdict.tell(self.rounds, started.elapsed(), out)?;
        Ok(verdict.is_good())
    }
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
