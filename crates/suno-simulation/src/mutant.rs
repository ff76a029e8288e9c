//! Mistakes that the simulation must find: each is how an earlier version behaved.

use serde::Deserialize;
use suno_callback::simulation::Mutation;

/// A mistake that is put in on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mutant {
    /// After a claim that granted something, nothing is claimed for a third of a lease.
    OneClaimPerTurn,
    /// Handlers go on when their lease has ended, and begin beside another one of the same event.
    RunsWithoutLease,
    /// A wait that the provider asks for is kept however long it is.
    UnboundedWait,
    /// An event is a dead letter after ten attempts.
    TenAttempts,
    /// Events are granted in the order of their numbers.
    GrantsByNumber,
    /// The store counts by a wall clock, and tasks are given up by their age alone.
    WallClock,
    /// Events that are suspected of ending their process are claimed beside others.
    SuspectsTogether,
    /// Unconfirmed events count as confirmed.
    ForgedCounts,
}

impl Mutant {
    /// The mutant of a word, such as `one-claim-per-turn`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        serde_json::from_value(word.into()).ok()
    }

    /// The mistake that it puts into the product. `None` if it is in the store of the simulation.
    pub(crate) fn mutation(self) -> Option<Mutation> {
        Some(match self {
            Self::OneClaimPerTurn => Mutation::OneClaimPerTurn,
            Self::RunsWithoutLease => Mutation::RunsWithoutLease,
            Self::UnboundedWait => Mutation::UnboundedWait,
            Self::TenAttempts => Mutation::TenAttempts,
            Self::GrantsByNumber => Mutation::GrantsByNumber,
            Self::WallClock => Mutation::GivenUpByAge,
            Self::SuspectsTogether => Mutation::SuspectsTogether,
            Self::ForgedCounts => return None,
        })
    }
}
