//! A delivery: one POST as it was received, with its decoded content.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{Callback, TaskId, TaskRecord};

use crate::content::{Content, Fingerprint};
use crate::headers::RedactedHeaders;
use crate::key::{SubmitId, Ticket};
use crate::origin::{Source, VerifiedBy};
use crate::url_suffix::UrlSuffix;

/// One delivery, ready to be stored.
#[derive(Clone)]
#[non_exhaustive]
pub struct Delivery {
    /// The body as it was received.
    pub raw: Bytes,
    /// The time at which it was received.
    pub received_at: Timestamp,
    /// The way in which it became known.
    pub source: Source,
    /// The methods by which the sender was verified.
    pub verified_by: VerifiedBy,
    /// The submit named in the callback URL, if any.
    pub submit: Option<SubmitId>,
    /// The part of the callback URL that the application chose, if there is any.
    pub suffix: Option<UrlSuffix>,
    /// The claim for which the provider was asked. While its handler has not begun, what the record
    /// says may take the place of the claimed event's body.
    pub claim: Option<Ticket>,
    /// The fingerprint of the bytes.
    pub strict: Fingerprint,
    /// Whether the provider's record must confirm the event before it affects other stages of its
    /// task.
    pub unconfirmed: bool,
    /// The decoded content of the body.
    pub content: Content,
    /// The headers of the request, for observers. Stores do not keep them. `None` if no observer
    /// [wants them](crate::Observer::wants_headers), and for a delivery that did not arrive as a
    /// request.
    pub headers: Option<RedactedHeaders>,
}

impl Delivery {
    /// Decodes a body whose sender the caller has verified. A body that cannot be decoded becomes
    /// [`Content::Quarantined`].
    ///
    /// Use [`Receiver::verify`](crate::Receiver::verify) instead for a callback from the network.
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
        let strict = Fingerprint::strict(&body);
        Self {
            content: content.told_apart_by(strict),
            strict,
            raw: body,
            received_at,
            source: Source::Callback,
            verified_by,
            submit: None,
            suffix: None,
            claim: None,
            unconfirmed: false,
            headers: None,
        }
    }

    /// Converts the provider's record into the delivery of the corresponding callback. Returns
    /// `None` if the record shows no stage yet.
    #[must_use]
    pub fn from_record(record: &TaskRecord, received_at: Timestamp) -> Option<Self> {
        Some(Self::of_record(&record.to_callback()?, received_at))
    }

    /// Creates a complete delivery without a result from a record that says that its task succeeded and
    /// has no result that this version reads. `None` for any other record.
    #[must_use]
    pub fn from_record_without_result(record: &TaskRecord, received_at: Timestamp) -> Option<Self> {
        let callback = record.to_callback_without_result()?;
        Some(Self::of_record(&callback, received_at))
    }

    /// Creates the delivery of a callback that says what the provider's record says.
    pub(crate) fn of_record(callback: &Callback, received_at: Timestamp) -> Self {
        let content = Content::of_callback(callback);
        let verified_by = VerifiedBy {
            record: true,
            ..VerifiedBy::default()
        };
        let mut delivery = Self::new(content, callback.encode().into(), received_at, verified_by);
        delivery.source = Source::Poll;
        delivery
    }

    /// Sets the submit that the callback URL named.
    #[must_use]
    pub fn with_submit(mut self, submit: Option<SubmitId>) -> Self {
        self.submit = submit;
        self
    }

    /// Sets the part of the callback URL that the application chose. An empty one counts as none.
    #[must_use]
    pub fn with_suffix(mut self, suffix: Option<UrlSuffix>) -> Self {
        self.suffix = suffix.filter(|suffix| !suffix.is_empty());
        self
    }

    /// Sets the claim for which the provider was asked. Its handler must not have begun.
    #[must_use]
    pub fn with_claim(mut self, claim: Ticket) -> Self {
        self.claim = Some(claim);
        self
    }

    /// Sets [`unconfirmed`](Self::unconfirmed).
    #[must_use]
    pub fn with_unconfirmed(mut self, unconfirmed: bool) -> Self {
        self.unconfirmed = unconfirmed;
        self
    }

    /// Returns the task, if it could be read.
    #[must_use]
    pub fn task_id(&self) -> Option<&TaskId> {
        match &self.content {
            Content::Event { key, .. } => Some(key.task_id()),
            Content::Quarantined { task_id, .. } => task_id.as_ref(),
        }
    }
}

/// Leaves out the body.
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
