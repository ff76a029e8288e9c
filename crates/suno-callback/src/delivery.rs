//! A delivery: one POST as it was received, and what was made of it.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{TaskId, TaskRecord};

use crate::content::{Content, Fingerprint};
use crate::key::SubmitId;
use crate::origin::{Source, VerifiedBy};

/// One delivery, ready to be accepted into a store.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The body as it was received.
    pub raw: Bytes,
    /// When it was received.
    pub received_at: Timestamp,
    /// How it became known.
    pub source: Source,
    /// What spoke for the sender.
    pub verified_by: VerifiedBy,
    /// The submit that the callback URL named, if it named one.
    pub submit: Option<SubmitId>,
    /// The fingerprint of the bytes.
    pub strict: Fingerprint,
    /// True if the provider's record must confirm what it says before it counts against other stages
    /// of its task.
    pub unconfirmed: bool,
    /// What was made of the body.
    pub content: Content,
}

impl Delivery {
    /// Decodes a body whose sender the caller vouches for. A body that cannot be decoded becomes
    /// [`Content::Quarantined`].
    ///
    /// A callback from the network goes through [`Receiver::verify`](crate::Receiver::verify) instead.
    #[must_use]
    pub fn decode(body: Bytes, received_at: Timestamp) -> Self {
        let content = Content::decode(&body);
        Self::new(content, body, received_at, VerifiedBy::default())
    }

    pub(crate) fn new(
        content: Content,
        body: Bytes,
        received_at: Timestamp,
        verified_by: VerifiedBy,
    ) -> Self {
        Self {
            content,
            strict: Fingerprint::strict(&body),
            raw: body,
            received_at,
            source: Source::Callback,
            verified_by,
            submit: None,
            unconfirmed: false,
        }
    }

    /// What the provider's record says, as if it had come by a callback. `None` if the record
    /// shows no stage yet.
    #[must_use]
    pub fn from_record(record: &TaskRecord, received_at: Timestamp) -> Option<Self> {
        let callback = record.to_callback()?;
        let content = Content::of_callback(&callback);
        let verified_by = VerifiedBy {
            record: true,
            ..VerifiedBy::default()
        };
        let mut delivery = Self::new(content, callback.encode().into(), received_at, verified_by);
        delivery.source = Source::Poll;
        Some(delivery)
    }

    /// The same with the submit that the callback URL named.
    #[must_use]
    pub fn with_submit(mut self, submit: Option<SubmitId>) -> Self {
        self.submit = submit;
        self
    }

    /// Sets [`unconfirmed`](Self::unconfirmed).
    #[must_use]
    pub fn with_unconfirmed(mut self, unconfirmed: bool) -> Self {
        self.unconfirmed = unconfirmed;
        self
    }

    /// The task, if it could be read.
    #[must_use]
    pub fn task_id(&self) -> Option<&TaskId> {
        match &self.content {
            Content::Event { key, .. } => Some(key.task_id()),
            Content::Quarantined { task_id, .. } => task_id.as_ref(),
        }
    }
}

/// Without the body.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("content", &self.content)
            .field("received_at", &self.received_at)
            .field("source", &self.source)
            .field("verified_by", &self.verified_by)
            .field("unconfirmed", &self.unconfirmed)
            .finish_non_exhaustive()
    }
}
