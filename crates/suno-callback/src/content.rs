//! The content of a body, as far as stores and the order of stages need it.

use sha2::{Digest, Sha256};
use suno_types::{Callback, CallbackRef, Code, DecodeError, Peek, TaskId, TrackRef};

use crate::key::EventKey;

/// The decoded content of a body.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Content {
    /// A report of a stage of a task.
    #[non_exhaustive]
    Event {
        /// The task and the stage.
        key: EventKey,
        /// The code that was sent.
        code: Code,
        /// The fingerprint of the reported content.
        semantic: Fingerprint,
    },
    /// A body from a trusted sender that could not be decoded; its bytes are kept.
    #[non_exhaustive]
    Quarantined {
        /// The task, if at least that could be read.
        task_id: Option<TaskId>,
        /// The reason why the body could not be decoded.
        reason: DecodeError,
    },
}

impl Content {
    /// Creates the content for the event that a callback reports.
    pub(crate) fn event(callback: &CallbackRef<'_>) -> Self {
        Self::Event {
            semantic: Fingerprint::semantic(callback.code(), callback.tracks()),
            code: callback.code(),
            key: EventKey::new(callback.to_task_id(), callback.stage()),
        }
    }

    /// Decodes a body. If that fails, still tries to read the task.
    pub(crate) fn decode(body: &[u8]) -> Self {
        match CallbackRef::decode(body) {
            Ok(callback) => Self::event(&callback),
            Err(reason) => {
                let task_id = Peek::callback(body).ok().map(|peek| peek.task_id);
                Self::undecodable(reason, task_id.as_deref())
            }
        }
    }

    /// Creates the content for the event that an owned callback reports.
    pub(crate) fn of_callback(callback: &Callback) -> Self {
        let tracks = callback.tracks.iter().map(TrackRef::from);
        Self::Event {
            semantic: Fingerprint::semantic(callback.code, tracks),
            code: callback.code,
            key: EventKey::new(callback.task_id.clone(), callback.stage()),
        }
    }

    /// Creates the content for a body that cannot be decoded but may name a task.
    pub(crate) fn undecodable(reason: DecodeError, task_id: Option<&str>) -> Self {
        let task_id = task_id.and_then(|id| TaskId::new(id).ok());
        Self::Quarantined { task_id, reason }
    }
}

/// A hash of 16 bytes that identifies what was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    fn of(hash: Sha256) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        Self(bytes)
    }

    /// Hashes the raw bytes.
    pub(crate) fn strict(body: &[u8]) -> Self {
        Self::of(Sha256::new_with_prefix(body))
    }

    /// Hashes the meaning of the body: code, track ids, durations, and which tracks are ready. URLs
    /// are left out, since the provider may sign them anew for each delivery, and so is the
    /// formatting of the body.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Fingerprints are stored in files and compared with those of later versions, so they must not
    /// change.
    #[test]
    fn what_is_said_has_the_fingerprint_that_it_always_had() {
        let hash = [
            &200_i64.to_be_bytes()[..],
            &3_u64.to_be_bytes(),
            b"t-1",
            &198.44_f64.to_be_bytes(),
            &[1],
            // A track about which nothing is known.
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
