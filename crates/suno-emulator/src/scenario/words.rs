//! How the words of scenarios are read, listed and drawn at random. The words themselves stand in
//! the [`table`](super::table).

use fastrand::Rng;
use serde_json::{Value, json};

use super::Scenario;
use super::table::words;
use super::word::{Word, WordArguments};

/// How many words a scenario may have.
const WORDS_MAX: usize = 32;
/// How many words are drawn at random for one task.
const RANDOM_WORDS_MAX: usize = 3;

impl Scenario {
    /// Reads words that are separated by commas. The error says which word is wrong, for people.
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

    /// Draws the words that `random` stands for, and says which.
    pub(crate) fn with_random_words(mut self, rng: &mut Rng) -> (Self, Vec<String>) {
        let mut drawn = Vec::new();
        if self.is_random {
            for _ in 0..rng.usize(..=RANDOM_WORDS_MAX) {
                let word = draw(rng);
                // The table draws only what it can read.
                let _ = apply(&mut self, &word);
                drawn.push(word);
            }
        }
        (self, drawn)
    }
}

/// Reads one word into a scenario. The error is for people.
fn apply(scenario: &mut Scenario, text: &str) -> Result<(), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text, None),
    };
    let (word, stage) = find(name).ok_or_else(|| {
        format!(
            "the scenario word {name:?} is not known; known are {}",
            names()
        )
    })?;
    let applied = match value {
        Some(_) if word.value.is_empty() => Err("it takes no value".to_owned()),
        _ => (word.apply)(scenario, WordArguments { stage, value }),
    };
    applied.map_err(|reason| format!("the scenario word {name:?} is not right: {reason}"))
}

/// All words in one line, for people.
fn names() -> String {
    let names = words().map(|word| {
        let stage = if word.is_per_stage { "[-STAGE]" } else { "" };
        format!("{}{stage}", word.name)
    });
    names.collect::<Vec<_>>().join(", ")
}

/// What the callbacks of a usual course are filed under.
const STAGES: [&str; 4] = ["text", "first", "complete", "error"];

fn find(name: &str) -> Option<(&'static Word, Option<&str>)> {
    if let Some(word) = words().find(|word| word.name == name) {
        return Some((word, None));
    }
    let (base, stage) = name.split_once('-')?;
    let word = words().find(|word| word.is_per_stage && word.name == base)?;
    STAGES.contains(&stage).then_some((word, Some(stage)))
}

/// One of the words that `random` may draw, with its stage and value.
fn draw(rng: &mut Rng) -> String {
    let candidates: Vec<&Word> = words().filter(|word| !word.drawn.is_empty()).collect();
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

/// The list of words, for people and tools.
pub(crate) fn list() -> Value {
    let rows = words().map(|word| {
        json!({
            "name": word.name,
            "value": word.value,
            "per_stage": word.is_per_stage,
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
            let word = draw(&mut rng);
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
            ("drop-frist", "\"drop-frist\" is not known"),
            ("hidden-text", "\"hidden-text\" is not known"),
            ("fail=abc", "\"fail\" is not right: \"abc\" is not a code"),
            ("reorder=1", "\"reorder\" is not right: it takes no value"),
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
