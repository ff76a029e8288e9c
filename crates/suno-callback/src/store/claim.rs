//! Claims: the right to handle an event until a lease ends, and how they end.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::EventId;
use crate::delivery::{Source, VerifiedBy};
use crate::event::EventKey;

/// What to claim.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ClaimRequest {
    /// The present moment.
    pub now: Timestamp,
    /// How long the claims last unless they are extended.
    pub lease: Duration,
    /// How many events at most.
    pub events_max: usize,
}

impl ClaimRequest {
    /// Claims at most `events_max` events from `now` on for `lease`.
    #[must_use]
    pub fn new(now: Timestamp, lease: Duration, events_max: usize) -> Self {
        Self {
            now,
            lease,
            events_max,
        }
    }

    /// When the claims end.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        later(self.now, self.lease)
    }
}

/// A moment that is `wait` after `now`, or the last moment there is.
pub(crate) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// The right to handle an event, until its lease ends.
#[derive(Clone)]
#[non_exhaustive]
pub struct Claim {
    /// The proof of the claim.
    pub ticket: Ticket,
    /// The task and the stage.
    pub key: EventKey,
    /// The body as it was first received.
    pub raw: Bytes,
    /// How often the event was claimed, this time included.
    pub attempt: u32,
    /// How the event became known.
    pub source: Source,
    /// What spoke for the sender.
    pub verified_by: VerifiedBy,
    /// When the first delivery was received.
    pub received_at: Timestamp,
}

impl Claim {
    /// A first claim of an event that came by a callback in 1970, verified by nothing: stores set
    /// the other fields.
    #[must_use]
    pub fn new(ticket: Ticket, key: EventKey, raw: impl Into<Bytes>) -> Self {
        Self {
            ticket,
            key,
            raw: raw.into(),
            attempt: 1,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            received_at: Timestamp::UNIX_EPOCH,
        }
    }
}

/// Without the body.
impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("ticket", &self.ticket)
            .field("key", &self.key)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The proof of a claim. The epoch grows with every claim of an event, so that the ticket of an
/// earlier one is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The event.
    pub event: EventId,
    /// Which claim of the event.
    pub epoch: u32,
}

/// How a claim ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The event was handled.
    Done,
    /// Handling failed; try again, not before this moment.
    RetryAt {
        /// When.
        at: Timestamp,
        /// Why it failed, for people.
        reason: String,
    },
    /// Handling failed for good; keep the event as a dead letter.
    Dead {
        /// Why, for people.
        reason: String,
    },
    /// The event was not handled at all: as if it had not been claimed.
    Release,
}

/// Whether a ticket was still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Held {
    /// It was, and what was asked is recorded.
    Held,
    /// Another claim was granted, or the event is settled. Nothing changed.
    Lost,
}
