//! How the words of scenarios are read, listed and drawn at random. The words themselves stand in
//! the [`table`](super::table).

use fastrand::Rng;
use serde_json::{Value, json};

use super::Scenario;
use super::table::WORDS;

/// One word and what it does.
pub(super) struct Word {
    name: &'static str,
    /// How sure it is that the provider does this.
    evidence: &'static str,
    /// What it imitates.
    meaning: &'static str,
    /// What may stand after `=`, for people; empty if nothing may.
    value: &'static str,
    /// Whether `-STAGE` may follow the name.
    is_per_stage: bool,
    /// The values with which `random` may draw it, none if it may not. Only what leaves submits
    /// and polls answered is drawn.
    drawn: &'static [&'static str],
    apply: Apply,
}

/// Puts a word into a scenario. The error is for people.
pub(super) type Apply = fn(&mut Scenario, Given<'_>) -> Result<(), String>;

impl Word {
    pub(super) const fn new(
        name: &'static str,
        evidence: &'static str,
        meaning: &'static str,
        apply: Apply,
    ) -> Self {
        Self {
            name,
            evidence,
            meaning,
            value: "",
            is_per_stage: false,
            drawn: &[],
            apply,
        }
    }

    pub(super) const fn with_value(mut self, value: &'static str) -> Self {
        self.value = value;
        self
    }

    pub(super) const fn per_stage(mut self) -> Self {
        self.is_per_stage = true;
        self
    }

    pub(super) const fn drawn(mut self, values: &'static [&'static str]) -> Self {
        self.drawn = values;
        self
    }
}

/// What was given with a word.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) stage: Option<&'a str>,
    pub(super) value: Option<&'a str>,
}

/// The longest time that can be asked for, in seconds.
const SECONDS_MAX: u64 = 86_400;
/// How often a fault can be asked for.
pub(super) const TIMES_MAX: u32 = 1_000_000;
/// The longest text that can be asked for.
const TEXT_BYTES_MAX: usize = 64;

impl<'a> Given<'a> {
    /// A number from 1 on.
    pub(super) fn count(self, absent: u32, max: u32) -> Result<u32, String> {
        let Some(value) = self.value else {
            return Ok(absent);
        };
        let count = value.parse().ok().filter(|count| (1..=max).contains(count));
        count.ok_or_else(|| format!("{value:?} is not a number from 1 to {max}"))
    }

    /// A number of times, `None` for always.
    pub(super) fn times(self) -> Result<Option<u32>, String> {
        self.value
            .is_some()
            .then(|| self.count(1, TIMES_MAX))
            .transpose()
    }

    /// A time given in whole seconds.
    pub(super) fn millis(self, absent_seconds: u64) -> Result<u64, String> {
        let Some(value) = self.value else {
            return Ok(absent_seconds * 1000);
        };
        let seconds = value
            .parse::<u64>()
            .ok()
            .filter(|seconds| *seconds <= SECONDS_MAX);
        let seconds = seconds.ok_or_else(|| format!("{value:?} is not a number of seconds"))?;
        Ok(seconds * 1000)
    }

    /// A code of three digits.
    pub(super) fn code(self) -> Result<u16, String> {
        let value = self.text()?;
        let code = value.parse().ok().filter(|code| (100..=999).contains(code));
        code.ok_or_else(|| format!("{value:?} is not a code from 100 to 999"))
    }

    pub(super) fn text(self) -> Result<&'a str, String> {
        match self.value {
            Some("") | None => Err("a value is missing".to_owned()),
            Some(text) if text.len() > TEXT_BYTES_MAX => {
                Err(format!("the value is longer than {TEXT_BYTES_MAX} bytes"))
            }
            Some(text) => Ok(text),
        }
    }
}

/// Reads one word into a scenario. The error is for people.
pub(super) fn apply(scenario: &mut Scenario, text: &str) -> Result<(), String> {
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
        _ => (word.apply)(scenario, Given { stage, value }),
    };
    applied.map_err(|reason| format!("the scenario word {name:?} is not right: {reason}"))
}

/// All words in one line, for people.
fn names() -> String {
    let names = WORDS.iter().map(|word| {
        let stage = if word.is_per_stage { "[-STAGE]" } else { "" };
        format!("{}{stage}", word.name)
    });
    names.collect::<Vec<_>>().join(", ")
}

/// What the callbacks of a usual course are filed under.
const STAGES: [&str; 4] = ["text", "first", "complete", "error"];

fn find(name: &str) -> Option<(&'static Word, Option<&str>)> {
    if let Some(word) = WORDS.iter().find(|word| word.name == name) {
        return Some((word, None));
    }
    let (base, stage) = name.split_once('-')?;
    let word = WORDS
        .iter()
        .find(|word| word.is_per_stage && word.name == base)?;
    STAGES.contains(&stage).then_some((word, Some(stage)))
}

/// One of the words that `random` may draw, with its stage and value.
pub(super) fn draw(rng: &mut Rng) -> String {
    let candidates: Vec<&Word> = WORDS.iter().filter(|word| !word.drawn.is_empty()).collect();
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
    let rows = WORDS.iter().map(|word| {
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
