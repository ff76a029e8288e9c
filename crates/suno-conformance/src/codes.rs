//! Runs the cases of `codes/`: a code, its sender and its place, to its meaning.

use serde::Deserialize;
use serde_json::json;
use suno_types::{Code, Meaning, Place};

use crate::compare::differences;
use crate::parts::Parts;
use crate::requests::Provider;

pub(crate) type Case = Parts<Input, Expect>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    provider: Provider,
    place: Where,
    code: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Where {
    Answer,
    Task,
}

impl From<Where> for Place {
    fn from(place: Where) -> Self {
        match place {
            Where::Answer => Self::Answer,
            Where::Task => Self::Task,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    meaning: String,
    is: Vec<String>,
}

/// A predicate word, and a function that evaluates it for a meaning.
type Question = (&'static str, fn(Meaning) -> bool);

/// The predicates of a meaning.
const QUESTIONS: [Question; 8] = [
    ("success", Meaning::is_success),
    ("rate_limited", Meaning::is_rate_limited),
    ("out_of_credits", Meaning::is_out_of_credits),
    ("refunded", Meaning::is_refunded),
    ("unauthorized", Meaning::is_unauthorized),
    ("invalid", Meaning::is_invalid),
    ("maintenance", Meaning::is_maintenance),
    ("retryable", Meaning::is_retryable),
];

impl Case {
    /// Returns the differences from what was expected.
    pub(crate) fn run(&self) -> Vec<String> {
        let Input {
            provider,
            place,
            code,
        } = self.input;
        let meaning = Code(code).meaning(provider.into(), place.into());
        let is = QUESTIONS.iter().filter(|(_, holds)| holds(meaning));
        let is: Vec<_> = is.map(|(word, _)| *word).collect();
        differences(
            &json!({"meaning": self.expect.meaning, "is": self.expect.is}),
            &json!({"meaning": meaning.as_str(), "is": is}),
        )
    }
}
