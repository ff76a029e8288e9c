//! A breaker that tasks wait at: it lends passes, and takes them back also from tasks that are
//! cancelled.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suno_callback::Clock;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::breaker::{Admission, Breaker, BreakerSettings, BreakerState, Pass, Report, Transition};

/// The maximum time that a task waits for a place. After that its event is given back, so that it
/// does not keep a handler from others.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait that an event is given back with if there was no place.
const NO_PLACE_WAIT: Duration = Duration::from_secs(1);

/// The entrance of a destination.
#[derive(Debug)]
pub(crate) struct Gate {
    breaker: Mutex<Breaker>,
    changed: Notify,
    clock: Arc<dyn Clock>,
}

/// The right to send one request, which is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    gate: &'a Gate,
    pass: Option<Pass>,
}

impl Gate {
    pub(crate) fn new(settings: BreakerSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            breaker: Mutex::new(Breaker::new(settings)),
            changed: Notify::new(),
            clock,
        }
    }

    /// Waits for a place. The error is the time after which the event may be tried again.
    pub(crate) async fn enter(&self) -> Result<Entered<'_>, Duration> {
        let entering = timeout(PATIENCE, self.wait_for_place());
        entering.await.unwrap_or(Err(NO_PLACE_WAIT))
    }

    async fn wait_for_place(&self) -> Result<Entered<'_>, Duration> {
        loop {
            // Enabled before the question, so that no change between the two is missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let now = self.clock.monotonic();
            let admission = self.breaker().admit(now);
            match admission {
                Admission::Send(pass) => {
                    return Ok(Entered {
                        gate: self,
                        pass: Some(pass),
                    });
                }
                Admission::NotBefore(time) => return Err(time.saturating_sub(now)),
                Admission::Busy => changed.await,
            }
        }
    }

    pub(crate) fn resume(&self) -> bool {
        let changes = self.breaker().resume(self.clock.monotonic());
        self.changed.notify_waiters();
        changes
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.breaker().state()
    }

    /// Returns the time until something may be sent, and zero if it may be sent now.
    pub(crate) fn wait(&self) -> Duration {
        let now = self.clock.monotonic();
        // A copy, so that asking takes no place.
        let admission = self.breaker().clone().admit(now);
        match admission {
            Admission::NotBefore(time) => time.saturating_sub(now),
            Admission::Send(_) | Admission::Busy => Duration::ZERO,
        }
    }

    /// A breaker is whole after each of its operations, so a panic elsewhere does not matter.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entered<'_> {
    pub(crate) fn is_probe(&self) -> bool {
        self.pass.as_ref().is_some_and(Pass::is_probe)
    }

    /// Gives the pass back and says how the request ended.
    pub(crate) fn report(mut self, report: Report, hold: Option<Duration>) -> Option<Transition> {
        let now = self.gate.clock.monotonic();
        let pass = self.pass.take()?;
        let transition = self.gate.breaker().report(pass, report, hold, now);
        self.gate.changed.notify_waiters();
        transition
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            let now = self.gate.clock.monotonic();
            self.gate.breaker().abandon(pass, now);
            self.gate.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use suno_callback::SystemClock;

    use super::*;

    fn gate(settings: BreakerSettings) -> Gate {
        Gate::new(settings, Arc::new(SystemClock))
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_waits_for_a_place_and_gets_it_when_another_is_cancelled() {
        let gate = gate(BreakerSettings::new().with_in_flight_max(1));
        let first = gate.enter().await.unwrap();
        let (second, ()) = tokio::join!(gate.enter(), async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(first);
        });
        let second = second.unwrap();
        assert_eq!(gate.enter().await.unwrap_err(), NO_PLACE_WAIT);
        assert_eq!(second.report(Report::Success, None), None);
        gate.enter().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_waits_for_a_place_is_sent_away_when_the_destination_goes_down() {
        let settings = BreakerSettings::new().with_failures_max(1);
        let gate = gate(settings.with_in_flight_max(1));
        let first = gate.enter().await.unwrap();
        let (second, opened) =
            tokio::join!(gate.enter(), async { first.report(Report::Failure, None) });
        assert_eq!(second.unwrap_err(), settings.interval);
        assert_eq!(opened, Some(Transition::Opened));
        assert_eq!(gate.wait(), settings.interval);
        assert!(gate.resume());
        assert!(gate.enter().await.unwrap().is_probe());
    }
}
