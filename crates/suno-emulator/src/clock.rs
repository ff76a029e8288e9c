//! The clock of the tasks: scaled real time, or a time that a test advances.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A time on both scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    /// Milliseconds since the start on the time line of the tasks, which may run faster than real
    /// time.
    pub(crate) at_ms: u64,
    /// Milliseconds since 1970, as receivers and clients see it.
    pub(crate) unix_ms: u64,
}

/// The clock of one emulator.
#[derive(Debug)]
pub(crate) enum Clock {
    /// Real time, multiplied by a factor.
    Real { started: Instant, speed: f64 },
    /// A time that changes only by `move_to`.
    Driven {
        start_unix_ms: u64,
        at_ms: AtomicU64,
    },
}

impl Clock {
    pub(crate) fn real(speed: f64) -> Self {
        Self::Real {
            started: Instant::now(),
            speed,
        }
    }

    pub(crate) fn driven(start_unix_ms: u64) -> Self {
        Self::Driven {
            start_unix_ms,
            at_ms: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_driven(&self) -> bool {
        matches!(self, Self::Driven { .. })
    }

    pub(crate) fn now(&self) -> Moment {
        match self {
            Self::Real { started, speed } => Moment {
                at_ms: scaled_ms(started.elapsed(), *speed),
                unix_ms: system_unix_ms(),
            },
            Self::Driven {
                start_unix_ms,
                at_ms,
            } => {
                let at_ms = at_ms.load(Ordering::SeqCst);
                Moment {
                    at_ms,
                    unix_ms: start_unix_ms.saturating_add(at_ms),
                }
            }
        }
    }

    /// Returns the real time since an instant, or zero with a driven clock.
    pub(crate) fn since(&self, began: Instant) -> Duration {
        match self {
            Self::Real { .. } => began.elapsed(),
            Self::Driven { .. } => Duration::ZERO,
        }
    }

    /// Returns the instant at which the time line reaches `at_ms`, or `None` with a driven clock or
    /// if it is too far in the future.
    pub(crate) fn instant_of(&self, at_ms: u64) -> Option<Instant> {
        match self {
            Self::Real { started, speed } => {
                let real = Duration::try_from_secs_f64(at_ms as f64 / 1000.0 / speed).ok()?;
                // Rounded up, so that the time is reached after sleeping until the instant.
                started.checked_add(real.checked_add(Duration::from_millis(1))?)
            }
            Self::Driven { .. } => None,
        }
    }

    /// Advances a driven clock to a time, never back. Does nothing to a real clock.
    pub(crate) fn move_to(&self, to_ms: u64) {
        if let Self::Driven { at_ms, .. } = self {
            at_ms.fetch_max(to_ms, Ordering::SeqCst);
        }
    }
}

fn scaled_ms(elapsed: Duration, speed: f64) -> u64 {
    (elapsed.as_secs_f64() * 1000.0 * speed) as u64
}

/// Returns the milliseconds since 1970 by the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the emulator's one edge to the system clock"
)]
pub(crate) fn system_unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
