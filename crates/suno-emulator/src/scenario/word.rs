//! A word of scenarios, and its arguments.

use super::Scenario;

/// A word and its effect.
pub(super) struct Word {
    pub(super) name: &'static str,
    /// The evidence that the provider behaves like this.
    pub(super) evidence: &'static str,
    /// The behaviour that it imitates.
    pub(super) meaning: &'static str,
    /// A description of the value after `=`, or empty if the word takes none.
    pub(super) value: &'static str,
    /// Whether `-STAGE` may follow the name.
    pub(super) is_per_stage: bool,
    /// Whether the word makes sense only for songs.
    pub(super) is_song_only: bool,
    /// The values with which `random` may draw the word; empty if it may not. Only words that leave
    /// submits and polls answered are drawn.
    pub(super) drawn: &'static [&'static str],
    pub(super) apply: WordEffect,
}

/// A function that applies a word to a scenario. The error is a message for people.
pub(super) type WordEffect = fn(&mut Scenario, WordArguments<'_>) -> Result<(), String>;

impl Word {
    pub(super) const fn new(
        name: &'static str,
        evidence: &'static str,
        meaning: &'static str,
        apply: WordEffect,
    ) -> Self {
        Self {
            name,
            evidence,
            meaning,
            value: "",
            is_per_stage: false,
            is_song_only: false,
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

    pub(super) const fn of_songs(mut self) -> Self {
        self.is_song_only = true;
        self
    }

    pub(super) const fn drawn(mut self, values: &'static [&'static str]) -> Self {
        self.drawn = values;
        self
    }
}

/// The arguments of a word.
#[derive(Clone, Copy)]
pub(super) struct WordArguments<'a> {
    pub(super) stage: Option<&'a str>,
    pub(super) value: Option<&'a str>,
}

/// The maximum duration, in seconds.
const SECONDS_MAX: u64 = 86_400;
/// The maximum number of times of a fault.
pub(super) const TIMES_MAX: u32 = 1_000_000;
/// The maximum length of a text.
const TEXT_BYTES_MAX: usize = 64;

impl<'a> WordArguments<'a> {
    /// Parses a number from 1 to `max`.
    pub(super) fn count(self, absent: u32, max: u32) -> Result<u32, String> {
        let Some(value) = self.value else {
            return Ok(absent);
        };
        let count = value.parse().ok().filter(|count| (1..=max).contains(count));
        count.ok_or_else(|| format!("{value:?} is not a number from 1 to {max}"))
    }

    /// Parses a number of times; `None` means always.
    pub(super) fn times(self) -> Result<Option<u32>, String> {
        self.value
            .is_some()
            .then(|| self.count(1, TIMES_MAX))
            .transpose()
    }

    /// Parses a duration in whole seconds and returns milliseconds.
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

    /// Parses a code of three digits.
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
