//! The quarantine: how a delivery becomes an entry, and an entry a delivery.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::TaskId;

use crate::content::Content;
use crate::delivery::Delivery;
use crate::key::EventId;
use crate::origin::{Source, VerifiedBy};

/// A delivery in quarantine: it could be trusted but not understood, or is one too many for its task.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuarantinedDelivery {
    /// The store's number of the entry.
    pub id: EventId,
    /// The task, if it could be read.
    pub task_id: Option<TaskId>,
    /// What was not understood.
    pub reason: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// How it became known.
    pub source: Source,
    /// How the sender was verified.
    pub verified_by: VerifiedBy,
    /// The body as it was received.
    pub raw: Bytes,
}

impl QuarantinedDelivery {
    /// An entry of the quarantine that came by a callback, verified by nothing; stores set the other
    /// fields.
    #[must_use]
    pub fn new(
        id: EventId,
        task_id: Option<TaskId>,
        reason: impl Into<String>,
        received_at: Timestamp,
        raw: impl Into<Bytes>,
    ) -> Self {
        Self {
            id,
            task_id,
            reason: reason.into(),
            received_at,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            raw: raw.into(),
        }
    }

    /// The entry of a delivery that was not understood, or is one too many for its task.
    #[must_use]
    pub fn of(id: EventId, delivery: &Delivery) -> Self {
        let reason = match &delivery.content {
            Content::Quarantined { reason, .. } => reason.to_string(),
            Content::Event { .. } => "the task has too many events".to_owned(),
        };
        Self {
            source: delivery.source,
            verified_by: delivery.verified_by,
            ..Self::new(
                id,
                delivery.task_id().cloned(),
                reason,
                delivery.received_at,
                delivery.raw.clone(),
            )
        }
    }
}

/// Without the body.
impl fmt::Debug for QuarantinedDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuarantinedDelivery")
            .field("id", &self.id)
            .field("task_id", &self.task_id)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// Decodes what is in quarantine anew, as this version understands it. `None` if it still cannot be
    /// decoded.
    #[must_use]
    pub fn from_quarantine(quarantined: &QuarantinedDelivery) -> Option<Self> {
        let content = Content::decode(&quarantined.raw);
        if matches!(content, Content::Quarantined { .. }) {
            return None;
        }
        let (raw, received_at) = (quarantined.raw.clone(), quarantined.received_at);
        let mut delivery = Self::new(content, raw, received_at, quarantined.verified_by);
        delivery.source = quarantined.source;
        Some(delivery)
    }
}
