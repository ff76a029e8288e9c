//! A quarantine in memory, for stores that keep theirs in memory.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use super::PurgeStep;
use crate::content::Fingerprint;
use crate::delivery::Delivery;
use crate::key::EventId;
use crate::store::bounds::QUARANTINED_MAX;
use crate::store::{Acceptance, Page, QuarantinedDelivery};

/// Deliveries in quarantine, in memory.
#[derive(Debug, Default)]
pub struct Quarantine {
    entries: BTreeMap<EventId, Entry>,
    /// The bytes of the entries.
    known: HashSet<Fingerprint>,
}

#[derive(Debug)]
struct Entry {
    delivery: QuarantinedDelivery,
    strict: Fingerprint,
    stored_at: Duration,
}

impl Quarantine {
    /// Keeps a delivery under the number `id`, once for each strict fingerprint and within the
    /// limit (A9, A11). Returns the outcome and the number of bodies dropped.
    pub fn keep(&mut self, id: EventId, delivery: &Delivery, now: Duration) -> (Acceptance, u64) {
        if self.known.contains(&delivery.strict) {
            return (Acceptance::Quarantined, 0);
        }
        if self.entries.len() >= QUARANTINED_MAX {
            return (Acceptance::Dropped, 1);
        }
        let entry = Entry {
            delivery: QuarantinedDelivery::of(id, delivery),
            strict: delivery.strict,
            stored_at: now,
        };
        self.known.insert(delivery.strict);
        self.entries.insert(id, entry);
        (Acceptance::Quarantined, 0)
    }

    /// Removes an entry. Returns false if it does not exist.
    pub fn take(&mut self, id: EventId) -> bool {
        let entry = self.entries.remove(&id);
        entry.is_some_and(|entry| self.known.remove(&entry.strict))
    }

    /// Returns a page of the entries, in the order of their numbers.
    #[must_use]
    pub fn page(&self, after: Option<EventId>, entries_max: u32) -> Page<QuarantinedDelivery> {
        let after = after.map_or(Unbounded, Excluded);
        let entries = self.entries.range((after, Unbounded));
        let entries = entries.map(|(_, entry)| entry.delivery.clone());
        Page::first_of(entries, entries_max, |entry| entry.id)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Purges old entries.
    pub fn purge(&mut self, step: &mut PurgeStep<'_>) {
        let known = &mut self.known;
        self.entries.retain(|_, entry| {
            let is_kept = step.keeps_entry(entry.stored_at);
            is_kept || !known.remove(&entry.strict)
        });
    }
}
