//! The report of the suite.

use std::fmt;

use super::contract::sentences;
use super::{CaseResult, Failed, SuiteCase};

/// The verdicts of the suite. As text, it lists the failed cases and those that could not
/// be tried.
#[derive(Debug, Default)]
pub struct Report {
    kept: Vec<&'static str>,
    not_applicable: Vec<&'static str>,
    broken: Vec<Broken>,
}

/// A case that a store failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The case.
    pub case: &'static str,
    /// The number of the sentence of the contract that it tests, such as `C8`.
    pub id: &'static str,
    /// The sentence.
    pub sentence: String,
    /// A description of what the store did wrong.
    pub what: String,
}

impl Report {
    /// The cases that the store passes.
    #[must_use]
    pub fn kept(&self) -> &[&'static str] {
        &self.kept
    }

    /// The cases that could not be tried, because the bench does not support what they
    /// need.
    #[must_use]
    pub fn not_applicable(&self) -> &[&'static str] {
        &self.not_applicable
    }

    /// The cases that the store fails. Empty if it keeps the contract.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    pub(super) fn add(&mut self, case: &SuiteCase, verdict: CaseResult) {
        match verdict {
            Ok(()) => self.kept.push(case.name),
            Err(Failed::NotApplicable) => self.not_applicable.push(case.name),
            Err(failed) => self.broken.push(Broken {
                case: case.name,
                id: case.sentence,
                sentence: sentence(case.sentence),
                what: failed.to_string(),
            }),
        }
    }
}

fn sentence(id: &str) -> String {
    let found = sentences().into_iter().find(|sentence| sentence.id == id);
    found.map(|sentence| sentence.text).unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cases kept, {} broken, {} not applicable",
            self.kept.len(),
            self.broken.len(),
            self.not_applicable.len()
        )?;
        for broken in &self.broken {
            write!(
                f,
                "\n{}: {}\n  {}: {}",
                broken.case, broken.what, broken.id, broken.sentence
            )?;
        }
        for case in &self.not_applicable {
            write!(f, "\n{case}: not applicable")?;
        }
        Ok(())
    }
}
