//! The store's clock: the server's, made steady.
//!
//! All processes read one clock, the SQL function `clock` of the schema: the server's time plus an
//! offset that is stored in `meta`. So the clocks of the hosts that receive and handle do not matter.
//!
//! The server's clock may be set, and a promoted standby has another one. So each process remembers a
//! time of the store together with a reading of its own monotonic clock, its anchor. A later time that
//! differs from the anchor by more than [`STEP`] besides what has elapsed is not used: the process
//! rolls back, locks `meta`, and corrects the offset so that the store's time goes on from where it was.
//!
//! A process that was itself suspended sees the same difference, although the clock is right. It is told
//! by `meta.seen`, the latest time that any process has read, which is written about once a second: if
//! others have seen the clock go on, the process takes a new anchor.
//!
//! A process that has just started has no anchor. It starts at the latest time that was seen or later,
//! but no later than [`GAP_MAX`] after it: time during which no process ran counts as at most an hour, so
//! that a clock that is wrong when the server starts makes nothing old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use suno_callback::{Clock, StoreError};
use tokio_postgres::types::Type;

use crate::begin::{BEGIN, LIMIT};
use crate::columns::{Micros, since_start};
use crate::connect::{Connections, Error};

/// The maximum difference between the server's clock and this process's that may arise between two
/// operations without counting as a step of the server's clock.
const STEP: Micros = 2_000_000;
/// The maximum that counts for a time without any process.
const GAP_MAX: Micros = 3_600_000_000;
/// The minimum age of the time in `meta` before it is written again.
const SEEN_EVERY: Micros = 1_000_000;
/// The maximum time between a question and its answer for the answer to become an anchor.
const ANCHOR_WITHIN: Duration = Duration::from_millis(500);

const READ: &str = "
    SELECT {schema}.clock(), m.seen FROM {schema}.meta m FOR UPDATE OF m";
const CORRECT: &str = "
    UPDATE {schema}.meta SET clock_offset = clock_offset + $1, seen = greatest(seen, $2)";
const NOTE: &str = "UPDATE {schema}.meta SET seen = $1 WHERE seen < $1";

/// A time of the store at a reading of the monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    time: Micros,
    reading: Duration,
    /// The latest time that this process has written to `meta`.
    noted: Micros,
}

/// The store's clock as one process sees it.
#[derive(Debug)]
pub(crate) struct StoreClock {
    clock: Arc<dyn Clock>,
    anchor: Mutex<Option<Anchor>>,
}

impl StoreClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            anchor: Mutex::new(None),
        }
    }

    /// Reads the monotonic clock, before a statement asks for the store's time.
    pub(crate) fn reading(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Returns the store's time for the transaction that has read `time` since `sent`, or `None` if the
    /// server's clock was set.
    pub(crate) fn check(&self, time: Micros, sent: Duration) -> Option<Duration> {
        let received = self.clock.monotonic();
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = anchor.as_mut()?;
        anchor.check(time, sent, received).map(since_start)
    }

    /// Returns the time that the store's clock shows now, as far as this process knows.
    pub(crate) fn expected(&self) -> Micros {
        let received = self.clock.monotonic();
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        anchor.map_or(0, |anchor| anchor.expected(received))
    }

    /// Returns the time to write to `meta`, if it is due.
    pub(crate) fn to_note(&self) -> Option<Micros> {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = anchor.as_mut()?;
        let is_due = anchor.time - anchor.noted >= SEEN_EVERY;
        is_due.then(|| {
            anchor.noted = anchor.time;
            anchor.time
        })
    }

    /// Compares the server's clock with this process's under a lock, and corrects the offset or takes a
    /// new anchor.
    pub(crate) async fn correct(&self, connections: &Connections) -> Result<(), StoreError> {
        let sent = self.reading();
        let (time, seen) = connections
            .with(LIMIT, |session| async move {
                let begun = session.batch(BEGIN);
                let read = session.query(READ, &[]);
                let (_, rows) = tokio::try_join!(biased; begun, read)?;
                let row = rows.first().ok_or(Error::Damaged("`meta` has no row"))?;
                let (time, seen): (Micros, Micros) = (row.try_get(0)?, row.try_get(1)?);
                let right = self.right_time(time, seen, sent);
                let seen = right.max(seen);
                let offset = right - time;
                let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
                    [(&offset, Type::INT8), (&seen, Type::INT8)];
                let written = session.query(CORRECT, &parameters);
                let ended = session.batch("COMMIT");
                tokio::try_join!(biased; written, ended)?;
                if offset != 0 {
                    tracing::warn!(
                        seconds = offset / 1_000_000,
                        "the clock of the database server was set; the store's clock goes on as before"
                    );
                }
                Ok((right, seen))
            })
            .await?;
        let reading = self.clock.monotonic();
        let anchor = Anchor {
            time,
            reading,
            noted: seen,
        };
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = Some(anchor);
        Ok(())
    }

    /// Decides which time it is, when the clock shows `time` and others have seen `seen`.
    fn right_time(&self, time: Micros, seen: Micros, sent: Duration) -> Micros {
        let received = self.clock.monotonic();
        let anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        match *anchor {
            Some(anchor) => anchor.right_time(time, seen, sent, received),
            None if seen == 0 => time,
            None => time.clamp(seen, seen.saturating_add(GAP_MAX)),
        }
    }
}

impl Anchor {
    fn expected(&self, reading: Duration) -> Micros {
        let elapsed = reading.saturating_sub(self.reading).as_micros();
        let elapsed = Micros::try_from(elapsed).unwrap_or(Micros::MAX);
        self.time.saturating_add(elapsed)
    }

    fn is_plausible(&self, time: Micros, sent: Duration, received: Duration) -> bool {
        let (from, to) = (self.expected(sent), self.expected(received));
        (from - STEP..=to.saturating_add(STEP)).contains(&time)
    }

    fn check(&mut self, time: Micros, sent: Duration, received: Duration) -> Option<Micros> {
        if !self.is_plausible(time, sent, received) {
            return None;
        }
        let now = time.max(self.time);
        let is_exact = received.saturating_sub(sent) <= ANCHOR_WITHIN;
        if is_exact && received >= self.reading {
            (self.time, self.reading) = (now, received);
        }
        Some(now)
    }

    fn right_time(&self, time: Micros, seen: Micros, sent: Duration, received: Duration) -> Micros {
        let has_gone_on = (seen - STEP..=seen.saturating_add(SEEN_EVERY + STEP)).contains(&time);
        let is_ahead = time > self.expected(received);
        if self.is_plausible(time, sent, received) || (is_ahead && has_gone_on) {
            time
        } else {
            self.expected(received).max(seen)
        }
    }
}

/// Writes a time that was seen, for processes that were suspended and those that start later.
pub(crate) async fn note(connections: &Connections, time: Micros) {
    let noted = connections
        .with(LIMIT, |session| async move {
            session.query(NOTE, &[(&time, Type::INT8)]).await?;
            Ok(())
        })
        .await;
    if let Err(err) = noted {
        tracing::debug!(%err, "the time that was seen could not be written; the next one will be");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;
    const HOUR: Micros = 3_600 * SECOND;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn anchor() -> Anchor {
        Anchor {
            time: 100 * HOUR,
            reading: seconds(50),
            noted: 0,
        }
    }

    #[test]
    fn a_step_of_the_servers_clock_is_not_used_and_the_time_goes_on() {
        let (sent, received) = (seconds(60), seconds(61));
        for step in [-HOUR, -3 * SECOND, 4 * SECOND, HOUR] {
            let time = 100 * HOUR + 10 * SECOND + step;
            assert_eq!(anchor().check(time, sent, received), None, "{step}");
            // The others have last looked before the step.
            let seen = 100 * HOUR + 8 * SECOND;
            let right = anchor().right_time(time, seen, sent, received);
            let expected = 100 * HOUR + 11 * SECOND;
            assert_eq!(right, expected, "{step}");
        }
    }

    #[test]
    fn a_process_that_was_suspended_follows_the_others() {
        let (sent, received) = (seconds(60), seconds(60));
        let time = 101 * HOUR;
        assert_eq!(anchor().check(time, sent, received), None);
        let right = anchor().right_time(time, time - SECOND, sent, received);
        assert_eq!(right, time);
    }

    #[test]
    fn a_drift_that_is_no_step_is_followed() {
        let mut anchor = anchor();
        for round in 1..=100 {
            let time = 100 * HOUR + round * (10 * SECOND + SECOND / 10);
            let reading = seconds(50 + 10 * round.unsigned_abs());
            assert_eq!(anchor.check(time, reading, reading), Some(time));
        }
    }

    #[test]
    fn a_time_that_goes_back_a_little_stands_still() {
        let mut anchor = anchor();
        let now = anchor.check(100 * HOUR - SECOND, seconds(50), seconds(50));
        assert_eq!(now, Some(100 * HOUR));
    }
}
