//! The record of an attempt, as a value that can be stored with its event.
//!
//! A record is small whatever the destination answered: no text in it is longer than
//! [`KeptText::BYTES_MAX`], and the whole is at most [`Attempt::JSON_BYTES_MAX`] as JSON. It has no
//! header values, no URLs and no request body.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::destination::{Action, Failure};

/// One attempt to hand an event to a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Attempt {
    /// The name of the destination.
    pub destination: String,
    /// The number of the attempt, as the event counts it, from 1.
    pub number: u32,
    /// The time at which it began.
    pub started_at: Timestamp,
    /// The duration, in milliseconds.
    pub duration_ms: u64,
    /// The outcome at the destination.
    pub outcome: Outcome,
    /// The action that follows.
    pub action: Action,
    /// The wait before the next attempt, in milliseconds, if the event is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// True if the destination was down or paused, and this was its probe.
    #[serde(default)]
    pub is_probe: bool,
    /// True if the request was sent a second time, because the server closed the first connection.
    #[serde(default)]
    pub is_resent: bool,
    /// True if the event was sent once more on demand, whatever became of it. `number` then counts the
    /// replays.
    #[serde(default)]
    pub is_replay: bool,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It answered.
    Answered(AnswerRecord),
    /// It did not answer.
    NotAnswered {
        /// The reason.
        failure: Failure,
        /// More about the reason, for people.
        detail: KeptText,
    },
    /// A command ended.
    Exited(ExitRecord),
    /// Files were downloaded.
    Saved(SavedRecord),
    /// An outcome that only a later version knows.
    #[serde(other)]
    Other,
}

/// What happened, for people, such as `answered 500`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => answer.fmt(f),
            Self::NotAnswered { failure, detail } if detail.text.is_empty() => failure.fmt(f),
            Self::NotAnswered { failure, detail } => write!(f, "{failure}: {}", detail.text),
            Self::Exited(exit) if exit.is_timed_out => {
                f.write_str("the command took too long and was ended")
            }
            Self::Exited(exit) => match (exit.code, exit.signal) {
                (Some(code), _) => write!(f, "the command exited with {code}"),
                (None, Some(signal)) => write!(f, "the command was ended by signal {signal}"),
                (None, None) => f.write_str("the command ended"),
            },
            Self::Saved(saved) if saved.missing == 0 => write!(f, "saved {} files", saved.files),
            Self::Saved(SavedRecord {
                files,
                missing,
                detail,
            }) => write!(f, "{missing} of {files} files are missing: {}", detail.text),
            Self::Other => f.write_str("failed"),
        }
    }
}

/// The stored part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AnswerRecord {
    /// The status.
    pub status: u16,
    /// The beginning of the body.
    pub body: KeptText,
    /// The host that a redirect names. It is not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_host: Option<KeptText>,
    /// The number of seconds by which the destination's clock is ahead, as its `Date` header shows;
    /// absent if it is less than five. A consumer whose clock is off by five minutes refuses every
    /// signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_seconds: Option<i64>,
    /// True if `webhook-delivery` decided the action.
    #[serde(default)]
    pub is_asked_for: bool,
}

/// The status, and what else explains it.
impl fmt::Display for AnswerRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered {}", self.status)?;
        if self.is_asked_for {
            f.write_str(" and asked by webhook-delivery not to be sent this")?;
        }
        if let Some(host) = &self.location_host {
            write!(f, ", a redirect to {} that is not followed", host.text)?;
        }
        match self.clock_ahead_seconds {
            Some(ahead) if ahead < 0 => {
                write!(f, "; its clock is {} s behind", ahead.unsigned_abs())
            }
            Some(ahead) => write!(f, "; its clock is {ahead} s ahead"),
            None => Ok(()),
        }
    }
}

/// The stored part of a command's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExitRecord {
    /// The exit code, unless a signal ended the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// True if it was ended because it exceeded its time limit.
    #[serde(default)]
    pub is_timed_out: bool,
    /// The end of what it wrote to stdout.
    pub stdout: KeptText,
    /// The end of what it wrote to stderr.
    pub stderr: KeptText,
}

/// The stored part of downloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedRecord {
    /// The number of files that are ready.
    pub files: u32,
    /// The number of them that could not be saved.
    pub missing: u32,
    /// The reason for each that is missing.
    pub detail: KeptText,
}

impl AnswerRecord {
    /// Creates the record of an answer.
    #[must_use]
    pub fn new(status: u16, body: KeptText) -> Self {
        Self {
            status,
            body,
            location_host: None,
            clock_ahead_seconds: None,
            is_asked_for: false,
        }
    }
}

/// Text from a destination, of bounded length. Control characters except line breaks are replaced by
/// spaces.
/// `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KeptText {
    /// The text.
    pub text: String,
    /// True if there was more.
    #[serde(default)]
    pub is_cut: bool,
}

impl KeptText {
    /// The maximum number of bytes of a text.
    pub const BYTES_MAX: usize = 2_048;

    /// Keeps the beginning of a text. `is_cut` says that the text was cut before.
    #[must_use]
    pub fn head(text: &str, is_cut: bool) -> Self {
        let clean = clean(text);
        let mut end = clean.len().min(Self::BYTES_MAX);
        while !clean.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            text: clean[..end].to_owned(),
            is_cut: is_cut || end < clean.len(),
        }
    }

    /// Keeps the end of a text. `is_cut` says that the text was cut before.
    #[must_use]
    pub fn tail(text: &str, is_cut: bool) -> Self {
        let clean = clean(text);
        let mut start = clean.len().saturating_sub(Self::BYTES_MAX);
        while !clean.is_char_boundary(start) {
            start += 1;
        }
        Self {
            text: clean[start..].to_owned(),
            is_cut: is_cut || start > 0,
        }
    }
}

/// Replaces control characters, which could change a terminal, by spaces.
fn clean(text: &str) -> String {
    let is_bad = |c: char| c.is_control() && c != '\n' || is_direction(c);
    text.chars()
        .map(|c| if is_bad(c) { ' ' } else { c })
        .collect()
}

/// Returns whether a character changes the direction of the text after it.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for KeptText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptText")
            .field("bytes", &self.text.len())
            .field("is_cut", &self.is_cut)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    /// The maximum number of bytes of an attempt as JSON, if its destination has a
    /// [`DestinationName`](crate::destination::DestinationName). Each of two texts can double its
    /// length where it is escaped.
    pub const JSON_BYTES_MAX: usize = 10_240;

    /// Creates the record of an attempt after which nothing is tried again.
    #[must_use]
    pub fn new(
        destination: impl Into<String>,
        number: u32,
        started_at: Timestamp,
        outcome: Outcome,
        action: Action,
    ) -> Self {
        Self {
            destination: destination.into(),
            number,
            started_at,
            duration_ms: 0,
            outcome,
            action,
            retry_in_ms: None,
            is_probe: false,
            is_resent: false,
            is_replay: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attempt(outcome: Outcome) -> Attempt {
        let name = "x".repeat(64);
        let mut attempt = Attempt::new(name, u32::MAX, Timestamp::MAX, outcome, Action::BadEvent);
        attempt.duration_ms = u64::MAX;
        attempt.retry_in_ms = Some(u64::MAX);
        attempt
    }

    fn largest(text: &str) -> [Attempt; 3] {
        let mut answer = AnswerRecord::new(999, KeptText::head(text, true));
        answer.location_host = Some(KeptText::head(text, true));
        answer.clock_ahead_seconds = Some(i64::MIN);
        let exit = ExitRecord {
            code: Some(i32::MIN),
            signal: Some(i32::MIN),
            is_timed_out: true,
            stdout: KeptText::tail(text, false),
            stderr: KeptText::tail(text, false),
        };
        [
            attempt(Outcome::Answered(answer)),
            attempt(Outcome::Exited(exit)),
            attempt(Outcome::NotAnswered {
                failure: Failure::Malformed,
                detail: KeptText::head(text, false),
            }),
        ]
    }

    #[test]
    fn an_attempt_is_small_whatever_the_answer_was() {
        for text in ["\"", "\\", "\n", "\u{1}", "é", "😀", "a"] {
            for attempt in largest(&text.repeat(1 << 20)) {
                let json = serde_json::to_string(&attempt).unwrap();
                assert!(json.len() <= Attempt::JSON_BYTES_MAX, "{}", json.len());
                let read: Attempt = serde_json::from_str(&json).unwrap();
                assert_eq!(read, attempt);
            }
        }
    }

    #[test]
    fn an_outcome_is_told_with_what_explains_it() {
        let mut answer = AnswerRecord::new(401, KeptText::default());
        answer.clock_ahead_seconds = Some(-301);
        assert_eq!(
            answer.to_string(),
            "answered 401; its clock is 301 s behind"
        );
        let mut answer = AnswerRecord::new(302, KeptText::default());
        answer.location_host = Some(KeptText::head("shop.example", false));
        assert_eq!(
            Outcome::Answered(answer).to_string(),
            "answered 302, a redirect to shop.example that is not followed"
        );
        let saved = SavedRecord {
            files: 2,
            missing: 1,
            detail: KeptText::head("file 2: gone", false),
        };
        assert_eq!(
            Outcome::Saved(saved).to_string(),
            "1 of 2 files are missing: file 2: gone"
        );
    }

    #[test]
    fn an_attempt_of_a_later_version_can_be_read() {
        let json = r#"{"destination":"a","number":1,"started_at":"2026-01-01T00:00:00Z",
            "duration_ms":1,"outcome":{"kind":"streamed","x":1},"action":"retry","more":[]}"#;
        let attempt: Attempt = serde_json::from_str(json).unwrap();
        assert_eq!(attempt.outcome, Outcome::Other);
    }

    #[test]
    fn no_debug_output_shows_what_was_answered() {
        let [attempt, ..] = largest("canary");
        assert!(!format!("{attempt:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn kept_text_is_bounded_and_cannot_change_a_terminal(
            text in "[a\u{1b}\u{202e}\u{9b}\r\n😀]{0,900}", is_cut: bool,
        ) {
            for kept in [KeptText::head(&text, is_cut), KeptText::tail(&text, is_cut)] {
                prop_assert!(kept.text.len() <= KeptText::BYTES_MAX);
                let has_bad = kept.text.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\r']);
                prop_assert!(!has_bad);
                let is_whole = kept.text.chars().count() == text.chars().count();
                prop_assert_eq!(kept.is_cut, is_cut || !is_whole);
            }
        }
    }
}
