//! The result of a case.

use std::time::Duration;

use crate::fixtures::Loaded;

/// The result of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// There were no differences.
    Passed,
    /// There were differences: a sentence for each.
    Failed(Vec<String>),
    /// The case failed, and was expected to: the reason.
    FailedAsExpected(String),
    /// The case cannot run against this target: the reason.
    NotApplicable(String),
}

impl Verdict {
    /// Passed if there are no differences, failed otherwise.
    pub(crate) fn of(found: Vec<String>) -> Self {
        if found.is_empty() {
            Self::Passed
        } else {
            Self::Failed(found)
        }
    }
}

/// A case that was run.
#[derive(Debug)]
pub(crate) struct CaseOutcome {
    /// The case, or the reason why its file is not one.
    pub(crate) loaded: Loaded,
    pub(crate) verdict: Verdict,
    /// The time that it took.
    pub(crate) elapsed: Duration,
}

impl Loaded {
    /// Runs the case in this process. A file that is not a case fails.
    #[must_use]
    pub fn run(&self) -> Verdict {
        Verdict::of(match &self.case {
            Ok(case) => case.run(),
            Err(reason) => vec![reason.clone()],
        })
    }
}
