//! The store's clock: it never goes back, and changes to the system clock do not affect it.
//!
//! Its time is the system's plus an offset that is stored in the file, so that all processes that
//! use the file share it. Each process compares how far that time has moved with its own monotonic
//! clock. If they differ by more than [`STEP`], the system clock was set: the offset absorbs the
//! difference, and the other processes read the new offset.
//!
//! A process that has just opened the file has nothing to compare with. It starts at the latest
//! time in the file or later, but no later than [`GAP_MAX`] after it: time during which no process
//! used the file counts as at most an hour, so that a clock that is wrong at the start makes
//! nothing old.
//!
//! One case remains: if the system clock is set while other processes use the file, and a process
//! opens it before one of them has used it again, that process takes the jump for elapsed time.
//! Claims of the others can then lapse too early, by the size of the jump and at most an hour. The
//! others use the file at least every third of a lease, and cancel their handlers when they find
//! their claims lost.

use std::time::Duration;

use rusqlite::Transaction;
use suno_callback::Clock;

use crate::error::Result;

/// A time of the store's clock or of the system's, in microseconds.
pub(crate) type Micros = i64;

/// The maximum difference between the system clock and the monotonic clock that may arise between
/// two operations without counting as a change of the system clock.
const STEP: Micros = 1_000_000;
/// The maximum that counts for a time without any process.
const GAP_MAX: Micros = 3_600_000_000;
/// The maximum age of the time in the file before it is written again.
const WRITTEN_EVERY: Micros = 1_000_000;

/// The readings of this process's clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    system: Micros,
    monotonic: Duration,
}

impl Reading {
    pub(crate) fn of(clock: &dyn Clock) -> Self {
        Self {
            system: clock.now().as_microsecond(),
            monotonic: clock.monotonic(),
        }
    }
}

/// The state of the store's clock that a process remembers.
#[derive(Debug, Default)]
pub(crate) struct StoreClock {
    /// The store's time at a reading of the monotonic clock.
    anchor: Option<(Micros, Duration)>,
}

/// The columns of `marks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    clock: Micros,
    offset: Micros,
}

impl StoreClock {
    /// Returns the current time, in a transaction that writes.
    pub(crate) fn now(
        &mut self,
        transaction: &Transaction<'_>,
        reading: Reading,
    ) -> Result<Micros> {
        let kept = Kept::read(transaction)?;
        let (now, offset) = self.advance(kept, reading);
        if offset != kept.offset || now - kept.clock >= WRITTEN_EVERY {
            transaction
                .prepare_cached("UPDATE marks SET clock = ?1, clock_offset = ?2")?
                .execute([now, offset])?;
        }
        Ok(now)
    }

    /// Returns the current time, in a transaction that only reads.
    pub(crate) fn peek(
        &mut self,
        transaction: &Transaction<'_>,
        reading: Reading,
    ) -> Result<Micros> {
        Ok(self.advance(Kept::read(transaction)?, reading).0)
    }

    fn advance(&mut self, kept: Kept, reading: Reading) -> (Micros, Micros) {
        let by_system = reading.system.saturating_add(kept.offset);
        let now = match self.anchor {
            Some((then, monotonic)) => {
                let by_monotonic = then + micros(reading.monotonic.saturating_sub(monotonic));
                if by_system.abs_diff(by_monotonic) > STEP.unsigned_abs() {
                    by_monotonic
                } else {
                    by_system.max(then)
                }
            }
            None if kept.clock == 0 => by_system,
            None => by_system.clamp(kept.clock, kept.clock + GAP_MAX),
        };
        let now = now.max(kept.clock);
        self.anchor = Some((now, reading.monotonic));
        // Within the tolerance of a step, the offset does not change.
        let is_off = now.abs_diff(by_system) > STEP.unsigned_abs();
        let offset = if is_off {
            now - reading.system
        } else {
            kept.offset
        };
        (now, offset)
    }
}

impl Kept {
    fn read(transaction: &Transaction<'_>) -> Result<Self> {
        let mut statement = transaction.prepare_cached("SELECT clock, clock_offset FROM marks")?;
        Ok(statement.query_row((), |row| {
            Ok(Self {
                clock: row.get(0)?,
                offset: row.get(1)?,
            })
        })?)
    }
}

/// Converts a duration to microseconds.
pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// Returns the time after a wait.
pub(crate) fn after(now: Micros, wait: Duration) -> Micros {
    now.saturating_add(micros(wait))
}

/// Returns the duration until a time; zero if it has passed.
pub(crate) fn left(now: Micros, until: Micros) -> Duration {
    Duration::from_micros(until.saturating_sub(now).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;
    const DAY: Micros = 86_400 * SECOND;

    /// Processes on one machine that share one file.
    struct Machine {
        kept: Kept,
        reading: Reading,
    }

    impl Machine {
        fn new() -> Self {
            let reading = Reading {
                system: 1_000 * DAY,
                monotonic: Duration::from_secs(77),
            };
            let kept = Kept {
                clock: 0,
                offset: 0,
            };
            Self { kept, reading }
        }

        fn pass(&mut self, seconds: u32) {
            self.reading.system += Micros::from(seconds) * SECOND;
            self.reading.monotonic += Duration::from_secs(seconds.into());
        }

        fn now(&mut self, process: &mut StoreClock) -> Micros {
            let (now, offset) = process.advance(self.kept, self.reading);
            assert!(now >= self.kept.clock, "the store's time went back");
            self.kept = Kept { clock: now, offset };
            now
        }
    }

    #[test]
    fn a_step_in_either_direction_moves_nothing_for_processes_that_run() {
        for step in [-400 * DAY, -61 * SECOND, 61 * SECOND, 31 * DAY] {
            let mut machine = Machine::new();
            let (mut one, mut two) = (StoreClock::default(), StoreClock::default());
            let start = machine.now(&mut one);
            machine.now(&mut two);
            machine.reading.system += step;
            machine.pass(5);
            assert_eq!(machine.now(&mut two) - start, 5 * SECOND, "{step}");
            machine.pass(5);
            assert_eq!(machine.now(&mut one) - start, 10 * SECOND, "{step}");
            machine.reading.system -= step;
            assert_eq!(machine.now(&mut two) - start, 10 * SECOND, "{step}");
        }
    }

    #[test]
    fn a_gap_without_any_process_counts_an_hour_at_most_and_never_backwards() {
        for (gap, counted) in [(600 * SECOND, 600 * SECOND), (31 * DAY, GAP_MAX), (-DAY, 0)] {
            let mut machine = Machine::new();
            let last = machine.now(&mut StoreClock::default());
            machine.reading.system += gap;
            machine.reading.monotonic = Duration::ZERO;
            let mut restarted = StoreClock::default();
            assert_eq!(machine.now(&mut restarted) - last, counted, "{gap}");
            machine.pass(7);
            assert_eq!(machine.now(&mut restarted) - last, counted + 7 * SECOND);
        }
    }

    #[test]
    fn a_drift_that_is_no_step_is_followed() {
        let mut machine = Machine::new();
        let mut process = StoreClock::default();
        let start = machine.now(&mut process);
        for _ in 0..100 {
            machine.pass(10);
            machine.reading.system += SECOND / 10;
            machine.now(&mut process);
        }
        assert_eq!(machine.now(&mut process) - start, 1_010 * SECOND);
    }
}
