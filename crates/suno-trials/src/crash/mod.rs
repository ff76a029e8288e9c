//! `cargo xtask crash`: kills a receiver repeatedly under load, and checks that no event is
//! lost.
//!
//! A kill shows that data survives the process. It does not show that data survives a power cut,
//! because the operating system still writes what it was given. The store's `synchronous=FULL`
//! covers that. With two receivers on one server, the server is not killed here.

mod load;
mod options;
mod receiver;
mod songs;
mod subject;
mod verdict;

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use suno_testkit::receiver::ReceiverCommand;

use self::load::Load;
use self::options::Kill;
pub use self::options::{Crash, Variant};
pub(crate) use self::receiver::receive;
use self::subject::{Place, Subject};
use self::verdict::{CrashReport, Observations};
use crate::stored::{StorePlace, block_on, unsettled_in};

/// The maximum duration of a round after the first response.
const ROUND: Duration = Duration::from_millis(600);
/// The time to wait for the last events to be handled.
const PATIENCE: Duration = Duration::from_secs(30);

/// The store is looked into after this many rounds if receivers go on meanwhile: reading all records
/// takes longer than a round in the end.
const ROUNDS_PER_LOOK: u32 = 10;

impl Crash {
    /// Kills and restarts receivers, and reports the findings. Returns false if something is
    /// wrong.
    ///
    /// # Errors
    ///
    /// Returns an error if a receiver cannot be built or started.
    pub fn run(&self, out: &mut dyn Write) -> Result<bool> {
        let place = Place::new(self.store.as_deref())?;
        let store = place.store();
        let command = match self.variant() {
            Some(variant) => subject::of_variant(&place, variant)?,
            None => subject::listen(&place)?,
        };
        let started = Instant::now();
        let mut dice = fastrand::Rng::with_seed(self.seed);
        let mut load = Load::new(self.connections, self.seed);
        let mut seen = Observations::new(self.variant().is_some_and(Variant::watches));
        let mut others = Vec::new();
        for round in 0..self.rounds {
            let lines = self.round(round, &place, &command, &mut others, &mut dice, &mut load)?;
            seen.handled(lines);
            if place.receivers() == 1 || (round + 1).is_multiple_of(ROUNDS_PER_LOOK) {
                seen.look_into(&store)?;
            }
        }
        let last = match self.variant() {
            Some(Variant::HandlerKills | Variant::Watched | Variant::ShortLeases) => {
                subject::listen(&place)?
            }
            _ => command,
        };
        others.push(Subject::start(&last)?);
        wait_until_settled(&store)?;
        for subject in others {
            seen.handled(subject.terminate()?);
        }
        seen.look_into(&store)?;
        if self.variant().is_some_and(Variant::writes_songs) {
            let file = store.as_file().context("the songs need a file")?;
            seen.count_songs(file)?;
        }
        let verdict = CrashReport::new(&load, &seen);
        verdict.tell(self.rounds, started.elapsed(), out)?;
        Ok(verdict.is_good())
    }

    /// Starts the receivers that are missing, sends to all, and kills one. Returns what they printed.
    fn round(
        &self,
        round: u32,
        place: &Place,
        command: &ReceiverCommand,
        running: &mut Vec<Subject>,
        dice: &mut fastrand::Rng,
        load: &mut Load,
    ) -> Result<Vec<String>> {
        while running.len() < place.receivers() {
            running.push(Subject::start(command)?);
        }
        let kill = if self.variant() == Some(Variant::HandlerKills) {
            // The receiver kills itself; if it does not, there are too few events to handle.
            Kill::After(ROUND)
        } else if round % 3 == 2 {
            Kill::AtHandled(dice.usize(1..60))
        } else {
            Kill::After(ROUND.mul_f64(dice.f64()))
        };
        let sending: Vec<_> = running
            .iter()
            .map(|subject| load.begin(subject.address()))
            .collect();
        let victim = running.swap_remove(dice.usize(0..running.len()));
        let mut lines = victim.kill(kill, ROUND)?;
        sending.into_iter().for_each(|sending| load.end(sending));
        for mut subject in std::mem::take(running) {
            if subject.has_ended()? {
                lines.extend(subject.kill(Kill::After(Duration::ZERO), ROUND)?);
            } else {
                lines.extend(subject.printed());
                running.push(subject);
            }
        }
        Ok(lines)
    }
}

fn wait_until_settled(store: &StorePlace) -> Result<()> {
    block_on(async {
        let store = store.open().await?;
        let deadline = Instant::now() + PATIENCE;
        while let left = unsettled_in(&*store).await?
            && left > 0
        {
            if Instant::now() > deadline {
                bail!("{left} events were not handled within {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    })?
}
