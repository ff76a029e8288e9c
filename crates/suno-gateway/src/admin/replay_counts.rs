//! Counts the replays of each event, so that a consumer can tell them apart.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use suno_callback::EventId;

/// The replays of each event since the start of the process.
#[derive(Debug, Default)]
pub(super) struct ReplayCounts(Mutex<BTreeMap<EventId, u32>>);

/// The maximum number of events whose replays are counted. The oldest events are forgotten first.
const EVENTS_MAX: usize = 1_024;

impl ReplayCounts {
    /// Counts one more replay and returns its number, from 1.
    pub(super) fn next(&self, event: EventId) -> u32 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(event).or_default();
        *count = count.saturating_add(1);
        let number = *count;
        while counts.len() > EVENTS_MAX {
            counts.pop_first();
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replays_are_counted_for_each_event_and_the_memory_is_bounded() {
        let counts = ReplayCounts::default();
        assert_eq!([1, 1, 2].map(|id| counts.next(EventId(id))), [1, 2, 1]);
        for id in 0..5_000 {
            counts.next(EventId(id));
        }
        assert_eq!(counts.0.lock().unwrap().len(), EVENTS_MAX);
    }
}
