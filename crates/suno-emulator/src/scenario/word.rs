//! What one word of a scenario is, and the values that can be given with it.

use super::Scenario;

/// One word and what it does.
pub(super) struct Word {
    pub(super) name: &'static str,
    /// How sure it is that the provider does this.
    pub(super) evidence: &'static str,
    /// What it imitates.
    pub(super) meaning: &'static str,
    /// What may stand after `=`, for people; empty if nothing may.
    pub(super) value: &'static str,
    /// Whether `-STAGE` may follow the name.
    pub(super) is_per_stage: bool,
    /// The values with which `random` may draw it, none if it may not. Only what leaves submits
    /// and polls answered is drawn.
    pub(super) drawn: &'static [&'static str],
    pub(super) apply: Apply,
}

/// Puts a word into a scenario. The error is for people.
pub(super) type Apply = fn(&mut Scenario, WordArguments<'_>) -> Result<(), String>;

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
pub(super) struct WordArguments<'a> {
    pub(super) stage: Option<&'a str>,
    pub(super) value: Option<&'a str>,
}

/// The longest time that can be asked for, in seconds.
const SECONDS_MAX: u64 = 86_400;
/// How often a fault can be asked for.
pub(super) const TIMES_MAX: u32 = 1_000_000;
/// The longest text that can be asked for.
const TEXT_BYTES_MAX: usize = 64;

impl<'a> WordArguments<'a> {
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
