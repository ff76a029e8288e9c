//! Keeps requests within the provider's limits: a request that is over a limit waits.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use suno_types::TaskId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::time::after;

/// A maximum number of requests in any period of a given length.
///
/// ```
/// use std::time::Duration;
///
/// use suno_client::Limit;
///
/// assert_eq!(Limit::SUBMITS, Limit::new(20, Duration::from_secs(10)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    count: usize,
    window: Duration,
}

impl Limit {
    /// kie.ai's limit for new tasks: 20 in 10 s for each account (`PROTOCOL.md 1.39`).
    pub const SUBMITS: Self = Self::new(20, Duration::from_secs(10));
    /// kie.ai's limit for polls: 3 in 1 s for each task (`PROTOCOL.md 1.40`).
    pub const POLLS: Self = Self::new(3, Duration::from_secs(1));

    /// Creates a limit of `count` requests in any period as long as `window`; 0 counts as 1.
    #[must_use]
    pub const fn new(count: usize, window: Duration) -> Self {
        let count = if count == 0 { 1 } else { count };
        Self { count, window }
    }
}

/// The number of tasks that are kept before idle ones are removed.
const TASKS_BEFORE_SWEEP: usize = 64;

/// The limits of one account, shared by all clones of a client.
pub(crate) struct Limiter {
    submits: Option<Arc<Window>>,
    poll_limit: Option<Limit>,
    polls: Mutex<Polls>,
}

/// One window for each task that was polled lately.
#[derive(Default)]
struct Polls {
    windows: HashMap<TaskId, Arc<Window>>,
    sweep_at: usize,
}

impl Limiter {
    pub(crate) fn new(submits: Option<Limit>, polls: Option<Limit>) -> Self {
        Self {
            submits: submits.map(Window::new),
            poll_limit: polls,
            polls: Mutex::default(),
        }
    }

    /// Waits for a turn to submit. The caller holds the turn until the answer has arrived.
    pub(crate) async fn submit(&self) -> Option<Permit> {
        match &self.submits {
            Some(window) => Some(window.clone().turn().await),
            None => None,
        }
    }

    /// Waits for a turn to poll `task`. The caller holds the turn until the answer has arrived.
    pub(crate) async fn poll(&self, task: &TaskId) -> Option<Permit> {
        let window = self.window_of(task)?;
        Some(window.turn().await)
    }

    fn window_of(&self, task: &TaskId) -> Option<Arc<Window>> {
        let limit = self.poll_limit?;
        let mut polls = lock(&self.polls);
        if let Some(window) = polls.windows.get(task) {
            return Some(window.clone());
        }
        if polls.windows.len() >= polls.sweep_at {
            let now = Instant::now();
            polls.windows.retain(|_, window| !window.is_idle(now));
            polls.windows.shrink_to(TASKS_BEFORE_SWEEP);
            polls.sweep_at = TASKS_BEFORE_SWEEP.max(2 * polls.windows.len());
        }
        let window = Window::new(limit);
        polls.windows.insert(task.clone(), window.clone());
        Some(window)
    }

    #[cfg(test)]
    fn tasks_remembered(&self) -> usize {
        lock(&self.polls).windows.len()
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

/// A limit and the turns that requests have taken.
///
/// A turn is free again one window after the *answer* of its request. The request reached the
/// provider at some time between its start and its answer, so however long each request is under
/// way, the provider never sees more than the limit in one window.
struct Window {
    limit: Limit,
    /// Locked by the request that is next; the others queue here in order of arrival.
    next: tokio::sync::Mutex<()>,
    turns: Mutex<Turns>,
    given_back: Notify,
}

#[derive(Default)]
struct Turns {
    in_flight: usize,
    /// The times at which returned turns are free again, in order.
    resting: VecDeque<Instant>,
}

impl Window {
    fn new(limit: Limit) -> Arc<Self> {
        Arc::new(Self {
            limit,
            next: tokio::sync::Mutex::default(),
            turns: Mutex::default(),
            given_back: Notify::new(),
        })
    }

    /// Waits for a turn. Dropping the future leaves the queue without a turn.
    async fn turn(self: Arc<Self>) -> Permit {
        let next = self.next.lock().await;
        loop {
            let given_back = self.given_back.notified();
            match self.try_take(Instant::now()) {
                Ok(()) => break,
                Err(Some(free)) => sleep_until(free).await,
                Err(None) => given_back.await,
            }
        }
        drop(next);
        Permit(self)
    }

    /// Takes a turn, or returns the time at which the next one is free, if that is known yet.
    fn try_take(&self, now: Instant) -> Result<(), Option<Instant>> {
        let mut turns = lock(&self.turns);
        while turns.resting.front().is_some_and(|free| *free <= now) {
            turns.resting.pop_front();
        }
        if turns.in_flight + turns.resting.len() < self.limit.count {
            turns.in_flight += 1;
            return Ok(());
        }
        Err(turns.resting.front().copied())
    }

    fn give_back(&self, now: Instant) {
        let mut turns = lock(&self.turns);
        turns.in_flight = turns.in_flight.saturating_sub(1);
        turns.resting.push_back(after(now, self.limit.window));
        drop(turns);
        self.given_back.notify_one();
    }

    /// Returns whether the window can be removed without a change: a request that has a turn or
    /// waits for one holds the window, too. The lock of the map must be held, so that no request
    /// can get the window meanwhile.
    fn is_idle(self: &Arc<Self>, now: Instant) -> bool {
        let turns = lock(&self.turns);
        let rests = turns.resting.back().is_some_and(|free| *free > now);
        !rests && Arc::strong_count(self) == 1
    }
}

/// The right to send one request. Dropping it says that the answer has arrived or is not awaited
/// any more.
pub(crate) struct Permit(Arc<Window>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back(Instant::now());
    }
}

/// Locks a mutex. Nothing panics while one of these is locked, so the data of a poisoned one is
/// good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
