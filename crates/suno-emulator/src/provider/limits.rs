//! Rate limits of submits and polls (`PROTOCOL.md 1.39`, `1.40`).

use std::collections::VecDeque;

/// The maximum number of submits in [`SUBMIT_SPAN_MS`].
const SUBMITS_MAX: usize = 20;
const SUBMIT_SPAN_MS: u64 = 10_000;
/// The maximum number of polls of one task in [`POLL_SPAN_MS`].
const POLLS_MAX: usize = 3;
const POLL_SPAN_MS: u64 = 1_000;

/// A rate limit with a sliding window.
#[derive(Debug)]
pub(crate) struct RateLimit {
    taken_unix_ms: VecDeque<u64>,
    requests_max: usize,
    span_ms: u64,
}

impl RateLimit {
    pub(crate) fn of_submits() -> Self {
        Self::new(SUBMITS_MAX, SUBMIT_SPAN_MS)
    }

    pub(crate) fn of_polls() -> Self {
        Self::new(POLLS_MAX, POLL_SPAN_MS)
    }

    fn new(requests_max: usize, span_ms: u64) -> Self {
        Self {
            taken_unix_ms: VecDeque::new(),
            requests_max,
            span_ms,
        }
    }

    /// Counts a request and returns `true`, or returns `false` if the limit is reached. A refused
    /// request is not counted.
    pub(crate) fn take(&mut self, now_unix_ms: u64) -> bool {
        let is_past = |taken: &u64| taken.saturating_add(self.span_ms) <= now_unix_ms;
        while self.taken_unix_ms.front().is_some_and(is_past) {
            self.taken_unix_ms.pop_front();
        }
        let takes = self.taken_unix_ms.len() < self.requests_max;
        if takes {
            self.taken_unix_ms.push_back(now_unix_ms);
        }
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::RateLimit;

    #[test]
    fn a_place_is_free_again_when_the_span_has_passed() {
        let mut window = RateLimit::new(2, 1000);
        assert!(window.take(0) && window.take(400));
        assert!(!window.take(999));
        assert!(window.take(1000));
        assert!(!window.take(1399));
        assert!(window.take(1400));
    }
}
