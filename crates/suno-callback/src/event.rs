//! An event, as handlers receive it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{Callback, Stage, TaskId, TaskKind, Track};

use crate::key::{EventId, EventKey, Reference, SubmitId};
use crate::origin::{Source, VerifiedBy};
use crate::store::Ticket;
use crate::url_suffix::UrlSuffix;

/// A stage of a task, ready to be handled.
#[derive(Clone)]
pub struct Event {
    pub(crate) ticket: Ticket,
    pub(crate) key: EventKey,
    pub(crate) callback: Callback,
    pub(crate) raw: Bytes,
    pub(crate) suffix: UrlSuffix,
    pub(crate) submit: Option<SubmitId>,
    pub(crate) reference: Option<Reference>,
    /// The kind of the task, if its submit is known.
    pub(crate) kind: Option<TaskKind>,
    pub(crate) attempt: u32,
    pub(crate) source: Source,
    pub(crate) verified_by: VerifiedBy,
    pub(crate) received_at: Timestamp,
    pub(crate) is_settled: Arc<AtomicBool>,
}

/// Leaves out the provider's content: titles and lyrics belong to users, and URLs may be signed.
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

    /// The proof that this process may handle the event. With it, a handler can record the end of
    /// the event in the store as part of its own transaction.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Reports that the handler has recorded the end of the event itself, in a committed
    /// transaction. The dispatcher then settles nothing, whatever the handler returns. Without this
    /// call the dispatcher settles as usual, which then has no effect.
    pub fn set_settled(&self) {
        self.is_settled.store(true, Ordering::Release);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    /// The identity of the event, the same on every attempt: use it to make the handler idempotent.
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

    /// The revision: 0 for the first event of the stage. A later one reports more results than the
    /// earlier ones, such as a second track, and contains theirs as well.
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.key.revision()
    }

    /// The body as it was received. Of an event from the provider's record, the body of a callback
    /// that says the same.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The part of the callback URL that the application chose, as the first delivery had it. It is
    /// empty if there was none.
    #[must_use]
    pub fn suffix(&self) -> &UrlSuffix {
        &self.suffix
    }

    /// The query of the callback URL, as in [`UrlSuffix::query`].
    #[must_use]
    pub fn query(&self) -> &str {
        self.suffix.query()
    }

    /// The submit that the callback URL named.
    #[must_use]
    pub fn submit(&self) -> Option<SubmitId> {
        self.submit
    }

    /// The application's own name for the submit that made the task.
    #[must_use]
    pub fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }

    /// The decoded callback.
    #[must_use]
    pub fn callback(&self) -> &Callback {
        &self.callback
    }

    /// Returns the tracks in the order of their positions.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.callback.tracks
    }

    /// The number of times the event was claimed since it was stored or redriven, including this
    /// one. It is 1 at first.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The way in which the event became known.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// The methods by which the sender was verified. A signature does not cover the body
    /// (`PROTOCOL.md 3`).
    #[must_use]
    pub fn verified_by(&self) -> VerifiedBy {
        self.verified_by
    }

    /// The time at which the first delivery of the event was received.
    #[must_use]
    pub fn received_at(&self) -> Timestamp {
        self.received_at
    }
}
