//! A breaker that tasks wait at, in the order in which they came: it lends passes, and takes them back
//! also from tasks that are cancelled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suno_callback::Clock;
use tokio::sync::{Mutex as FairMutex, Notify};
use tokio::time::timeout;

use crate::breaker::{Admission, Breaker, BreakerSettings, BreakerState, Pass, Report, Transition};

/// The entrance of a destination.
#[derive(Debug)]
pub(crate) struct Gate {
    breaker: Mutex<Breaker>,
    /// Held by the task that asks the breaker. The others wait for it in their order, so that the
    /// probe is the task that has waited longest.
    turn: FairMutex<()>,
    changed: Notify,
    is_closed: AtomicBool,
    clock: Arc<dyn Clock>,
    patience: Duration,
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
            turn: FairMutex::new(()),
            changed: Notify::new(),
            is_closed: AtomicBool::new(false),
            clock,
            patience: settings.patience,
        }
    }

    /// Waits for a place, also while the destination is down: an event that waits here costs nothing,
    /// and one that is given back has to be claimed again. `None` if there was none in time, or if the
    /// gate is closed.
    pub(crate) async fn enter(&self) -> Option<Entered<'_>> {
        timeout(self.patience, self.wait_for_place()).await.ok()?
    }

    /// Sends away the tasks that wait and those that come later.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    async fn wait_for_place(&self) -> Option<Entered<'_>> {
        let _turn = self.turn.lock().await;
        loop {
            // Enabled before the question, so that no change between the two is missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.is_closed.load(Ordering::Acquire) {
                return None;
            }
            let now = self.clock.monotonic();
            let admission = self.breaker().admit(now);
            match admission {
                Admission::Send(pass) => {
                    return Some(Entered {
                        gate: self,
                        pass: Some(pass),
                    });
                }
                Admission::NotBefore(time) => {
                    let _ = timeout(time.saturating_sub(now), changed).await;
                }
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
    use jiff::Timestamp;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// The time of the runtime, which a test can let pass, and what it is ahead.
    #[derive(Debug)]
    struct RuntimeClock(Instant, Arc<Mutex<Duration>>);

    impl Clock for RuntimeClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            self.0.elapsed() + *self.1.lock().unwrap()
        }
    }

    fn gate(settings: BreakerSettings) -> Arc<Gate> {
        ahead(settings).0
    }

    /// A gate, and what its clock is ahead.
    fn ahead(settings: BreakerSettings) -> (Arc<Gate>, Arc<Mutex<Duration>>) {
        let ahead = Arc::<Mutex<Duration>>::default();
        let clock = RuntimeClock(Instant::now(), ahead.clone());
        (Arc::new(Gate::new(settings, Arc::new(clock))), ahead)
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_waits_for_a_place_and_gets_it_when_another_is_cancelled() {
        let settings = BreakerSettings::new().with_in_flight_max(1);
        let gate = gate(settings);
        let first = gate.enter().await.unwrap();
        let (second, ()) = tokio::join!(gate.enter(), async {
            sleep(Duration::from_secs(5)).await;
            drop(first);
        });
        let second = second.unwrap();
        let start = Instant::now();
        assert!(gate.enter().await.is_none());
        assert_eq!(start.elapsed(), settings.patience);
        assert_eq!(second.report(Report::Success, None), None);
        gate.enter().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_that_has_waited_longest_is_the_probe() {
        let settings = BreakerSettings::new().with_failures_max(1);
        let gate = gate(settings);
        let opening = gate.enter().await.unwrap();
        assert_eq!(
            opening.report(Report::Failure, None),
            Some(Transition::Opened)
        );
        assert_eq!(gate.wait(), settings.interval);
        let start = Instant::now();
        let (entered, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..4 {
            let (gate, entered) = (gate.clone(), entered.clone());
            tokio::spawn(async move {
                let pass = gate.enter().await.unwrap();
                let is_probe = pass.is_probe();
                pass.report(Report::Success, None);
                entered.send((number, is_probe)).unwrap();
            });
            tokio::task::yield_now().await;
        }
        for expected in [(0, true), (1, false), (2, false), (3, false)] {
            assert_eq!(order.recv().await, Some(expected));
        }
        assert_eq!(start.elapsed(), settings.interval);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_comes_at_the_right_moment_does_not_go_before_those_that_wait() {
        let settings = BreakerSettings::new().with_failures_max(1);
        let (gate, ahead) = ahead(settings);
        let opening = gate.enter().await.unwrap();
        opening.report(Report::Failure, None);
        let waiting = gate.clone();
        let first = tokio::spawn(async move { waiting.enter().await.unwrap().is_probe() });
        tokio::task::yield_now().await;
        *ahead.lock().unwrap() = settings.interval;
        let second = gate.enter().await.unwrap();
        assert!(first.is_finished() && first.await.unwrap());
        assert!(second.is_probe(), "the first one was cancelled");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_waits_for_a_paused_destination_goes_when_it_is_resumed() {
        let gate = gate(BreakerSettings::new());
        let pausing = gate.enter().await.unwrap();
        assert_eq!(
            pausing.report(Report::Pause, None),
            Some(Transition::Paused)
        );
        let (probe, ()) = tokio::join!(gate.enter(), async {
            sleep(Duration::from_secs(5)).await;
            assert!(gate.resume());
        });
        assert!(probe.unwrap().is_probe());
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_that_is_closed_sends_all_tasks_away_at_once() {
        let gate = gate(BreakerSettings::new().with_in_flight_max(1));
        let first = gate.enter().await.unwrap();
        let start = Instant::now();
        let (second, third, ()) = tokio::join!(gate.enter(), gate.enter(), async { gate.close() });
        assert!(second.is_none() && third.is_none());
        assert_eq!(first.report(Report::Success, None), None);
        assert!(gate.enter().await.is_none());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
