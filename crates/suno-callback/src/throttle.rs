//! Limits log lines that any sender can cause: logs a few for each reason in a window, and counts
//! the rest.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::clock::after;
use crate::simulation;

/// The length of the window in which lines of a reason are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// The maximum number of lines of a reason that are logged in a window; the others are counted.
const LINES_MAX: u32 = 5;
/// The maximum number of reasons that are counted separately; the others share one count.
const REASONS_MAX: usize = 32;
const OTHER_REASONS: &str = "other reasons";

/// Decides which lines are logged. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Throttle(Arc<Mutex<HashMap<Cow<'static, str>, Window>>>);

#[derive(Debug)]
struct Window {
    ends: Instant,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    /// Whether to log a line for this reason. If not, the line is counted, and a line at the end of
    /// the window reports the count.
    pub(crate) fn admits(&self, reason: impl Into<Cow<'static, str>>) -> bool {
        let now = Instant::now();
        let mut reason = reason.into();
        let mut windows = self.windows();
        if windows.len() >= REASONS_MAX && !windows.contains_key(&reason) {
            reason = OTHER_REASONS.into();
        }
        if windows
            .get(&reason)
            .is_some_and(|window| window.ends <= now)
        {
            sum_up(&reason, windows.remove(&reason));
        }
        let window = windows.entry(reason.clone()).or_insert(Window {
            ends: after(now, WINDOW),
            lines: 0,
            left_out: 0,
        });
        if window.lines < LINES_MAX {
            window.lines += 1;
            return true;
        }
        window.left_out += 1;
        if window.left_out == 1 {
            self.sum_up_at(window.ends, reason);
        }
        false
    }

    /// Ends the window of a reason when it is over. Without a runtime, the next line ends it.
    fn sum_up_at(&self, ends: Instant, reason: Cow<'static, str>) {
        if Handle::try_current().is_err() {
            return;
        }
        let throttle = self.clone();
        simulation::spawn(async move {
            sleep_until(ends).await;
            let mut windows = throttle.windows();
            if windows
                .get(&reason)
                .is_some_and(|window| window.ends == ends)
            {
                sum_up(&reason, windows.remove(&reason));
            }
        });
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Cow<'static, str>, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sum_up(reason: &str, window: Option<Window>) {
    let left_out = window.map_or(0, |window| window.left_out);
    if left_out > 0 {
        let seconds = WINDOW.as_secs();
        tracing::warn!(
            left_out,
            seconds,
            "more lines of this reason were not logged: {reason}"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_some_lines_and_a_sum() {
        let throttle = Throttle::default();
        let logged = (0..1_000).filter(|_| throttle.admits("no signature"));
        assert_eq!(logged.count(), LINES_MAX as usize);
        assert_eq!(throttle.windows()["no signature"].left_out, 995);
        assert!(throttle.admits("another reason"));
        tokio::time::sleep(WINDOW + Duration::from_millis(1)).await;
        assert!(!throttle.windows().contains_key("no signature"));
        assert!(throttle.admits("no signature"));
    }

    #[tokio::test(start_paused = true)]
    async fn reasons_are_bounded() {
        let throttle = Throttle::default();
        for number in 0..10 * REASONS_MAX {
            throttle.admits(format!("reason {number}"));
        }
        assert!(throttle.windows().len() <= REASONS_MAX + 1);
    }
}
