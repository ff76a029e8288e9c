//! Parsing, listing and drawing the words of scenarios. The words are defined in the
//! [`table`](super::table).

use fastrand::Rng;
use serde_json::{Value, json};

use super::Scenario;
use super::table::{of_callbacks, words};
use super::word::{Word, WordArguments};

/// The maximum number of words in a scenario.
const WORDS_MAX: usize = 32;
/// The maximum number of words that are drawn for one task.
const RANDOM_WORDS_MAX: usize = 3;

impl Scenario {
    /// Parses words that are separated by commas. The error names the invalid word, for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut scenario = Self::default();
        let given = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        for (index, word) in given.enumerate() {
            if index >= WORDS_MAX {
                return Err(format!("there are more than {WORDS_MAX} scenario words"));
            }
            apply(&mut scenario, word)?;
        }
        Ok(scenario)
    }

    /// Draws and applies the words that `random` stands for, and returns them.
    pub(crate) fn with_random_words(mut self, rng: &mut Rng, is_song: bool) -> (Self, Vec<String>) {
        let mut drawn = Vec::new();
        if self.is_random {
            for _ in 0..rng.usize(..=RANDOM_WORDS_MAX) {
                let word = draw(rng, is_song);
                // Every word that can be drawn can be parsed, which a test checks.
                let _ = apply(&mut self, &word);
                drawn.push(word);
            }
        }
        (self, drawn)
    }
}

/// Applies one word to a scenario. The error is a message for people.
fn apply(scenario: &mut Scenario, text: &str) -> Result<(), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text, None),
    };
    let (word, stage) = find(name).ok_or_else(|| {
        format!(
            "the scenario word {name:?} is unknown; known words are {}",
            names()
        )
    })?;
    let applied = match value {
        Some(_) if word.value.is_empty() => Err("it takes no value".to_owned()),
        _ => (word.apply)(scenario, WordArguments { stage, value }),
    };
    if word.is_song_only {
        scenario.song_words.push(word.name);
    }
    applied.map_err(|reason| format!("the scenario word {name:?} is invalid: {reason}"))
}

/// Returns the names of all words in one line, for people.
fn names() -> String {
    let names = words().map(|word| {
        let stage = if word.is_per_stage { "[-STAGE]" } else { "" };
        format!("{}{stage}", word.name)
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The names of the callbacks of a usual course.
const STAGES: [&str; 4] = ["text", "first", "complete", "error"];

fn find(name: &str) -> Option<(&'static Word, Option<&str>)> {
    if let Some(word) = words().find(|word| word.name == name) {
        return Some((word, None));
    }
    let (base, stage) = name.split_once('-')?;
    let word = words().find(|word| word.is_per_stage && word.name == base)?;
    STAGES.contains(&stage).then_some((word, Some(stage)))
}

/// Draws one of the words for `random`, with its stage and value.
fn draw(rng: &mut Rng, is_song: bool) -> String {
    let suits = |word: &&Word| !word.drawn.is_empty() && (is_song || !word.is_song_only);
    let candidates: Vec<&Word> = words().filter(suits).collect();
    let word = candidates[rng.usize(..candidates.len())];
    let stage = if word.is_per_stage {
        rng.usize(..=STAGES.len())
    } else {
        STAGES.len()
    };
    let stage = STAGES
        .get(stage)
        .map(|stage| format!("-{stage}"))
        .unwrap_or_default();
    let value = word.drawn[rng.usize(..word.drawn.len())];
    format!("{}{stage}{value}", word.name)
}

/// A word that scenarios consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScenarioWord {
    /// The word, such as `duplicate`.
    pub name: &'static str,
    /// A description of the value after `=`, or empty if the word takes none.
    pub value: &'static str,
    /// Whether `-STAGE` may follow the name, such as `-first`.
    pub is_per_stage: bool,
    /// The effect of the word.
    pub meaning: &'static str,
}

/// Returns the words that change which callbacks are sent, in the order of the documentation. Those that
/// only change answers to submits and polls are left out.
pub fn callback_words() -> impl Iterator<Item = ScenarioWord> {
    of_callbacks().map(|word| ScenarioWord {
        name: word.name,
        value: word.value,
        is_per_stage: word.is_per_stage,
        meaning: word.meaning,
    })
}

/// Returns the list of words, for people and tools.
pub(crate) fn list() -> Value {
    let rows = words().map(|word| {
        json!({
            "name": word.name,
            "value": word.value,
            "per_stage": word.is_per_stage,
            "songs_only": word.is_song_only,
            "meaning": word.meaning,
            "evidence": word.evidence,
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::{Scenario, draw};

    #[test]
    fn every_word_that_can_be_drawn_can_be_read() {
        let mut rng = Rng::with_seed(1);
        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..10_000 {
            let word = draw(&mut rng, true);
            assert_ne!(
                Scenario::parse(&word),
                Ok(Scenario::default()),
                "{word} does nothing"
            );
            drawn.insert(word);
        }
        assert!(drawn.len() > 60, "{drawn:?}");
    }

    #[test]
    fn a_wrong_word_is_named() {
        let cases = [
            ("drop-frist", "\"drop-frist\" is unknown"),
            ("hidden-text", "\"hidden-text\" is unknown"),
            ("fail=abc", "\"fail\" is invalid: \"abc\" is not a code"),
            ("reorder=1", "\"reorder\" is invalid: it takes no value"),
            ("duplicate=17", "not a number from 1 to 16"),
            ("order=", "a value is missing"),
            ("stages=begin", "\"begin\" is not one of"),
            ("http=200", "not an HTTP status"),
        ];
        for (text, expected) in cases {
            let reason = Scenario::parse(text).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
        assert!(
            Scenario::parse(&"drop,".repeat(33))
                .unwrap_err()
                .contains("more than 32")
        );
        assert_eq!(Scenario::parse(" , ,"), Ok(Scenario::default()));
    }
}
