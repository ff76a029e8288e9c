//! Cases for the limits on what a store keeps, and for how long.

use std::time::Duration;

use super::scene::{
    Scene, WORKER, delivery, delivery_of, expect, expect_near, raw_delivery, wrong,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::delivery::Delivery;
use crate::store::bounds::{
    CONFLICTS_OF_EVENT_MAX, LEASE_MAX, POSTPONE_MAX, QUARANTINED_MAX, RETRY_AFTER_MAX,
    UNRANKED_EVENTS_MAX,
};
use crate::store::{
    Acceptance, ClaimRequest, DueRequest, ExpectedTask, ExtendResult, Postponement, Settlement,
};

cases! {
    an_event_keeps_a_bounded_number_of_conflicts: "A4",
    a_task_has_a_bounded_number_of_events: "A10",
    the_quarantine_is_bounded_and_counts_what_it_drops: "A11",
    conflicts_beyond_the_bound_are_dropped_and_counted: "A11",
    a_lease_is_bounded: "C2",
    a_retry_waits_only_so_long: "S3",
    a_delay_and_a_pause_are_bounded: "L3",
    the_lease_of_a_due_task_is_bounded: "L4",
}

const DAYS: Duration = Duration::from_secs(30 * 86_400);

/// Stores conflicts of one event up to the limit.
async fn fill_with_conflicts(scene: &Scene<'_>) -> Result<u32, Failed> {
    scene.accept(delivery_of("t", "complete", 0)).await?;
    let bound = u32::try_from(CONFLICTS_OF_EVENT_MAX).unwrap_or(u32::MAX);
    for duration in 1..=bound {
        let accepted = scene.accept(delivery_of("t", "complete", duration)).await?;
        expect("within the bound", accepted, Acceptance::Conflict)?;
    }
    Ok(bound)
}

async fn an_event_keeps_a_bounded_number_of_conflicts(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let bound = fill_with_conflicts(&scene).await?;
    let accepted = scene
        .accept(delivery_of("t", "complete", bound + 1))
        .await?;
    expect("beyond the bound", accepted, Acceptance::Dropped)?;
    let accepted = scene.accept(delivery_of("t", "complete", bound)).await?;
    expect("a kept one", accepted, Acceptance::Duplicate)?;
    expect("conflicts", scene.find_one("t").await?.conflicts, bound)
}

async fn conflicts_beyond_the_bound_are_dropped_and_counted(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let bound = fill_with_conflicts(&scene).await?;
    expect("dropped", scene.counts().await?.dropped, 0)?;
    for _ in 0..2 {
        scene
            .accept(delivery_of("t", "complete", bound + 1))
            .await?;
    }
    expect("dropped", scene.counts().await?.dropped, 2)
}

async fn a_task_has_a_bounded_number_of_events(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 0..UNRANKED_EVENTS_MAX {
        let accepted = scene
            .accept(delivery("t", &format!("stage-{number}")))
            .await?;
        expect("within the bound", accepted, Acceptance::New)?;
    }
    for _ in 0..2 {
        let accepted = scene.accept(delivery("t", "one-more")).await?;
        expect("beyond the bound", accepted, Acceptance::Quarantined)?;
    }
    let known = scene.accept(delivery("t", "stage-0")).await?;
    expect("a known key", known, Acceptance::Duplicate)?;
    let end = scene.accept(delivery("t", "complete")).await?;
    expect("the end of the task", end, Acceptance::New)?;
    let events = scene.find("t").await?.len();
    expect("events", events, UNRANKED_EVENTS_MAX + 1)?;
    let kept = scene.store.quarantine(None, 9).await?.records;
    let [entry] = &kept[..] else {
        return wrong(format!("expected one entry in quarantine, got {kept:?}"));
    };
    let task = entry.task_id.as_ref().map(|task_id| task_id.as_str());
    expect("the task of the entry", task, Some("t"))
}

fn garbage(number: usize) -> Delivery {
    raw_delivery(format!("{{{number}"), 0)
}

async fn the_quarantine_is_bounded_and_counts_what_it_drops(bench: &dyn Bench) -> CaseResult {
    const SLICE: usize = 256;
    let scene = Scene::fresh(bench).await?;
    for first in (0..QUARANTINED_MAX).step_by(SLICE) {
        let last = QUARANTINED_MAX.min(first + SLICE);
        let slice: Vec<_> = (first..last).map(garbage).collect();
        let accepted = scene.store.accept(&slice).await?;
        let is_kept = accepted.iter().all(|one| *one == Acceptance::Quarantined);
        expect("everything within the bound is kept", is_kept, true)?;
    }
    for (number, expected) in [
        (QUARANTINED_MAX, Acceptance::Dropped),
        (0, Acceptance::Quarantined),
    ] {
        expect("accepted", scene.accept(garbage(number)).await?, expected)?;
    }
    let counts = scene.counts().await?;
    let bound = QUARANTINED_MAX as u64;
    expect(
        "kept and dropped",
        (counts.quarantined, counts.dropped),
        (bound, 1),
    )?;
    let accepted = scene.accept(delivery("t", "complete")).await?;
    expect("what is understood", accepted, Acceptance::New)
}

async fn a_lease_is_bounded(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let claims = scene
        .ask(&ClaimRequest::new(WORKER, 1, DAYS, 1))
        .await?
        .claims;
    let [claim] = &claims[..] else {
        return wrong("one event is ready, and was not claimed");
    };
    expect_near("the lease", claim.holds_for, LEASE_MAX.as_secs())?;
    scene.pass(10).await;
    let extended = scene.extend(claim.ticket, DAYS.as_secs()).await?;
    expect("extended", extended, ExtendResult::Extended)?;
    scene.pass(LEASE_MAX.as_secs()).await;
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn a_retry_waits_only_so_long(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let endless = Settlement::Retry {
        after: Duration::MAX,
        reason: String::new(),
    };
    scene.handle(endless).await?;
    scene.pass(RETRY_AFTER_MAX.as_secs() - 60).await;
    scene
        .expect_no_claim("before the longest wait ends")
        .await?;
    scene.pass(60).await;
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn a_delay_and_a_pause_are_bounded(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let expected = ExpectedTask::new(super::scene::task_id("t")?, Duration::MAX);
    scene.store.expect(&expected).await?;
    for round in ["delayed", "postponed"] {
        scene.pass(POSTPONE_MAX.as_secs()).await;
        let request = DueRequest::new(Duration::from_secs(60), 1);
        let due = scene.store.due(&request).await?.tasks;
        let [task] = &due[..] else {
            return wrong(format!("the task was {round} for longer than the bound"));
        };
        let pause = Postponement::answered(Duration::MAX);
        scene.store.postpone(&task.ticket, pause).await?;
    }
    Ok(())
}

async fn the_lease_of_a_due_task_is_bounded(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let expected = ExpectedTask::new(super::scene::task_id("t")?, Duration::ZERO);
    scene.store.expect(&expected).await?;
    let request = DueRequest::new(DAYS, 1);
    for round in ["first", "second"] {
        let due = scene.store.due(&request).await?.tasks.len();
        expect(&format!("tasks taken in the {round} round"), due, 1)?;
        scene.pass(LEASE_MAX.as_secs()).await;
    }
    Ok(())
}
