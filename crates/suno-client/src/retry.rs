//! Decides whether and when a failed request is repeated. No clock, no network.

use std::time::Duration;

use crate::ErrorKind;
use crate::time::stretch;

/// The number of attempts for a request, and the pauses between them.
///
/// The pause before the next attempt is random, between zero and a bound that doubles each time
/// (full jitter). It is never shorter than `Retry-After` asks for.
///
/// A submit is retried only on proof that nothing was done: no connection was made, or the provider
/// answered that it was busy (`PROTOCOL.md 7.37`). After any other failure it is not sent again.
///
/// ```
/// use suno_client::Retry;
///
/// let once = Retry::new().with_attempts_max(1);
/// assert_eq!(once.delay_max, Retry::DELAY_MAX);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The maximum number of attempts; 1 means no retry. The default is
    /// [`ATTEMPTS_MAX`](Self::ATTEMPTS_MAX).
    pub attempts_max: u32,
    /// The bound of the first pause. After a rate limit or maintenance the bound is eight times as
    /// long, because the provider counts in windows of seconds. The default is
    /// [`BASE`](Self::BASE).
    pub base: Duration,
    /// The longest pause. If `Retry-After` asks for more, the request is not retried. The default
    /// is [`DELAY_MAX`](Self::DELAY_MAX).
    pub delay_max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

/// How many times the bound of a pause is doubled in advance if the provider is busy.
const BUSY_DOUBLINGS: u32 = 3;

impl Retry {
    /// The default of [`attempts_max`](Self::attempts_max): 4.
    pub const ATTEMPTS_MAX: u32 = 4;
    /// The default of [`base`](Self::base): 500 ms.
    pub const BASE: Duration = Duration::from_millis(500);
    /// The default of [`delay_max`](Self::delay_max): 30 s.
    pub const DELAY_MAX: Duration = Duration::from_secs(30);

    /// Returns the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempts_max: Self::ATTEMPTS_MAX,
            base: Self::BASE,
            delay_max: Self::DELAY_MAX,
        }
    }

    /// Sets [`attempts_max`](Self::attempts_max); 0 counts as 1.
    #[must_use]
    pub fn with_attempts_max(mut self, attempts: u32) -> Self {
        self.attempts_max = attempts.max(1);
        self
    }

    /// Sets [`base`](Self::base).
    #[must_use]
    pub fn with_base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// Sets [`delay_max`](Self::delay_max).
    #[must_use]
    pub fn with_delay_max(mut self, delay: Duration) -> Self {
        self.delay_max = delay;
        self
    }

    /// Decides after a failed attempt with the number `attempt`, counted from 1. `random` is at
    /// least 0 and less than 1.
    pub(crate) fn decide(&self, attempt: u32, failure: Failure, random: f64) -> Decision {
        if !failure.retryable || attempt >= self.attempts_max {
            return Decision::GiveUp;
        }
        let floor = failure.retry_after.unwrap_or_default();
        if floor > self.delay_max {
            return Decision::GiveUp;
        }
        let in_advance = if failure.is_busy { BUSY_DOUBLINGS } else { 0 };
        let doublings = attempt.saturating_sub(1).saturating_add(in_advance);
        let bound = self
            .base
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(self.delay_max);
        Decision::Again(stretch(bound, random.clamp(0.0, 1.0)).max(floor))
    }
}

/// The properties of a failed attempt that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure {
    pub(crate) retryable: bool,
    /// The provider answered, but does not accept requests now.
    pub(crate) is_busy: bool,
    pub(crate) retry_after: Option<Duration>,
}

impl From<&crate::ClientError> for Failure {
    fn from(err: &crate::ClientError) -> Self {
        Self {
            retryable: err.is_retryable() && !err.is_ambiguous(),
            is_busy: matches!(err.kind(), ErrorKind::RateLimited | ErrorKind::Maintenance),
            retry_after: err.retry_after(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Repeat the request after this pause.
    Again(Duration),
    GiveUp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis() -> impl Strategy<Value = Duration> {
        (0_u64..100_000).prop_map(Duration::from_millis)
    }

    prop_compose! {
        fn any_retry()(attempts in 0_u32..50, base in millis(), delay_max in millis()) -> Retry {
            Retry::new().with_attempts_max(attempts).with_base(base).with_delay_max(delay_max)
        }
    }

    prop_compose! {
        fn any_failure()(
            retryable in any::<bool>(),
            is_busy in any::<bool>(),
            retry_after in prop::option::of(millis()),
        ) -> Failure {
            Failure { retryable, is_busy, retry_after }
        }
    }

    proptest! {
        #[test]
        fn what_is_not_retryable_is_never_tried_again(
            retry in any_retry(), failure in any_failure(), attempt: u32, random in 0.0..1.0,
        ) {
            let failure = Failure { retryable: false, ..failure };
            prop_assert_eq!(retry.decide(attempt, failure, random), Decision::GiveUp);
        }

        #[test]
        fn attempts_end(
            retry in any_retry(), failure in any_failure(), more in 0_u32..10, random in 0.0..1.0,
        ) {
            let attempt = retry.attempts_max + more;
            prop_assert_eq!(retry.decide(attempt, failure, random), Decision::GiveUp);
        }

        #[test]
        fn a_pause_is_neither_shorter_than_asked_for_nor_longer_than_allowed(
            retry in any_retry(), failure in any_failure(), attempt: u32, random in 0.0..1.0,
        ) {
            if let Decision::Again(pause) = retry.decide(attempt, failure, random) {
                prop_assert!(pause >= failure.retry_after.unwrap_or_default());
                prop_assert!(pause <= retry.delay_max);
            }
        }

        #[test]
        fn the_same_failure_is_decided_by_chance_in_its_pause_only(
            retry in any_retry(), failure in any_failure(), attempt in 1_u32..60,
            low in 0.0..1.0, high in 0.0..1.0,
        ) {
            let (low, high) = if low <= high { (low, high) } else { (high, low) };
            match (retry.decide(attempt, failure, low), retry.decide(attempt, failure, high)) {
                (Decision::Again(short), Decision::Again(long)) => prop_assert!(short <= long),
                (low, high) => prop_assert_eq!(low, high),
            }
        }
    }

    #[test]
    fn the_bound_of_the_pause_doubles() {
        let failure = Failure {
            retryable: true,
            is_busy: false,
            retry_after: None,
        };
        let retry = Retry::new().with_attempts_max(20);
        let bounds: Vec<Decision> = (1..9).map(|n| retry.decide(n, failure, 1.0)).collect();
        let expected = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
            .map(|millis| Decision::Again(Duration::from_millis(millis)));
        assert_eq!(bounds, expected);
    }

    #[test]
    fn pauses_without_an_end_are_no_panic() {
        let failure = Failure {
            retryable: true,
            is_busy: true,
            retry_after: Some(Duration::MAX),
        };
        let retry = Retry::new().with_base(Duration::MAX);
        let retry = retry.with_delay_max(Duration::MAX);
        for random in [0.0, 1.0] {
            let decision = retry.decide(1, failure, random);
            assert_eq!(decision, Decision::Again(Duration::MAX));
        }
    }

    #[test]
    fn a_busy_provider_is_left_alone_for_longer() {
        let failure = Failure {
            retryable: true,
            is_busy: true,
            retry_after: None,
        };
        let decision = Retry::new().decide(1, failure, 1.0);
        assert_eq!(decision, Decision::Again(Duration::from_secs(4)));
    }

    #[test]
    fn a_retry_after_beyond_the_longest_pause_ends_the_attempts() {
        let failure = Failure {
            retryable: true,
            is_busy: true,
            retry_after: Some(Duration::from_secs(31)),
        };
        assert_eq!(Retry::new().decide(1, failure, 0.0), Decision::GiveUp);
    }
}
