//! Mistakes that the simulation must find: each is how an earlier version behaved.

use std::path::Path;

use serde::Deserialize;
use suno_callback::simulation::Mutation;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mutant {
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
    /// The mutant after which a file is named.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        serde_json::from_value(path.file_stem()?.to_str()?.into()).ok()
    }

    /// The mistake that it puts into the product. `None` if it is in the world.
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
