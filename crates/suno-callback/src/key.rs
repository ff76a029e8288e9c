//! The identities of events and submits.

use std::fmt;
use std::str::FromStr;

use suno_types::{Stage, TaskId};

/// The identity of an event: its task, its stage, and its revision.
///
/// A later delivery of a stage that says more than the earlier one, such as that a second track is
/// ready, is a revision: an event of its own. The store numbers revisions. The key of a delivery
/// always has revision 0.
///
/// ```
/// use suno_callback::EventKey;
/// use suno_types::{Stage, TaskId};
///
/// let key = EventKey::new(TaskId::new("5c79be8e")?, Stage::Complete);
/// assert_eq!(key.to_string(), "5c79be8e/complete");
/// assert_eq!(key.with_revision(2).to_string(), "5c79be8e/complete/2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey {
    task_id: TaskId,
    stage: Stage,
    revision: u32,
}

impl EventKey {
    /// Creates the key of a task's stage, with revision 0.
    #[must_use]
    pub fn new(task_id: TaskId, stage: Stage) -> Self {
        Self {
            task_id,
            stage,
            revision: 0,
        }
    }

    /// Sets the revision.
    #[must_use]
    pub fn with_revision(mut self, revision: u32) -> Self {
        self.revision = revision;
        self
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

    /// Returns the revision: 0 for the first event of the stage, at most
    /// [`REVISIONS_MAX`](crate::bounds::REVISIONS_MAX).
    #[must_use]
    pub fn revision(&self) -> u32 {
        self.revision
    }
}

/// The task and the stage, and the revision if it is not 0.
impl fmt::Display for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task_id, self.stage)?;
        match self.revision {
            0 => Ok(()),
            revision => write!(f, "/{revision}"),
        }
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

/// The application's own name for a submit, such as the number of an order. It is recorded before
/// the submit is sent, and is part of every event whose callback URL names the submit.
///
/// ```
/// use suno_callback::Reference;
///
/// let reference = Reference::new("order-42")?;
/// assert_eq!(reference.as_str(), "order-42");
/// assert!(Reference::new("").is_err());
/// # Ok::<(), suno_callback::InvalidReference>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(Box<str>);

/// An error: the text is not a [`Reference`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a reference must have 1 to {} bytes and no control characters",
    Reference::BYTES_MAX
)]
#[non_exhaustive]
pub struct InvalidReference;

impl Reference {
    /// The maximum length of a reference, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Creates a reference.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidReference`] unless the text has 1 to 256 bytes and no control characters.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, InvalidReference> {
        let text = text.into();
        let is_valid = (1..=Self::BYTES_MAX).contains(&text.len());
        if !is_valid || text.chars().any(char::is_control) {
            return Err(InvalidReference);
        }
        Ok(Self(text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_1_to_256_bytes_and_no_control_characters() {
        let longest = "é".repeat(Reference::BYTES_MAX / 2);
        for right in ["a", "Bestellung 42/ü?", &longest] {
            assert_eq!(Reference::new(right).unwrap().as_str(), right);
        }
        for wrong in ["", "a\nb", "a\u{7f}", "\u{85}", &format!("{longest}x")] {
            assert_eq!(
                wrong.parse::<Reference>(),
                Err(InvalidReference),
                "{wrong:?}"
            );
        }
    }

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
