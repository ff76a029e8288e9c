//! The recorded counts, and the comparison with new ones.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The maximum growth of a count, in per cent.
const GROWTH_PERCENT_MAX: u64 = 5;

/// The environment on which counts depend besides the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Builder {
    rustc: String,
    machine: String,
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.rustc, self.machine)
    }
}

/// Counts and the environment in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Baseline {
    #[serde(flatten)]
    builder: Builder,
    /// The number of instructions for one repetition of each piece of work.
    instructions: BTreeMap<String, u64>,
}

impl Baseline {
    pub(super) const FILE: &str = "crates/suno-trials/instructions.json";
    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.json");

    pub(super) fn builder() -> Result<Builder> {
        Ok(Builder {
            rustc: crate::release::compiler()?,
            machine: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        })
    }

    pub(super) fn new(builder: Builder, instructions: BTreeMap<String, u64>) -> Self {
        Self {
            builder,
            instructions,
        }
    }

    pub(super) fn read() -> Result<Self> {
        let text = fs::read_to_string(Self::PATH)
            .with_context(|| format!("nothing is recorded in {}", Self::FILE))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} does not contain counts", Self::FILE))
    }

    pub(super) fn write(&self) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(Self::PATH, text).with_context(|| format!("{} cannot be written", Self::FILE))
    }

    pub(super) fn is_of(&self, builder: &Builder) -> bool {
        self.builder == *builder
    }

    pub(super) fn builder_of(&self) -> &Builder {
        &self.builder
    }

    /// Returns the change of each count, including those that are new or gone.
    pub(super) fn compare(&self, counted: &BTreeMap<String, u64>) -> Vec<Finding> {
        let mut pieces: Vec<&String> = self.instructions.keys().chain(counted.keys()).collect();
        pieces.sort_unstable();
        pieces.dedup();
        let findings = pieces.into_iter().map(|piece| Finding {
            piece: piece.clone(),
            recorded: self.instructions.get(piece).copied(),
            now: counted.get(piece).copied(),
        });
        findings.collect()
    }
}

/// The change of a count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) piece: String,
    recorded: Option<u64>,
    now: Option<u64>,
}

impl Finding {
    /// Returns the growth as a fraction of the recorded count.
    fn growth(&self) -> Option<f64> {
        Some(self.now? as f64 / self.recorded? as f64 - 1.0)
    }

    /// Whether the count has grown too much, or cannot be compared.
    pub(super) fn is_bad(&self) -> bool {
        match (self.recorded, self.now) {
            (Some(recorded), Some(now)) => now * 100 > recorded * (100 + GROWTH_PERCENT_MAX),
            _ => true,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: Option<u64>| count.map_or("–".to_owned(), |count| count.to_string());
        let (recorded, now) = (number(self.recorded), number(self.now));
        match self.growth() {
            Some(growth) => write!(
                f,
                "| {} | {recorded} | {now} | {:+.1} % |",
                self.piece,
                growth * 100.0
            ),
            None => write!(f, "| {} | {recorded} | {now} | – |", self.piece),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
        let counts = counts.iter();
        counts
            .map(|(piece, count)| ((*piece).to_owned(), *count))
            .collect()
    }

    fn bad(recorded: &[(&str, u64)], now: &[(&str, u64)]) -> Vec<String> {
        let baseline = Baseline::new(Baseline::builder().unwrap(), counts(recorded));
        let findings = baseline.compare(&counts(now)).into_iter();
        let bad = findings.filter(Finding::is_bad);
        bad.map(|finding| finding.piece).collect()
    }

    #[test]
    fn a_count_may_grow_by_a_twentieth_and_shrink_by_any() {
        let recorded = [("decode", 10_000), ("peek", 10_000), ("verify", 10_000)];
        let now = [("decode", 10_500), ("peek", 10_501), ("verify", 1)];
        assert_eq!(bad(&recorded, &now), ["peek"]);
    }

    #[test]
    fn what_is_not_recorded_or_not_counted_is_no_success() {
        assert_eq!(bad(&[("decode", 1)], &[("peek", 1)]), ["decode", "peek"]);
    }

    #[test]
    fn counts_of_another_compiler_are_not_compared() {
        let builder = Baseline::builder().unwrap();
        let other = Builder {
            rustc: "rustc 1.0.0".to_owned(),
            ..builder.clone()
        };
        let baseline = Baseline::new(other, BTreeMap::new());
        assert!(!baseline.is_of(&builder));
        assert!(Baseline::new(builder.clone(), BTreeMap::new()).is_of(&builder));
    }
}
