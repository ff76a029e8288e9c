//! One entry of a history, and how its detail is kept small.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use suno_types::{Stage, TaskId};

/// One entry of a history.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The task.
    pub task_id: TaskId,
    /// The stage, if the entry is about one.
    pub stage: Option<Stage>,
    /// The revision of the stage. Of a delivery it is always 0, because the store numbers revisions.
    pub revision: u32,
    /// The time at which it happened, by the clock of the process that recorded it.
    pub at: Timestamp,
    /// The kind of the entry.
    pub kind: HistoryKind,
    detail: Box<str>,
}

impl HistoryEntry {
    /// The maximum number of bytes of a detail.
    pub const DETAIL_BYTES_MAX: usize = 10_240;

    /// Creates an entry about a task, without a detail.
    #[must_use]
    pub fn new(task_id: TaskId, kind: HistoryKind, at: Timestamp) -> Self {
        Self {
            task_id,
            stage: None,
            revision: 0,
            at,
            kind,
            detail: "{}".into(),
        }
    }

    /// Sets the stage and its revision.
    #[must_use]
    pub fn with_stage(mut self, stage: Stage, revision: u32) -> Self {
        self.stage = Some(stage);
        self.revision = revision;
        self
    }

    /// Sets the detail. One that is too large is shortened: first its texts and lists and, if that is
    /// not enough, all of it. A value that cannot be JSON becomes an empty object.
    #[must_use]
    pub fn with_detail(self, detail: &impl Serialize) -> Self {
        match serde_json::to_string(detail) {
            Ok(text) => self.with_detail_text(text),
            Err(_) => self,
        }
    }

    /// Sets the detail to JSON text, for implementors of a [`History`](super::History). It is
    /// shortened as by [`with_detail`](Self::with_detail); text that is not JSON becomes an empty
    /// object.
    #[must_use]
    pub fn with_detail_text(mut self, text: impl Into<Box<str>>) -> Self {
        let text = text.into();
        // The rest of the text is checked where it is parsed; a store returns what it was given.
        self.detail = match text.len() <= Self::DETAIL_BYTES_MAX && is_json(&text) {
            true => text,
            false => shortened(&text).into(),
        };
        self
    }

    /// Returns the detail: an object of JSON whose members depend on the kind.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Leaves out the detail.
impl fmt::Debug for HistoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryEntry")
            .field("task_id", &self.task_id)
            .field("stage", &self.stage)
            .field("revision", &self.revision)
            .field("at", &self.at)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Shortens a detail to valid JSON of at most [`HistoryEntry::DETAIL_BYTES_MAX`] bytes.
fn shortened(text: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return "{}".to_owned();
    };
    for length_max in [2_048, 256, 32] {
        shorten(&mut value, length_max);
        let text = value.to_string();
        if text.len() <= HistoryEntry::DETAIL_BYTES_MAX {
            return text;
        }
    }
    r#"{"is_cut":true}"#.to_owned()
}

/// Cuts every text to a number of characters, and every list to as many items.
fn shorten(value: &mut Value, length_max: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(length_max) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(items) => {
            items.truncate(length_max);
            items.iter_mut().for_each(|item| shorten(item, length_max));
        }
        Value::Object(members) => members
            .iter_mut()
            .for_each(|(_, member)| shorten(member, length_max)),
        _ => {}
    }
}

/// The kind of an entry: one word. Kinds that this version does not know are kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HistoryKind(Cow<'static, str>);

impl HistoryKind {
    /// A delivery was committed.
    pub const DELIVERY: Self = Self(Cow::Borrowed("delivery"));
    /// A handler has ended.
    pub const HANDLED: Self = Self(Cow::Borrowed("handled"));
    /// An event was sent to a destination, or could not be sent.
    pub const ATTEMPT: Self = Self(Cow::Borrowed("attempt"));
    /// The provider was asked for the record of a task, which said nothing new.
    pub const POLL: Self = Self(Cow::Borrowed("poll"));
    /// An event became a dead letter.
    pub const DEAD_LETTER: Self = Self(Cow::Borrowed("dead_letter"));
    /// An event was made ready again by a person.
    pub const REDRIVE: Self = Self(Cow::Borrowed("redrive"));
    /// An event was sent again by a person.
    pub const REPLAY: Self = Self(Cow::Borrowed("replay"));

    /// The maximum number of bytes of a word. A longer one is cut.
    pub const WORD_BYTES_MAX: usize = 64;

    /// Returns the kind as one word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for HistoryKind {
    fn from(word: &str) -> Self {
        let known = [
            Self::DELIVERY,
            Self::HANDLED,
            Self::ATTEMPT,
            Self::POLL,
            Self::DEAD_LETTER,
            Self::REDRIVE,
            Self::REPLAY,
        ];
        if let Some(kind) = known.into_iter().find(|kind| kind.as_str() == word) {
            return kind;
        }
        let mut end = word.len().min(Self::WORD_BYTES_MAX);
        while !word.is_char_boundary(end) {
            end -= 1;
        }
        Self(Cow::Owned(word[..end].to_owned()))
    }
}

impl fmt::Display for HistoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(detail: &Value) -> HistoryEntry {
        let task_id = TaskId::new("t").unwrap();
        HistoryEntry::new(task_id, HistoryKind::ATTEMPT, Timestamp::UNIX_EPOCH).with_detail(detail)
    }

    #[test]
    fn a_detail_that_fits_is_kept_as_it_is() {
        let detail = json!({"text": "x".repeat(10_000), "number": 1});
        assert_eq!(with(&detail).detail(), detail.to_string());
    }

    #[test]
    fn a_detail_that_is_too_large_becomes_a_shorter_valid_one() {
        let lists: Vec<_> = (0..1_000).map(|_| "é".repeat(1_000)).collect();
        let members = (0..10_000).map(|number| (number.to_string(), json!(1)));
        for detail in [
            json!({"text": "é".repeat(1 << 20), "number": 1}),
            json!({ "lists": lists }),
            Value::Object(members.collect()),
            json!("\u{1}".repeat(1 << 20)),
        ] {
            let entry = with(&detail);
            assert!(entry.detail().len() <= HistoryEntry::DETAIL_BYTES_MAX);
            assert!(is_json(entry.detail()));
        }
        let short = with(&json!({"text": "a".repeat(1 << 20), "number": 1}));
        assert!(short.detail().contains(r#""number":1"#));
    }

    #[test]
    fn a_kind_of_a_later_version_is_kept() {
        assert_eq!(HistoryKind::from("attempt"), HistoryKind::ATTEMPT);
        assert_eq!(HistoryKind::from("moved").as_str(), "moved");
        let long = HistoryKind::from("é".repeat(100).as_str());
        assert!(long.as_str().len() <= HistoryKind::WORD_BYTES_MAX);
    }

    #[test]
    fn no_debug_output_shows_a_detail() {
        assert!(!format!("{:?}", with(&json!("canary"))).contains("canary"));
    }
}
