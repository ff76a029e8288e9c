//! An event: what handlers are given.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use suno_types::{Callback, Stage, TaskId, Track};

use crate::key::{EventId, EventKey};
use crate::origin::{Source, VerifiedBy};
use crate::store::Ticket;

/// A stage of a task that is to be handled.
#[derive(Clone)]
pub struct Event {
    pub(crate) ticket: Ticket,
    pub(crate) key: EventKey,
    pub(crate) callback: Callback,
    pub(crate) attempt: u32,
    pub(crate) source: Source,
    pub(crate) verified_by: VerifiedBy,
    pub(crate) received_at: Timestamp,
    pub(crate) is_settled: Arc<AtomicBool>,
}

/// Without what the provider said: titles and lyrics belong to somebody, and URLs may be signed.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.ticket.event)
            .field("key", &self.key)
            .field("code", &self.callback.code)
            .field("attempt", &self.attempt)
            .field("source", &self.source)
            .field("verified_by", &self.verified_by)
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

impl Event {
    /// The store's number of the event.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.ticket.event
    }

    /// The proof that this process may handle the event: what a store needs to record its end in a
    /// transaction of the handler's own.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Says that the handler has recorded the end of the event itself, in a transaction that is
    /// committed. The dispatcher settles nothing then, whatever the handler returns. Without this
    /// call it settles as usual, which changes nothing any more.
    pub fn set_settled(&self) {
        self.is_settled.store(true, Ordering::Release);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    /// What makes it the same event on every attempt: the key to be idempotent by.
    #[must_use]
    pub fn key(&self) -> &EventKey {
        &self.key
    }

    /// The task.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        self.key.task_id()
    }

    /// The stage.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        self.key.stage()
    }

    /// What the provider said.
    #[must_use]
    pub fn callback(&self) -> &Callback {
        &self.callback
    }

    /// The tracks, in the order of their places.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.callback.tracks
    }

    /// How often the event was claimed since it was stored or redriven, this time included: 1 at first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How the event became known.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// How the sender was verified. A signature does not cover the body (`PROTOCOL.md 3`).
    #[must_use]
    pub fn verified_by(&self) -> VerifiedBy {
        self.verified_by
    }

    /// When the first delivery of the event was received.
    #[must_use]
    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }
}
