//! Log lines that anybody can cause: some for each reason in a while, and how many were left out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::clock::after;
use crate::simulation;

/// How long the lines of a reason are counted together.
const WINDOW: Duration = Duration::from_secs(10);
/// How many lines of a reason are logged in that time; the others are counted.
const LINES_MAX: u32 = 5;
/// How many reasons are told apart; the others are counted as one.
const REASONS_MAX: usize = 32;
const OTHER_REASONS: &str = "other reasons";

/// Says which lines are logged. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Throttle(Arc<Mutex<HashMap<Cow<'static, str>, Window>>>);

#[derive(Debug)]
struct Window {
    ends: Instant,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    /// True if a line for this reason is to be logged. If not, it is counted, and a line at the end of
    /// the window says how many were.
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

    /// Ends the window of a reason when it is over. Without a runtime, the next line does.
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
            "more of the same was not logged: {reason}"
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
