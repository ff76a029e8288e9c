//! The entries of the quarantine, and their conversion from and to deliveries.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::TaskId;

use crate::content::Content;
use crate::delivery::Delivery;
use crate::key::{EventId, SubmitId};
use crate::origin::{Source, VerifiedBy};
use crate::url_suffix::UrlSuffix;

/// A delivery in quarantine: it is from a trusted sender but could not be decoded, or its task had
/// too many events.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuarantinedDelivery {
    /// The store's number of the entry.
    pub id: EventId,
    /// The task, if it could be read.
    pub task_id: Option<TaskId>,
    /// The reason why it could not be decoded.
    pub reason: String,
    /// The time at which it was received.
    pub received_at: Timestamp,
    /// The way in which it became known.
    pub source: Source,
    /// The methods by which the sender was verified.
    pub verified_by: VerifiedBy,
    /// The submit that the callback URL named.
    pub submit: Option<SubmitId>,
    /// The part of the callback URL that the application chose.
    pub suffix: Option<UrlSuffix>,
    /// The body as it was received.
    pub raw: Bytes,
}

impl QuarantinedDelivery {
    /// Creates a quarantine entry of an unverified callback. Stores set the other fields.
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
            submit: None,
            suffix: None,
            raw: raw.into(),
        }
    }

    /// Creates the entry of a delivery that could not be decoded, or whose task has too many
    /// events.
    #[must_use]
    pub fn of(id: EventId, delivery: &Delivery) -> Self {
        let reason = match &delivery.content {
            Content::Quarantined { reason, .. } => reason.to_string(),
            Content::Event { .. } => "the task has too many events".to_owned(),
        };
        Self {
            source: delivery.source,
            verified_by: delivery.verified_by,
            submit: delivery.submit,
            suffix: delivery.suffix.clone(),
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

/// Leaves out the body.
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
    /// Decodes a quarantined delivery again, with the rules of this version. Returns `None` if it
    /// still cannot be decoded.
    #[must_use]
    pub fn from_quarantine(quarantined: &QuarantinedDelivery) -> Option<Self> {
        let delivery = Self::of_entry(quarantined);
        let is_decoded = !matches!(delivery.content, Content::Quarantined { .. });
        is_decoded.then_some(delivery)
    }

    /// Creates the delivery of an entry, whether or not it can be decoded now.
    pub(crate) fn of_entry(entry: &QuarantinedDelivery) -> Self {
        let content = Content::decode(&entry.raw);
        let (raw, received_at) = (entry.raw.clone(), entry.received_at);
        let mut delivery = Self::new(content, raw, received_at, entry.verified_by);
        delivery.source = entry.source;
        delivery.submit = entry.submit;
        delivery.suffix.clone_from(&entry.suffix);
        delivery
    }
}
