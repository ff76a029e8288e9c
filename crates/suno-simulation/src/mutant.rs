//! Mistakes that the simulation must find: each is how an earlier version behaved.

use std::fmt;

use suno_callback::simulation::Mutation;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// What nothing has confirmed counts as if it were confirmed.
    ForgedCounts,
}

impl Mutant {
    /// Every mutant.
    pub const ALL: [Self; 8] = [
        Self::OneClaimPerTurn,
        Self::RunsWithoutLease,
        Self::UnboundedWait,
        Self::TenAttempts,
        Self::GrantsByNumber,
        Self::WallClock,
        Self::SuspectsTogether,
        Self::ForgedCounts,
    ];

    /// The mutant as one word, such as `one-claim-per-turn`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneClaimPerTurn => "one-claim-per-turn",
            Self::RunsWithoutLease => "runs-without-lease",
            Self::UnboundedWait => "unbounded-wait",
            Self::TenAttempts => "ten-attempts",
            Self::GrantsByNumber => "grants-by-number",
            Self::WallClock => "wall-clock",
            Self::SuspectsTogether => "suspects-together",
            Self::ForgedCounts => "forged-counts",
        }
    }

    /// The mutant of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.as_str() == word)
    }

    /// The mistake that it puts into the product. The others are in the store of the simulation.
    pub(crate) fn mutation(self) -> Option<Mutation> {
        match self {
            Self::OneClaimPerTurn => Some(Mutation::OneClaimPerTurn),
            Self::RunsWithoutLease => Some(Mutation::RunsWithoutLease),
            Self::UnboundedWait => Some(Mutation::UnboundedWait),
            Self::TenAttempts => Some(Mutation::TenAttempts),
            Self::GrantsByNumber => Some(Mutation::GrantsByNumber),
            Self::WallClock => Some(Mutation::GivenUpByAge),
            Self::SuspectsTogether => Some(Mutation::SuspectsTogether),
            Self::ForgedCounts => None,
        }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_read_as_it_is_written() {
        for mutant in Mutant::ALL {
            assert_eq!(Mutant::from_word(mutant.as_str()), Some(mutant));
        }
    }
}
