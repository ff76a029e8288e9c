//! Few simulations; `cargo xtask simulate` runs more.

use suno_simulation::{Mutant, Options, Plan, StoreKind, kept_plans, run, simulate};

const RUNS_MAX: u64 = 200;

#[test]
fn every_mistake_breaks_its_promise() {
    for (mutant, row) in [
        (Mutant::OneClaimPerTurn, "E3"),
        (Mutant::RunsWithoutLease, "S3"),
        (Mutant::UnboundedWait, "E5"),
        (Mutant::TenAttempts, "S8"),
        (Mutant::GrantsByNumber, "E4"),
        (Mutant::WallClock, "S2 E2 E3 E4 E5"),
        (Mutant::SuspectsTogether, "S8"),
        (Mutant::ForgedCounts, "S9"),
    ] {
        let plans = (0..RUNS_MAX).map(|seed| Plan::draw(seed, StoreKind::Memory));
        let mut found = plans.filter_map(|plan| run(&plan, Some(mutant)).violation);
        let found = found.next().map(|violation| violation.row);
        assert!(found.is_some_and(|found| row.contains(found)), "{mutant:?}: {found:?}");
    }
}

/// A plan that has the name of a mutant was shrunk from a run that found it.
#[test]
fn every_kept_plan_of_a_mutant_finds_it() {
    for (path, plan) in kept_plans().unwrap() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if let Some(mutant) = Mutant::from_word(&name) {
            assert!(run(&plan, Some(mutant)).violation.is_some(), "{mutant:?}");
        }
    }
}

#[test]
fn kept_plans_and_worlds_in_memory_and_on_files_keep_every_promise() {
    let options = Options {
        runs: 100,
        sqlite_runs: 5,
        ..Options::default()
    };
    let mut out = Vec::new();
    let keeps = simulate(&options, &mut out).unwrap();
    assert!(keeps, "{}", String::from_utf8_lossy(&out));
}
