//! The context of every operation: its transaction, the keys, and the current time.

use rusqlite::Transaction;

use crate::clock::{Micros, Reading, StoreClock};
use crate::error::Result;
use crate::keys::Keys;
use crate::requests::LastRequests;
use crate::thread::Memory;

/// The state that a handle keeps between transactions.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    keys: Keys,
    clock: StoreClock,
    requests: LastRequests,
}

impl Memory for Remembered {
    fn forget(&mut self) {
        self.keys.forget();
    }
}

/// An operation in its transaction.
pub(crate) struct Work<'w> {
    pub(crate) transaction: &'w Transaction<'w>,
    pub(crate) keys: &'w mut Keys,
    pub(crate) requests: &'w mut LastRequests,
    pub(crate) now: Micros,
    pub(crate) tally: Tally,
    /// The mark of purged bodies, after an operation has read it.
    pub(crate) bodies_through: Option<i64>,
    /// Whether any event is parked, after an operation has checked.
    pub(crate) has_parked: Option<bool>,
}

/// Changes to the stored counts: counting rows instead would take too long.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) done: i64,
    pub(crate) superseded: i64,
    pub(crate) dropped: i64,
}

impl Tally {
    pub(crate) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if (self.done, self.superseded, self.dropped) == (0, 0, 0) {
            return Ok(());
        }
        transaction
            .prepare_cached(
                "UPDATE marks SET done = done + ?1, superseded = superseded + ?2,
                     dropped = dropped + ?3",
            )?
            .execute([self.done, self.superseded, self.dropped])?;
        Ok(())
    }
}

impl<'w> Work<'w> {
    pub(crate) fn new(
        transaction: &'w Transaction<'w>,
        keys: &'w mut Keys,
        requests: &'w mut LastRequests,
        now: Micros,
    ) -> Self {
        Self {
            transaction,
            keys,
            requests,
            now,
            tally: Tally::default(),
            bodies_through: None,
            has_parked: None,
        }
    }
}

/// Runs an operation that writes.
pub(crate) fn write<T>(
    transaction: &Transaction<'_>,
    remembered: &mut Remembered,
    reading: Reading,
    operation: impl FnOnce(&mut Work<'_>) -> Result<T>,
) -> Result<T> {
    let Remembered {
        keys,
        clock,
        requests,
    } = remembered;
    let now = clock.now(transaction, reading)?;
    keys.catch_up(transaction)?;
    let mut work = Work::new(transaction, keys, requests, now);
    let done = operation(&mut work)?;
    work.tally.write(transaction)?;
    keys.write(transaction)?;
    Ok(done)
}

/// Runs an operation that only reads.
pub(crate) fn read<T>(
    transaction: &Transaction<'_>,
    remembered: &mut Remembered,
    reading: Reading,
    operation: impl FnOnce(&mut Work<'_>) -> Result<T>,
) -> Result<T> {
    let Remembered {
        keys,
        clock,
        requests,
    } = remembered;
    let now = clock.peek(transaction, reading)?;
    operation(&mut Work::new(transaction, keys, requests, now))
}
