//! Cases that are expected to fail, each with its reason. A case in the list that passes is an
//! error, so that the file cannot outlive its reasons.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::outcome::{CaseOutcome, Verdict};

/// Expected failures: the reason of each case.
#[derive(Debug, Default)]
pub(crate) struct Expectations(BTreeMap<String, String>);

impl Expectations {
    /// Reads a JSON object of ids and reasons.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read, a reason is empty, or an id is not among
    /// `known`.
    pub(crate) fn read<'a>(path: &Path, known: impl Iterator<Item = &'a str>) -> Result<Self> {
        let read = || Self::parse(&std::fs::read(path)?, known);
        read().with_context(|| format!("cannot read the expectations in {}", path.display()))
    }

    fn parse<'a>(json: &[u8], known: impl Iterator<Item = &'a str>) -> Result<Self> {
        let reasons: BTreeMap<String, String> = serde_json::from_slice(json)?;
        let known: Vec<&str> = known.collect();
        for (id, reason) in &reasons {
            if !known.contains(&&**id) {
                bail!("unknown case {id}");
            }
            if reason.trim().is_empty() {
                bail!("{id} has no reason");
            }
        }
        Ok(Self(reasons))
    }

    /// Turns an expected failure into its own outcome, and an unexpected pass into a failure.
    pub(crate) fn apply(&self, outcome: &mut CaseOutcome) {
        let Some(reason) = self.0.get(&outcome.loaded.id) else {
            return;
        };
        match outcome.verdict {
            // A file that cannot be read tests nothing, so it always fails.
            Verdict::Failed(_) if outcome.loaded.case.is_ok() => {
                outcome.verdict = Verdict::FailedAsExpected(reason.clone());
            }
            Verdict::Passed => {
                let sentence = format!("it passed, but was expected to fail: {reason}");
                outcome.verdict = Verdict::Failed(vec![sentence]);
            }
            _ => {}
        }
    }
}
