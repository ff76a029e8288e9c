//! The entries that an observer of a pipeline can write.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use suno_types::{Stage, TaskId, TaskStatus};

use super::{HistoryEntry, HistoryKind};
use crate::content::{Content, Fingerprint};
use crate::delivery::Delivery;
use crate::handler::DeadLetter;
use crate::headers::RedactedHeaders;
use crate::key::SubmitId;
use crate::observe::{HandledReport, PollOutcome, PollReport};
use crate::origin::{Source, VerifiedBy};
use crate::store::Acceptance;

/// The maximum number of bytes of the members of a delivery's detail that are not headers.
const DELIVERY_BYTES_MAX: usize = 1_024;

// No member is cut because of headers: as JSON they take at most two bytes for each of theirs, and
// nine more for a line, such as in `["host",null],`.
const _: () = assert!(
    2 * RedactedHeaders::BYTES_MAX + 9 * RedactedHeaders::HEADERS_MAX + DELIVERY_BYTES_MAX
        <= HistoryEntry::DETAIL_BYTES_MAX
);

/// What an entry says of a delivery. It is small, so that little is done before the sender is
/// answered.
#[derive(Debug, Clone)]
pub(super) struct DeliveryNote {
    task_id: TaskId,
    stage: Option<Stage>,
    accepted: Acceptance,
    source: Source,
    verified_by: VerifiedBy,
    received_at: Timestamp,
    submit: Option<SubmitId>,
    content: Option<Fingerprint>,
    body: Fingerprint,
    unconfirmed: bool,
    /// The reason why it could not be decoded.
    reason: Option<String>,
    headers: Option<RedactedHeaders>,
}

impl DeliveryNote {
    /// Returns `None` if the task of the delivery is unknown, or if a record said nothing new, which is
    /// a poll.
    pub(super) fn of(delivery: &Delivery, accepted: Acceptance) -> Option<Self> {
        if delivery.source == Source::Poll && accepted == Acceptance::Duplicate {
            return None;
        }
        let (stage, content, reason) = match &delivery.content {
            Content::Event { key, semantic, .. } => {
                (Some(key.stage().clone()), Some(*semantic), None)
            }
            Content::Quarantined { reason, .. } => (None, None, Some(reason.to_string())),
        };
        Some(Self {
            task_id: delivery.task_id()?.clone(),
            stage,
            accepted,
            source: delivery.source,
            verified_by: delivery.verified_by,
            received_at: delivery.received_at,
            submit: delivery.submit,
            content,
            body: delivery.strict,
            unconfirmed: delivery.unconfirmed,
            reason,
            headers: delivery.headers.clone(),
        })
    }

    pub(super) fn into_entry(self, at: Timestamp) -> HistoryEntry {
        let headers = self.headers.as_ref();
        let omitted = headers.map_or(0, RedactedHeaders::omitted);
        let detail = json!({
            "accepted": self.accepted.as_str(),
            "source": self.source.as_str(),
            "verified_by": self.verified_by.words().collect::<Vec<_>>(),
            "unconfirmed": self.unconfirmed,
            "received_at": self.received_at.to_string(),
            // A submit is a secret of the callback URL: its beginning tells submits apart.
            "submit": self.submit.map(|submit| submit.to_string()[..8].to_owned()),
            "content": self.content.map(|content| content.to_string()),
            "body": self.body.to_string(),
            "reason": self.reason,
            "headers": headers.map(|headers| headers.iter().collect::<Vec<_>>()),
            "headers_omitted": (omitted > 0).then_some(omitted),
        });
        let entry = HistoryEntry::new(self.task_id, HistoryKind::DELIVERY, at);
        with_stage(entry, self.stage).with_detail(&without_null(detail))
    }
}

fn with_stage(entry: HistoryEntry, stage: Option<Stage>) -> HistoryEntry {
    match stage {
        Some(stage) => entry.with_stage(stage, 0),
        None => entry,
    }
}

/// Removes the members that are null.
fn without_null(mut detail: Value) -> Value {
    if let Some(members) = detail.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    detail
}

/// Creates the entry of a handler that has ended.
pub(super) fn handled(handled: &HandledReport<'_>, at: Timestamp) -> HistoryEntry {
    let key = handled.key;
    HistoryEntry::new(key.task_id().clone(), HistoryKind::HANDLED, at)
        .with_stage(key.stage().clone(), key.revision())
        .with_detail(&json!({
            "id": handled.id.0,
            "attempt": handled.event.attempt(),
            "outcome": handled.outcome.as_str(),
            "duration_ms": millis(handled.took),
        }))
}

/// Creates the entry of a poll. `None` if it led to a delivery, which has an entry already.
pub(super) fn poll(poll: &PollReport<'_>, at: Timestamp) -> Option<HistoryEntry> {
    if poll.outcome == PollOutcome::Found {
        return None;
    }
    let entry = HistoryEntry::new(poll.task_id.clone(), HistoryKind::POLL, at);
    let entry = match poll.key {
        Some(key) => entry.with_stage(key.stage().clone(), key.revision()),
        None => entry,
    };
    Some(entry.with_detail(&json!({
        "status": poll.status.map(TaskStatus::as_str),
        "outcome": poll.outcome.as_str(),
        "reason": poll.reason,
    })))
}

/// Creates the entry of an event that becomes a dead letter.
pub(super) fn dead_letter(letter: &DeadLetter, at: Timestamp) -> HistoryEntry {
    let key = &letter.key;
    HistoryEntry::new(key.task_id().clone(), HistoryKind::DEAD_LETTER, at)
        .with_stage(key.stage().clone(), key.revision())
        .with_detail(&json!({
            "id": letter.id.0,
            "attempts": letter.attempts,
            "cause": letter.cause.as_str(),
            "reason": letter.reason,
        }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
