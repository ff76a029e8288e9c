//! The table of answers, and the waits between attempts.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use super::Action;
use super::failure::Failure;
use super::retry_after::{self, IgnoredRetryAfter};

/// The header with which a consumer says what to do with the message or with the destination.
const DELIVERY_HEADER: &str = "webhook-delivery";

/// The meaning of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The action.
    pub action: Action,
    /// The time for which the answer asks to wait, as it was sent: not bounded yet.
    pub retry_after: Option<Duration>,
    /// True if no request is to be sent to the destination for that time.
    pub holds_destination: bool,
    /// The reason why a `Retry-After` has no effect.
    pub ignored: Option<IgnoredRetryAfter>,
    /// True if `webhook-delivery` decided the action, and not the status.
    pub is_asked_for: bool,
}

impl Verdict {
    /// Creates a verdict that only has an action.
    #[must_use]
    pub const fn new(action: Action) -> Self {
        Self {
            action,
            retry_after: None,
            holds_destination: false,
            ignored: None,
            is_asked_for: false,
        }
    }
}

/// The next step for the event after a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The event is handled.
    Done,
    /// The event is tried again after this time.
    Retry(Duration),
    /// The event is a dead letter.
    DeadLetter,
    /// The event waits until the destination works again. The attempt does not count.
    Wait,
}

/// The waits between the attempts of an event: random, with a bound that doubles each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The bound of the first wait. The default is 5 s.
    pub first: Duration,
    /// The largest bound. The default is 1 h.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(5),
            max: Duration::from_secs(3_600),
        }
    }
}

impl Backoff {
    /// Returns the bound of the wait after an attempt with this number, counted from 1.
    #[must_use]
    pub fn bound(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1);
        self.first
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.max)
    }
}

/// Decides what an attempt means. The default is the table of [this module](super).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    statuses: BTreeMap<u16, Action>,
    failures: BTreeMap<Failure, Action>,
    /// The waits before an event is tried again.
    pub backoff: Backoff,
    /// The maximum by which a `Retry-After` may exceed the back-off. The default is 2 h.
    pub retry_after_excess_max: Duration,
    /// The number of attempts for an event that is at fault. The default is 3.
    pub bad_event_attempts: u32,
    /// The minimum wait between those attempts. A destination that is being deployed answers 400
    /// for a while. The default is 2 min.
    pub bad_event_wait: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy {
    /// Returns the default policy.
    #[must_use]
    pub fn new() -> Self {
        Self {
            statuses: BTreeMap::new(),
            failures: BTreeMap::new(),
            backoff: Backoff::default(),
            retry_after_excess_max: Duration::from_secs(2 * 3_600),
            bad_event_attempts: 3,
            bad_event_wait: Duration::from_secs(120),
        }
    }

    /// Sets what a status means, also a 2xx.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode, action: Action) -> Self {
        self.statuses.insert(status.as_u16(), action);
        self
    }

    /// Sets what it means that no answer was received for this reason. The default is
    /// [`Action::Retry`].
    #[must_use]
    pub fn with_failure(mut self, failure: Failure, action: Action) -> Self {
        self.failures.insert(failure, action);
        self
    }

    /// Sets [`backoff`](Self::backoff).
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, max: Duration) -> Self {
        self.backoff = Backoff { first, max };
        self
    }

    /// Sets [`retry_after_excess_max`](Self::retry_after_excess_max).
    #[must_use]
    pub fn with_retry_after_excess_max(mut self, excess: Duration) -> Self {
        self.retry_after_excess_max = excess;
        self
    }

    /// Sets [`bad_event_attempts`](Self::bad_event_attempts); 0 counts as 1.
    #[must_use]
    pub fn with_bad_event_attempts(mut self, attempts: u32) -> Self {
        self.bad_event_attempts = attempts.max(1);
        self
    }

    /// Sets [`bad_event_wait`](Self::bad_event_wait).
    #[must_use]
    pub fn with_bad_event_wait(mut self, wait: Duration) -> Self {
        self.bad_event_wait = wait;
        self
    }

    /// Decides what an answer means. `now` is compared with dates in its headers.
    #[must_use]
    pub fn judge(&self, status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Verdict {
        let asked = asked_for(headers).filter(|_| !status.is_success());
        let mut verdict = Verdict::new(match asked {
            Some(Delivery::AbortMessage) => Action::Abandon,
            Some(Delivery::Disable) => self.action(StatusCode::GONE),
            None => self.action(status),
        });
        verdict.is_asked_for = asked.is_some();
        match retry_after::read(headers, now) {
            Ok(wait) => verdict.retry_after = wait,
            Err(ignored) => verdict.ignored = Some(ignored),
        }
        verdict.holds_destination = verdict.retry_after.is_some()
            && matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
            );
        verdict
    }

    /// Decides what it means that no answer was received.
    #[must_use]
    pub fn judge_failure(&self, failure: Failure) -> Verdict {
        let action = self.failures.get(&failure).copied();
        Verdict::new(action.unwrap_or(Action::Retry))
    }

    /// Returns what a status means.
    #[must_use]
    pub fn action(&self, status: StatusCode) -> Action {
        if let Some(action) = self.statuses.get(&status.as_u16()) {
            return *action;
        }
        match status.as_u16() {
            200..=299 => Action::Done,
            400 | 413 | 415 | 422 => Action::BadEvent,
            300..=399 | 401 | 403 | 404 | 405 | 407 | 410 | 421 | 426 | 431 => Action::Pause,
            _ => Action::Retry,
        }
    }

    /// Decides what follows for the event after an attempt with this number, counted from 1.
    /// `random` is from 0 to 1: it moves a wait upwards only, so no wait is shorter than what the
    /// answer asked for.
    #[must_use]
    pub fn step(&self, verdict: &Verdict, attempt: u32, random: f64) -> Step {
        let floor = self.floor(verdict, attempt);
        let random = if random.is_finite() {
            random.clamp(0.0, 1.0)
        } else {
            1.0
        };
        match verdict.action {
            Action::Done => Step::Done,
            Action::Abandon => Step::DeadLetter,
            Action::Pause => Step::Wait,
            Action::BadEvent if attempt >= self.bad_event_attempts => Step::DeadLetter,
            Action::BadEvent => {
                let wait = self.bad_event_wait;
                Step::Retry(floor.max(wait).saturating_add(stretch(wait, random / 2.0)))
            }
            Action::Retry => {
                let jitter = stretch(self.backoff.bound(attempt), random);
                Step::Retry(floor.saturating_add(jitter))
            }
        }
    }

    /// Returns the time for which the answer asks to wait, at most
    /// [`retry_after_excess_max`](Self::retry_after_excess_max) longer than the back-off.
    #[must_use]
    pub fn floor(&self, verdict: &Verdict, attempt: u32) -> Duration {
        let max = self
            .backoff
            .bound(attempt)
            .saturating_add(self.retry_after_excess_max);
        verdict.retry_after.unwrap_or_default().min(max)
    }
}

/// A word of the header `webhook-delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    AbortMessage,
    Disable,
}

fn asked_for(headers: &HeaderMap) -> Option<Delivery> {
    let word = headers.get(DELIVERY_HEADER)?.to_str().ok()?.trim();
    if word.eq_ignore_ascii_case("abort-message") {
        Some(Delivery::AbortMessage)
    } else if word.eq_ignore_ascii_case("disable") {
        Some(Delivery::Disable)
    } else {
        None
    }
}

/// The product of a time and a factor from 0 to 1.
fn stretch(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::RETRY_AFTER;
    use proptest::prelude::*;

    use super::*;

    fn status(code: u16) -> StatusCode {
        StatusCode::from_u16(code).unwrap()
    }

    fn judge(code: u16, headers: &[(&'static str, &'static str)]) -> Verdict {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        Policy::new().judge(status(code), &headers, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn every_status_has_one_action() {
        for code in 100..1000 {
            let expected = match code {
                200..=299 => Action::Done,
                400 | 413 | 415 | 422 => Action::BadEvent,
                300..=399 | 401 | 403 | 404 | 405 | 407 | 410 | 421 | 426 | 431 => Action::Pause,
                _ => Action::Retry,
            };
            assert_eq!(judge(code, &[]), Verdict::new(expected), "{code}");
        }
    }

    #[test]
    fn the_policy_can_be_set_for_each_status() {
        let policy = Policy::new()
            .with_status(status(410), Action::Abandon)
            .with_status(status(202), Action::Retry);
        assert_eq!(policy.action(status(410)), Action::Abandon);
        assert_eq!(policy.action(status(202)), Action::Retry);
        assert_eq!(policy.action(status(200)), Action::Done);
        // What the consumer asks for follows the setting of 410.
        let mut headers = HeaderMap::new();
        headers.insert(DELIVERY_HEADER, HeaderValue::from_static("disable"));
        let verdict = policy.judge(status(500), &headers, SystemTime::UNIX_EPOCH);
        assert_eq!(verdict.action, Action::Abandon);
    }

    #[test]
    fn no_answer_is_tried_again_unless_the_policy_says_otherwise() {
        let policy = Policy::new().with_failure(Failure::Tls, Action::Pause);
        for failure in [Failure::Connect, Failure::TimedOut, Failure::Closed] {
            assert_eq!(policy.judge_failure(failure).action, Action::Retry);
        }
        assert_eq!(policy.judge_failure(Failure::Tls).action, Action::Pause);
    }

    #[test]
    fn the_consumer_can_refuse_a_message_or_the_destination() {
        let delivery = |word| ("webhook-delivery", word);
        for (code, word, expected) in [
            (500, "abort-message", Action::Abandon),
            (404, " Abort-Message ", Action::Abandon),
            (500, "disable", Action::Pause),
            (500, "later", Action::Retry),
            (200, "abort-message", Action::Done),
            (204, "disable", Action::Done),
        ] {
            let verdict = judge(code, &[delivery(word)]);
            assert_eq!(verdict.action, expected, "{code} {word}");
            let is_asked_for = code != 200 && code != 204 && word != "later";
            assert_eq!(verdict.is_asked_for, is_asked_for, "{code} {word}");
        }
    }

    #[test]
    fn a_busy_destination_is_held_and_another_one_is_not() {
        for (code, expected) in [(429, true), (503, true), (500, false), (502, false)] {
            let verdict = judge(code, &[("retry-after", "2")]);
            assert_eq!(verdict.holds_destination, expected, "{code}");
            assert_eq!(verdict.retry_after, Some(Duration::from_secs(2)));
        }
        let verdict = judge(429, &[("retry-after", "soon")]);
        assert_eq!(verdict.ignored, Some(IgnoredRetryAfter::Malformed));
        assert!(!verdict.holds_destination && verdict.retry_after.is_none());
    }

    #[test]
    fn a_bad_event_is_tried_three_times_minutes_apart() {
        let policy = Policy::new();
        let bad = Verdict::new(Action::BadEvent);
        let seconds = |attempt, random| match policy.step(&bad, attempt, random) {
            Step::Retry(wait) => Some(wait.as_secs()),
            Step::DeadLetter => None,
            other => panic!("{other:?}"),
        };
        assert_eq!((seconds(1, 0.0), seconds(2, 1.0)), (Some(120), Some(180)));
        assert_eq!((seconds(3, 0.5), seconds(u32::MAX, 0.5)), (None, None));
        let once = Policy::new().with_bad_event_attempts(0);
        assert_eq!(once.step(&bad, 1, 0.0), Step::DeadLetter);
    }

    #[test]
    fn the_bound_of_the_back_off_doubles_and_never_overflows() {
        let backoff = Backoff::default();
        let bounds = [1, 2, 3, 10, 11, 12, u32::MAX].map(|attempt| backoff.bound(attempt));
        let seconds = bounds.map(|bound| bound.as_secs());
        assert_eq!(seconds, [5, 10, 20, 2_560, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn a_huge_retry_after_is_capped() {
        let mut headers = HeaderMap::new();
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from_static("999999999999999999999"),
        );
        let policy = Policy::new();
        let verdict = policy.judge(status(503), &headers, SystemTime::UNIX_EPOCH);
        let step = policy.step(&verdict, 1, 0.0);
        assert_eq!(step, Step::Retry(Duration::from_secs(2 * 3_600 + 5)));
    }

    proptest! {
        #[test]
        fn no_wait_is_shorter_than_the_floor_or_longer_than_its_bounds(
            seconds in 0_u64..10_000, attempt: u32, random: f64,
        ) {
            let policy = Policy::new();
            let mut verdict = Verdict::new(Action::Retry);
            verdict.retry_after = Some(Duration::from_secs(seconds));
            let Step::Retry(wait) = policy.step(&verdict, attempt, random) else {
                panic!("not retried");
            };
            let bound = policy.backoff.bound(attempt);
            let floor = Duration::from_secs(seconds).min(bound + policy.retry_after_excess_max);
            prop_assert!(wait >= floor);
            prop_assert!(wait <= floor + bound);
        }

        #[test]
        fn durations_without_an_end_are_no_panic(attempt: u32, random: f64) {
            let policy = Policy::new()
                .with_backoff(Duration::MAX, Duration::MAX)
                .with_bad_event_wait(Duration::MAX)
                .with_bad_event_attempts(u32::MAX)
                .with_retry_after_excess_max(Duration::MAX);
            let mut verdict = Verdict::new(Action::Retry);
            verdict.retry_after = Some(Duration::MAX);
            let step = policy.step(&verdict, attempt, random);
            prop_assert_eq!(step, Step::Retry(Duration::MAX));
            let _ = policy.step(&Verdict::new(Action::BadEvent), attempt, random);
        }
    }
}
