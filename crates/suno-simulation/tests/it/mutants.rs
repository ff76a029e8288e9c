//! Each mistake is found, by the promise that it breaks.

use suno_simulation::{Mutant, Plan, StoreKind, run};

const RUNS_MAX: u64 = 200;

#[test]
fn every_mistake_breaks_its_promise() {
    for (mutant, row) in [
        (Mutant::OneClaimPerTurn, "E3"),
        (Mutant::RunsWithoutLease, "S3"),
        (Mutant::UnboundedWait, "E5"),
        (Mutant::TenAttempts, "S8"),
        (Mutant::GrantsByNumber, "E4"),
        (Mutant::WallClock, "E3"),
        (Mutant::SuspectsTogether, "S8"),
        (Mutant::ForgedCounts, "S9"),
    ] {
        let plans = (0..RUNS_MAX).map(|seed| Plan::draw(seed, StoreKind::Memory));
        let mut found = plans.filter_map(|plan| run(&plan, Some(mutant)).violation);
        let found = found.next().map(|violation| violation.row);
        assert_eq!(found, Some(row), "{mutant:?}");
    }
}
