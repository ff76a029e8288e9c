//! What is purged, and when.

use std::time::Duration;

/// The ages at which data is purged. Only settled events are purged. Ages are measured with the
/// store's clock, from the moment when the event was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeRequest {
    /// The minimum age of bodies of events that are done or superseded.
    pub bodies_after: Duration,
    /// The minimum age of keys of events that are done or superseded, and of intents. A delivery of
    /// a purged key is a new event.
    pub keys_after: Duration,
    /// The minimum age of dead letters, which are purged with key and body.
    pub dead_after: Duration,
    /// The minimum age of quarantine entries.
    pub quarantined_after: Duration,
    /// The maximum number of events to look at in one step.
    pub events_max: u32,
}

impl PurgeRequest {
    /// The default age of keys: 30 days. The provider stops retrying within minutes, and deletes
    /// its media after 14 days.
    pub const KEYS_AFTER: Duration = Duration::from_secs(30 * 86_400);
    /// The default age of bodies: 14 days.
    pub const BODIES_AFTER: Duration = Duration::from_secs(14 * 86_400);
    /// The default age of dead letters: 90 days.
    pub const DEAD_AFTER: Duration = Duration::from_secs(90 * 86_400);
    /// The default age of quarantine entries: 90 days.
    pub const QUARANTINED_AFTER: Duration = Duration::from_secs(90 * 86_400);
    /// The default number of events in one step.
    pub const EVENTS_MAX: u32 = 250;
}

impl Default for PurgeRequest {
    fn default() -> Self {
        Self {
            bodies_after: Self::BODIES_AFTER,
            keys_after: Self::KEYS_AFTER,
            dead_after: Self::DEAD_AFTER,
            quarantined_after: Self::QUARANTINED_AFTER,
            events_max: Self::EVENTS_MAX,
        }
    }
}

/// The numbers of purged items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PurgeReport {
    /// Bodies of events and of conflicts.
    pub bodies: u64,
    /// Keys of events that were done or superseded.
    pub keys: u64,
    /// Dead letters.
    pub dead: u64,
    /// Entries of the quarantine.
    pub quarantined: u64,
    /// Whether there is more to purge.
    pub more: bool,
}
