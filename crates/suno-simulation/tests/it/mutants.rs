//! Each mistake is found, by the promise that it breaks.

use std::io::{self, Write};

use suno_simulation::{Mutant, Plan, Row, StoreKind, run};

const RUNS_MAX: u64 = 200;

/// Runs a mutant until it is found, and returns by which row.
fn found(mutant: Mutant) -> Option<Row> {
    let violation = |seed| run(&Plan::draw(seed, StoreKind::Memory), Some(mutant)).violation;
    let (seed, violation) = (0..RUNS_MAX).find_map(|seed| Some((seed, violation(seed)?)))?;
    let _ = writeln!(
        io::stdout(),
        "{mutant:?}: found by seed {seed}. {violation}"
    );
    Some(violation.row)
}

#[test]
fn one_claim_per_turn_makes_ready_events_wait() {
    assert_eq!(found(Mutant::OneClaimPerTurn), Some(Row::E3));
}

#[test]
fn a_handler_without_a_lease_runs_beside_another() {
    assert_eq!(found(Mutant::RunsWithoutLease), Some(Row::S3));
}

#[test]
fn a_wait_without_a_bound_parks_a_task() {
    assert_eq!(found(Mutant::UnboundedWait), Some(Row::E5));
}

#[test]
fn ten_attempts_are_over_too_soon() {
    assert_eq!(found(Mutant::TenAttempts), Some(Row::S8));
}

#[test]
fn grants_by_number_pass_over_what_waits_longer() {
    assert_eq!(found(Mutant::GrantsByNumber), Some(Row::E4));
}

#[test]
fn a_store_that_counts_by_a_wall_clock_keeps_no_time() {
    assert!(found(Mutant::WallClock).is_some());
}

#[test]
fn suspects_bury_what_is_claimed_beside_them() {
    assert_eq!(found(Mutant::SuspectsTogether), Some(Row::S8));
}

#[test]
fn a_forged_stage_that_counts_makes_genuine_ones_late() {
    assert_eq!(found(Mutant::ForgedCounts), Some(Row::S9));
}
