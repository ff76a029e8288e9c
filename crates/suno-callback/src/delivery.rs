//! A delivery: one POST as it was received, and what was made of it.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use suno_types::{CallbackRef, Code, DecodeError, TaskId, TaskRecord, TrackRef};

use crate::event::EventKey;
use crate::store::{QuarantinedDelivery, SubmitId};
use crate::verify::Verified;

/// How an event became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The provider sent a callback.
    Callback,
    /// The provider was asked.
    Poll,
}

impl Source {
    /// The source as one word: `callback` or `poll`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Poll => "poll",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What spoke for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct VerifiedBy {
    /// The webhook signature: task and moment, not the body.
    pub signature: bool,
    /// The token in the URL.
    pub token: bool,
    /// The provider's record of the task, which was asked for: it speaks for what is said as well.
    pub record: bool,
}

impl VerifiedBy {
    /// The methods as bits, for stores.
    #[must_use]
    pub fn bits(self) -> u8 {
        u8::from(self.signature) | u8::from(self.token) << 1 | u8::from(self.record) << 2
    }

    /// The methods from [`bits`](Self::bits); bits that this version does not know are dropped.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self {
            signature: bits & 1 != 0,
            token: bits & 2 != 0,
            record: bits & 4 != 0,
        }
    }
}

/// 16 bytes that stand for what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    fn of(hash: Sha256) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(bytes)
    }

    /// Of the bytes.
    fn strict(body: &[u8]) -> Self {
        Self::of(Sha256::new_with_prefix(body))
    }

    /// Of what the body says: code, track ids, durations, and which tracks are ready. URLs do not
    /// count, since the provider may sign them anew for each delivery; nor does the form of the body.
    fn semantic<'a>(code: Code, tracks: impl Iterator<Item = TrackRef<'a>>) -> Self {
        let mut hash = Sha256::new();
        hash.update(code.0.to_be_bytes());
        for track in tracks {
            let id = track.id.unwrap_or_default();
            hash.update(id.len().to_be_bytes());
            hash.update(id);
            hash.update(track.duration.unwrap_or(-1.0).to_be_bytes());
            hash.update([u8::from(track.is_ready)]);
        }
        Self::of(hash)
    }
}

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

/// What was made of a body.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// It reports a stage of a task.
    #[non_exhaustive]
    Event {
        /// The task and the stage.
        key: EventKey,
        /// The code that was sent.
        code: Code,
        /// The fingerprint of what was said.
        semantic: Fingerprint,
    },
    /// The sender could be trusted but not understood: keep the bytes.
    #[non_exhaustive]
    Quarantined {
        /// The task, if at least that could be read.
        task_id: Option<TaskId>,
        /// What was not understood.
        reason: DecodeError,
    },
}

impl Content {
    /// The event that a callback reports.
    pub(crate) fn event(callback: &CallbackRef<'_>) -> Self {
        Self::Event {
            semantic: Fingerprint::semantic(callback.code(), callback.tracks()),
            code: callback.code(),
            key: EventKey::new(callback.to_task_id(), callback.stage()),
        }
    }

    /// What becomes of a body that cannot be decoded, but may name a task.
    pub(crate) fn undecodable(reason: DecodeError, task_id: Option<&str>) -> Self {
        let task_id = task_id.and_then(|id| TaskId::new(id).ok());
        Self::Quarantined { task_id, reason }
    }
}

impl Delivery {
    /// Makes a delivery of what was verified. A body that cannot be decoded becomes
    /// [`Content::Quarantined`], since its sender was trusted.
    #[must_use]
    pub fn decode(verified: Verified, received_at: Timestamp) -> Self {
        Self {
            content: verified.content,
            strict: Fingerprint::strict(&verified.body),
            raw: verified.body,
            received_at,
            source: Source::Callback,
            verified_by: verified.by,
            submit: verified.submit,
            unconfirmed: false,
        }
    }

    /// What the provider's record says, as if it had come by a callback. `None` if the record
    /// shows no stage yet.
    #[must_use]
    pub fn from_record(record: &TaskRecord, received_at: Timestamp) -> Option<Self> {
        let callback = record.to_callback()?;
        let raw = Bytes::from(callback.encode());
        let verified_by = VerifiedBy {
            record: true,
            ..VerifiedBy::default()
        };
        Some(Self {
            strict: Fingerprint::strict(&raw),
            raw,
            received_at,
            source: Source::Poll,
            verified_by,
            submit: None,
            unconfirmed: false,
            content: Content::Event {
                semantic: Fingerprint::semantic(
                    callback.code,
                    callback.tracks.iter().map(TrackRef::from),
                ),
                code: callback.code,
                key: EventKey::new(callback.task_id.clone(), callback.stage()),
            },
        })
    }

    /// Decodes what is in quarantine anew, as this version understands it. `None` if it still cannot be
    /// decoded.
    #[must_use]
    pub fn from_quarantine(quarantined: &QuarantinedDelivery) -> Option<Self> {
        let callback = CallbackRef::decode(&quarantined.raw).ok()?;
        Some(Self {
            content: Content::event(&callback),
            strict: Fingerprint::strict(&quarantined.raw),
            raw: quarantined.raw.clone(),
            received_at: quarantined.received_at,
            source: quarantined.source,
            verified_by: quarantined.verified_by,
            submit: None,
            unconfirmed: false,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Fingerprints are kept in files, and compared with those of later versions.
    #[test]
    fn what_is_said_has_the_fingerprint_that_it_always_had() {
        let hash = [
            &200_i64.to_be_bytes()[..],
            &3_u64.to_be_bytes(),
            b"t-1",
            &198.44_f64.to_be_bytes(),
            &[1],
            // A track of which nothing is known.
            &0_u64.to_be_bytes(),
            &(-1.0_f64).to_be_bytes(),
            &[0],
        ]
        .concat();
        let expected = Fingerprint::strict(&hash);
        let body = br#"{"code":200,"data":{"task_id":"5c79","callbackType":"first","data":[
            {"id":"t-1","duration":198.44,"audio_url":"https://a.example/1.mp3","title":"x"},null]}}"#;
        let callback = CallbackRef::decode(body).unwrap();
        let semantic = Fingerprint::semantic(callback.code(), callback.tracks());
        assert_eq!(semantic, expected);
        let hex: String = semantic.0.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(hex, "cf550a77102712637ff69d94c27a3fdc");
    }
}
