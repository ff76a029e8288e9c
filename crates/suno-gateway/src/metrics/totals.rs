//! Sums over all labels, for charts.

use suno_callback::{Acceptance, HandledOutcome};

use super::{ACCEPT_BOUNDS, Metrics};

/// What was counted since the start, or between two moments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    /// Deliveries that were new to the store.
    pub(crate) accepted: u64,
    /// Events whose handler was done.
    pub(crate) handled: u64,
    /// Requests in each bucket of the time until they were answered.
    accept: Vec<u64>,
}

impl Metrics {
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals {
            accept: self.accept_seconds.counts(),
            ..Totals::default()
        };
        let new = [Acceptance::New, Acceptance::Revised, Acceptance::Late];
        self.deliveries.each(|[(_, outcome)], count| {
            if new.iter().any(|new| new.as_str() == *outcome) {
                totals.accepted += count;
            }
        });
        self.handled.each(|[(_, outcome)], count| {
            if *outcome == HandledOutcome::Done.as_str() {
                totals.handled += count;
            }
        });
        totals
    }
}

impl Totals {
    /// Returns what was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let accept = self.accept.iter().zip(&earlier.accept);
        Self {
            accepted: self.accepted.saturating_sub(earlier.accepted),
            handled: self.handled.saturating_sub(earlier.handled),
            accept: accept
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
        }
    }

    /// Returns the time, in milliseconds, within which a share of the requests was answered: within its
    /// bucket by proportion. `None` if there were none.
    pub(crate) fn accept_within(&self, share: f64) -> Option<f64> {
        let count: u64 = self.accept.iter().sum();
        if count == 0 {
            return None;
        }
        let float = super::family::float;
        let wanted = share * float(count);
        let mut before = 0;
        let mut low = 0.0;
        for (place, inside) in self.accept.iter().enumerate() {
            let high = ACCEPT_BOUNDS.get(place).copied().unwrap_or(low);
            if float(before + inside) >= wanted && *inside > 0 {
                let part = (wanted - float(before)) / float(*inside);
                return Some(1_000.0 * (low + (high - low) * part));
            }
            before += inside;
            low = high;
        }
        Some(1_000.0 * low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_lies_in_its_bucket() {
        let accept = |accept: &[u64]| Totals {
            accept: accept.to_vec(),
            ..Totals::default()
        };
        assert_eq!(accept(&[0, 0]).accept_within(0.5), None);
        let first = 1_000.0 * ACCEPT_BOUNDS[0];
        assert_eq!(accept(&[10, 0]).accept_within(0.5), Some(first / 2.0));
        let second = accept(&[5, 5]).accept_within(0.99).unwrap();
        assert!(
            second > first && second < 1_000.0 * ACCEPT_BOUNDS[1],
            "{second}"
        );
    }
}
