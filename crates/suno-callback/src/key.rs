//! The identities of events and submits.

use std::fmt;
use std::str::FromStr;

use suno_types::{Stage, TaskId};

/// The identity of an event: its task and its stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    task_id: TaskId,
    stage: Stage,
}

impl EventKey {
    /// Creates the key of a task's stage.
    #[must_use]
    pub fn new(task_id: TaskId, stage: Stage) -> Self {
        Self { task_id, stage }
    }

    /// Returns the task.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        &self.task_id
    }

    /// Returns the stage.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }
}

impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task_id, self.stage)
    }
}

/// The number that the store gives to an event or to a quarantine entry. Numbers increase in the
/// order of arrival and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct EventId(pub i64);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a submit, chosen before the provider assigns a task id. It is the last segment of
/// the callback URL, and as hard to guess as the bytes that it is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubmitId([u8; 16]);

/// An error: the text is not a [`SubmitId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a submit id must consist of 32 lower-case hexadecimal digits")]
#[non_exhaustive]
pub struct InvalidSubmitId;

impl SubmitId {
    /// Creates an id from random bytes. Anyone who can guess them can claim a task for the
    /// submit.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for stores.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for SubmitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for SubmitId {
    type Err = InvalidSubmitId;

    fn from_str(text: &str) -> Result<Self, InvalidSubmitId> {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(InvalidSubmitId),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; 16];
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(InvalidSubmitId);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_submit_is_read_as_it_is_written() {
        let text = "00017f80ff1020304050607080abcdef";
        let submit: SubmitId = text.parse().unwrap();
        assert_eq!(submit.to_string(), text);
        for wrong in [
            "",
            &text[1..],
            &text[2..],
            &format!("{text}0"),
            &text.to_uppercase(),
            "0001 f80ff1020304050607080abcdef",
            "é0017f80ff1020304050607080abcdef",
        ] {
            assert_eq!(wrong.parse::<SubmitId>(), Err(InvalidSubmitId), "{wrong}");
        }
    }
}
