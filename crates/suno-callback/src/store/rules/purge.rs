//! What is old enough to be forgotten (I6, I7).

use std::time::Duration;

use super::{StoredEvent, StoredState};
use crate::store::{PurgeRequest, Purged};

impl StoredEvent {
    /// True if a purge forgets the event or its bodies.
    #[must_use]
    pub fn is_forgettable(&self, request: &PurgeRequest, now: Duration) -> bool {
        let has_old_bodies = self.age(now) >= request.bodies_after && self.bodies() > 0;
        self.is_forgotten(request, now) || (self.is_past() && has_old_bodies)
    }

    /// Forgets the bodies, and counts what was forgotten. True if the store must remove the event.
    ///
    /// Call it only for an event that [is forgettable](Self::is_forgettable).
    pub fn forget(&mut self, request: &PurgeRequest, now: Duration, purged: &mut Purged) -> bool {
        purged.bodies += self.bodies();
        self.raw = None;
        for conflict in &mut self.conflicts {
            conflict.raw = None;
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

    /// True if the event itself is old enough.
    fn is_forgotten(&self, request: &PurgeRequest, now: Duration) -> bool {
        match self.state {
            StoredState::Dead => self.age(now) >= request.dead_after,
            _ => self.is_past() && self.age(now) >= request.keys_after,
        }
    }

    /// How many bodies are kept: of the event and of its conflicts.
    fn bodies(&self) -> u64 {
        let conflicts = self.conflicts.iter().map(|conflict| &conflict.raw);
        conflicts.chain([&self.raw]).flatten().count() as u64
    }
}
