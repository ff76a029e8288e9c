//! Decides what happens to an event after a failed attempt, as a pure function.

use std::time::Duration;

use super::{Dispatcher, Settings};
use crate::clock::doubled;
use crate::handler::{FailureAction, HandlerError};
use crate::simulation::{Mutation, mutated};
use crate::store::{DeadCause, Settlement};

/// Decides how to settle a failed attempt. `age` is the current age of the event; `dice` is from
/// 0 to 1.
pub(super) fn after_failure(
    settings: &Settings,
    attempt: u32,
    age: Duration,
    err: &HandlerError,
    dice: f64,
) -> Settlement {
    if err.verdict() == FailureAction::NotNow {
        return Settlement::Release;
    }
    let reason = err.reason();
    let is_over = age >= settings.retry_for && attempt >= Dispatcher::ATTEMPTS_MIN;
    let cause = match err.verdict() {
        FailureAction::GiveUp => Some(DeadCause::GivenUp),
        _ if is_over
            || attempt >= settings.attempts_max
            || (attempt >= 10 && mutated(Mutation::TenAttempts)) =>
        {
            Some(DeadCause::Exhausted)
        }
        _ => None,
    };
    if let Some(cause) = cause {
        return Settlement::Dead { cause, reason };
    }
    let wait = match err.verdict() {
        FailureAction::RetryAfter(wait) => wait,
        _ => backoff(attempt, dice),
    };
    // The last attempt is made at the end of the time, even if the next wait would be longer.
    let after = match settings.retry_for.saturating_sub(age) {
        // It waited for long before its first attempt: the few that it has follow soon.
        Duration::ZERO => wait.min(Dispatcher::BACKOFF_MAX).min(settings.retry_for),
        left => wait.min(left),
    };
    Settlement::Retry { after, reason }
}

/// Returns the wait before the next attempt: it doubles each time, with full jitter.
fn backoff(attempt: u32, dice: f64) -> Duration {
    let times = attempt.saturating_sub(1);
    doubled(Dispatcher::BACKOFF_MIN, times, Dispatcher::BACKOFF_MAX).mul_f64(dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Dispatcher::RETRY_FOR;

    fn settings(attempts_max: u32) -> Settings {
        Settings {
            handlers_max: 1,
            handler_timeout: DAY,
            retry_for: DAY,
            attempts_max,
            lease: Dispatcher::LEASE,
            stop_grace: Dispatcher::STOP_GRACE,
        }
    }

    fn retry(attempt: u32, age: Duration, err: &HandlerError) -> Option<u64> {
        match after_failure(&settings(1_000), attempt, age, err, 1.0) {
            Settlement::Retry { after, .. } => Some(after.as_secs()),
            _ => None,
        }
    }

    #[test]
    fn the_back_off_doubles_up_to_its_bound_and_never_overflows() {
        let ceilings = [1, 2, 3, 9, 10, 11, 100, u32::MAX].map(|attempt| backoff(attempt, 1.0));
        let seconds = ceilings.map(|ceiling| ceiling.as_secs());
        assert_eq!(seconds, [1, 2, 4, 256, 512, 600, 600, 600]);
        assert_eq!(backoff(5, 0.0), Duration::ZERO);
    }

    #[test]
    fn an_event_is_retried_by_its_age_and_a_last_time_at_the_end() {
        let err = HandlerError::retry("away");
        assert_eq!(retry(500, Duration::ZERO, &err), Some(600));
        assert_eq!(retry(500, DAY - Duration::from_secs(9), &err), Some(9));
        assert_eq!(retry(3, DAY, &err), None);
    }

    #[test]
    fn an_event_that_waited_long_for_its_first_attempt_has_a_few_before_it_is_given_up() {
        let err = HandlerError::retry("away");
        let retries = [1, 2, 3].map(|attempt| retry(attempt, 2 * DAY, &err));
        assert_eq!(retries, [Some(1), Some(2), None]);
        let later = HandlerError::retry_after(Duration::MAX, "later");
        assert_eq!(retry(1, 2 * DAY, &later), Some(600));
    }

    #[test]
    fn an_event_that_could_not_be_tried_is_released_whatever_its_age_and_attempts() {
        let err = HandlerError::not_now("down");
        let settled = after_failure(&settings(1), 100, 2 * DAY, &err, 1.0);
        assert_eq!(settled, Settlement::Release);
    }

    #[test]
    fn a_wait_that_the_handler_asks_for_is_kept_within_the_time() {
        let err = HandlerError::retry_after(Duration::MAX, "later");
        assert_eq!(retry(1, Duration::ZERO, &err), Some(86_400));
    }

    #[test]
    fn a_bound_on_attempts_and_a_handler_that_gives_up_end_it_at_once() {
        let away = HandlerError::retry("away");
        let bad = HandlerError::give_up("bad");
        let cause =
            |attempt, err| match after_failure(&settings(3), attempt, Duration::ZERO, err, 1.0) {
                Settlement::Dead { cause, .. } => Some(cause),
                _ => None,
            };
        assert_eq!(cause(2, &away), None);
        assert_eq!(cause(3, &away), Some(DeadCause::Exhausted));
        assert_eq!(cause(1, &bad), Some(DeadCause::GivenUp));
    }
}
