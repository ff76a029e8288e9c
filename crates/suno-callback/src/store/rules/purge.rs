//! A step of a purge (I6, I7, I8).

use std::time::Duration;

use super::{StoredEvent, StoredState};
use crate::store::{PurgeReport, PurgeRequest};

/// A step of a purge: the store passes it possibly old items, and removes those that it does not
/// keep.
#[derive(Debug)]
pub struct PurgeStep<'a> {
    request: &'a PurgeRequest,
    now: Duration,
    events_left: u32,
    purged: PurgeReport,
}

impl<'a> PurgeStep<'a> {
    /// Creates a step that has not purged anything yet.
    #[must_use]
    pub fn new(request: &'a PurgeRequest, now: Duration) -> Self {
        Self {
            request,
            now,
            events_left: request.events_max,
            purged: PurgeReport::default(),
        }
    }

    /// Purges old bodies. Returns false if the event itself must be removed.
    pub fn keeps_event(&mut self, event: &mut StoredEvent) -> bool {
        if !event.is_forgettable(self.request, self.now) {
            return true;
        }
        if self.events_left == 0 {
            self.purged.more = true;
            return true;
        }
        self.events_left -= 1;
        !event.forget(self.request, self.now, &mut self.purged)
    }

    /// Returns false if a quarantine entry stored at this time must be removed.
    pub fn keeps_entry(&mut self, stored_at: Duration) -> bool {
        if self.now.saturating_sub(stored_at) < self.request.quarantined_after {
            return true;
        }
        let is_left = self.purged.quarantined >= self.request.events_max.into();
        self.purged.more |= is_left;
        self.purged.quarantined += u64::from(!is_left);
        is_left
    }

    /// Returns false if an intent stored at this time must be removed (L7).
    #[must_use]
    pub fn keeps_intent(&self, stored_at: Duration) -> bool {
        self.now.saturating_sub(stored_at) < self.request.keys_after
    }

    /// Returns the counts of purged items of this step.
    #[must_use]
    pub fn purged(self) -> PurgeReport {
        self.purged
    }
}

impl StoredEvent {
    /// Whether a purge removes the event or its bodies.
    #[must_use]
    pub fn is_forgettable(&self, request: &PurgeRequest, now: Duration) -> bool {
        let has_old_bodies = self.age(now) >= request.bodies_after && self.bodies() > 0;
        self.is_forgotten(request, now) || (self.is_past() && has_old_bodies)
    }

    /// Removes the bodies, and counts the purged items. Returns true if the event must be removed
    /// as well.
    fn forget(&mut self, request: &PurgeRequest, now: Duration, purged: &mut PurgeReport) -> bool {
        purged.bodies += self.bodies();
        self.raw = None;
        for conflict in &mut self.conflicts {
            conflict.record.raw = None;
        }
        let is_forgotten = self.is_forgotten(request, now);
        match self.state {
            StoredState::Dead => purged.dead += 1,
            _ => purged.keys += u64::from(is_forgotten),
        }
        is_forgotten
    }

    fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.stored_at)
    }

    fn is_past(&self) -> bool {
        matches!(self.state, StoredState::Done | StoredState::Superseded)
    }

    /// Whether the event itself is old enough.
    fn is_forgotten(&self, request: &PurgeRequest, now: Duration) -> bool {
        match self.state {
            StoredState::Dead => self.age(now) >= request.dead_after,
            _ => self.is_past() && self.age(now) >= request.keys_after,
        }
    }

    /// Returns the number of bodies that are kept, of the event and of its conflicts.
    fn bodies(&self) -> u64 {
        let conflicts = self.conflicts.iter().map(|conflict| &conflict.record.raw);
        conflicts.chain([&self.raw]).flatten().count() as u64
    }
}
