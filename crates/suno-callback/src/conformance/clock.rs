//! A clock for benches that moves only on command.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;

/// A clock that moves only on command. Clones show the same time.
///
/// ```
/// use std::time::Duration;
///
/// use suno_callback::Clock;
/// use suno_callback::conformance::ManualClock;
///
/// let clock = ManualClock::new();
/// let (wall, monotonic) = (clock.now(), clock.monotonic());
/// clock.pass(Duration::from_secs(5));
/// assert_eq!(clock.now() - wall, jiff::SignedDuration::from_secs(5));
/// assert_eq!(clock.monotonic() - monotonic, Duration::from_secs(5));
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    times: Arc<Mutex<Times>>,
}

#[derive(Debug)]
struct Times {
    wall: Timestamp,
    monotonic: Duration,
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// Creates a clock that has run for a day, so that a store cannot mistake zero for
    /// the present.
    #[must_use]
    pub fn new() -> Self {
        let times = Times {
            wall: super::scene::at(0),
            monotonic: Duration::from_secs(86_400),
        };
        Self {
            times: Arc::new(Mutex::new(times)),
        }
    }

    /// Moves the system time and the monotonic time forward together.
    pub fn pass(&self, time: Duration) {
        let mut times = self.times();
        times.monotonic += time;
        times.wall = times.wall.saturating_add(time).unwrap_or(times.wall);
    }

    /// Moves only the system time, as if a person had set it.
    pub fn step_wall(&self, step: SignedDuration) {
        let mut times = self.times();
        times.wall = times.wall.saturating_add(step).unwrap_or(times.wall);
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.times().wall
    }

    fn monotonic(&self) -> Duration {
        self.times().monotonic
    }
}
