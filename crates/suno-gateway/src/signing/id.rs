//! The id of a message, derived from the key of its event.

use std::fmt;

use sha2::{Digest, Sha256};
use suno_callback::EventKey;

/// The prefix of the id of an event whose key has characters that an id must not have.
const HASHED: &str = "sha256-";

/// The value of `webhook-id`, by which a consumer deduplicates.
///
/// It is a function of the event's key, so it is the same on every attempt, in every process, after
/// a restart and after a redrive. It has only the characters `A-Z a-z 0-9 _ -`, because a `.` would
/// make the signed text ambiguous, and because task ids come from outside.
///
/// A usual key is readable: the task, the stage and the revision, with `_` between them. Any other
/// key is `sha256-` and the hexadecimal hash of the three. Different keys have different ids.
///
/// ```
/// use suno_callback::EventKey;
/// use suno_gateway::signing::MessageId;
/// use suno_types::{Stage, TaskId};
///
/// let id = |task| Ok::<_, suno_types::InvalidId>(MessageId::of(&EventKey::new(TaskId::new(task)?, Stage::First)));
/// assert_eq!(id("5c79be8e")?.as_str(), "5c79be8e_first_0");
/// assert!(id("5c79.be8e")?.as_str().starts_with("sha256-"));
/// # Ok::<(), suno_types::InvalidId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// The maximum length: a readable id of the longest task and stage.
    pub const BYTES_MAX: usize = 128 + 1 + 64 + 1 + 10;

    /// Returns the id of an event.
    #[must_use]
    pub fn of(key: &EventKey) -> Self {
        let (task, stage) = (key.task_id().as_str(), key.stage().as_str());
        // The task may contain `_`: read from the end, the id is still unambiguous. The stage may
        // not, and a hashed id has none.
        if is_plain(task, true) && is_plain(stage, false) {
            return Self(format!("{task}_{stage}_{}", key.revision()).into());
        }
        let mut hash = Sha256::new();
        // A task id has visible characters only and a revision has digits, so a line break ends each.
        hash.update(format!("{task}\n{}\n{stage}", key.revision()));
        let mut id = HASHED.to_owned();
        for byte in hash.finalize() {
            id.push_str(&format!("{byte:02x}"));
        }
        Self(id.into())
    }

    /// Creates an id that no event has, from random bytes: for a copy that consumers must not take for
    /// the event.
    #[must_use]
    pub fn of_copy(random: [u8; 16]) -> Self {
        // It has no `_`, which a readable id has, and does not begin like a hashed one.
        let digits = random.iter().map(|byte| format!("{byte:02x}"));
        Self(format!("copy-{}", digits.collect::<String>()).into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(text: &str, may_join: bool) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || may_join && byte == b'_';
    !text.is_empty() && text.bytes().all(plain)
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use suno_types::{Stage, TaskId};

    use super::*;

    fn key(task: &str, stage: &str, revision: u32) -> EventKey {
        EventKey::new(TaskId::new(task).unwrap(), Stage::from(stage)).with_revision(revision)
    }

    #[test]
    fn ids_that_were_sent_once_stay_the_same_in_every_version() {
        for (key, id) in [
            (key("5c79be8e", "complete", 0), "5c79be8e_complete_0"),
            (key("a_b-c", "mastered", 3), "a_b-c_mastered_3"),
            (
                key("a.b", "complete", 0),
                "sha256-272db71910472fa25efa71398bc039136b77f066bfb9fbd038c14cd820ee64ba",
            ),
            (
                key("a", "half_done", 1),
                "sha256-6223028ff7ffce617ef1276d954a9f075f89b0a4da3a0a557bc255ef15dd6d7c",
            ),
        ] {
            assert_eq!(MessageId::of(&key).as_str(), id);
        }
    }

    #[test]
    fn the_id_of_a_copy_is_that_of_no_event() {
        let id = MessageId::of_copy([0xab; 16]);
        assert_eq!(id.as_str(), format!("copy-{}", "ab".repeat(16)));
    }

    proptest! {
        #[test]
        fn ids_have_safe_characters_and_are_the_same_only_for_the_same_key(
            one in ("[a_.-]{1,4}", "[a_ -]{1,4}", 0_u32..3),
            other in ("[a_.-]{1,4}", "[a_ -]{1,4}", 0_u32..3),
        ) {
            let (one, other) = (key(&one.0, &one.1, one.2), key(&other.0, &other.1, other.2));
            let (id, other_id) = (MessageId::of(&one), MessageId::of(&other));
            let is_safe = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            prop_assert!(id.as_str().chars().all(is_safe), "{id}");
            prop_assert!(id.as_str().len() <= MessageId::BYTES_MAX);
            prop_assert_eq!(id == other_id, one == other);
        }
    }
}
