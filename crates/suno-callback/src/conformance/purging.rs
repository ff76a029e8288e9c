//! Cases for purging: old data is removed, but only if it needs no more handling.

use std::time::Duration;

use super::scene::{Scene, dead, delivery, delivery_of, expect, raw_delivery, retry, wrong};
use super::{Bench, CaseResult, Failed, cases};
use crate::store::{
    Acceptance, EventFilter, ListRequest, PurgeReport, PurgeRequest, Redrive, RedriveResult,
    Settlement,
};

cases! {
    purging_never_touches_what_is_not_settled: "I6",
    a_purged_body_leaves_the_key_known: "I6",
    a_purged_key_is_a_new_event: "I6",
    the_number_of_a_purged_event_is_not_used_again: "I6",
    a_superseded_event_is_purged_like_one_that_is_done: "I6",
    dead_letters_are_purged_by_an_age_of_their_own: "I7",
    the_quarantine_is_purged_by_an_age_of_its_own: "I7",
    purging_looks_at_a_bounded_number_of_events: "I8",
    what_is_not_settled_does_not_hide_what_is_old: "I8",
}

/// More steps than any case needs.
const STEPS_MAX: usize = 100;
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Purges nothing, whatever its age.
fn nothing() -> PurgeRequest {
    PurgeRequest {
        bodies_after: NEVER,
        keys_after: NEVER,
        dead_after: NEVER,
        quarantined_after: NEVER,
        ..PurgeRequest::default()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Purges bodies that are 100 s old.
fn bodies() -> PurgeRequest {
    PurgeRequest {
        bodies_after: seconds(100),
        ..nothing()
    }
}

/// Purges bodies and keys that are 100 s old.
fn keys() -> PurgeRequest {
    PurgeRequest {
        keys_after: seconds(100),
        ..bodies()
    }
}

/// Purges in as many steps as the store needs, and adds up the counts.
async fn purge(scene: &Scene<'_>, request: PurgeRequest) -> Result<PurgeReport, Failed> {
    let mut sum = PurgeReport::default();
    for _ in 0..STEPS_MAX {
        let step = scene.store.purge(&request).await?;
        let events_max = u64::from(request.events_max);
        let is_bounded = step.keys + step.dead <= events_max && step.quarantined <= events_max;
        expect("the step is bounded", is_bounded, true)?;
        sum.bodies += step.bodies;
        sum.keys += step.keys;
        sum.dead += step.dead;
        sum.quarantined += step.quarantined;
        if !step.more {
            return Ok(sum);
        }
    }
    wrong("purging says without end that there is more")
}

/// Creates a task whose event was handled, with a conflict.
async fn handled(scene: &Scene<'_>, task: &str) -> CaseResult {
    for duration in [10, 11] {
        scene
            .accept(delivery_of(task, "complete", duration))
            .await?;
    }
    for claim in scene.claim(10).await? {
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    Ok(())
}

/// Creates a handled task that is 100 s old, and a new one.
async fn an_old_and_a_new_task(scene: &Scene<'_>) -> CaseResult {
    handled(scene, "old").await?;
    scene.pass(100).await;
    handled(scene, "new").await
}

async fn purging_never_touches_what_is_not_settled(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["claimed", "waiting"]).await?;
    let claims = scene.claim_exactly::<2>().await?;
    scene.settle(claims[1].ticket, retry(10)).await?;
    scene.accept_tasks(&["ready"]).await?;
    scene.pass(1_000_000).await;
    let everything = PurgeRequest {
        bodies_after: Duration::ZERO,
        keys_after: Duration::ZERO,
        dead_after: Duration::ZERO,
        quarantined_after: Duration::ZERO,
        ..nothing()
    };
    expect(
        "purged",
        purge(&scene, everything).await?,
        PurgeReport::default(),
    )?;
    for task in ["claimed", "waiting", "ready"] {
        expect(task, scene.find_one(task).await?.raw.is_some(), true)?;
    }
    Ok(())
}

async fn a_purged_body_leaves_the_key_known(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    an_old_and_a_new_task(&scene).await?;
    let purged = purge(&scene, bodies()).await?;
    expect("purged", (purged.bodies, purged.keys), (2, 0))?;
    expect("purged again", purge(&scene, bodies()).await?.bodies, 0)?;
    let old = scene.find_one("old").await?;
    expect("the old body", old.raw, None)?;
    expect("the old conflicts", old.conflicts, 1)?;
    let new = scene.find_one("new").await?;
    expect("the new body is kept", new.raw.is_some(), true)?;
    for duration in [10, 11] {
        let accepted = scene
            .accept(delivery_of("old", "complete", duration))
            .await?;
        expect("a delivery of it", accepted, Acceptance::Duplicate)?;
    }
    let redriven = scene.redrive(old.id, Redrive::EvenIfSuperseded).await?;
    expect("redriven", redriven, RedriveResult::Gone)?;
    scene.expect_no_claim("of what was purged").await
}

async fn a_purged_key_is_a_new_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    an_old_and_a_new_task(&scene).await?;
    let before = scene.find_one("new").await?.id;
    let purged = purge(&scene, keys()).await?;
    expect("purged", (purged.bodies, purged.keys), (2, 1))?;
    expect("events", scene.find("old").await?.len(), 0)?;
    let accepted = scene.accept(delivery("old", "complete")).await?;
    expect("a delivery of it", accepted, Acceptance::New)?;
    let old = scene.find_one("old").await?;
    expect("its number is a new one", old.id > before, true)?;
    expect("its conflicts", old.conflicts, 0)?;
    scene.claim_key("old/complete").await?;
    Ok(())
}

async fn the_number_of_a_purged_event_is_not_used_again(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    handled(&scene, "t").await?;
    let before = scene.find_one("t").await?.id;
    scene.pass(100).await;
    // Nothing is left, and a ticket of the purged event must not match the next one.
    purge(&scene, keys()).await?;
    expect("events", scene.find("t").await?.len(), 0)?;
    scene.accept(delivery("u", "complete")).await?;
    let after = scene.find_one("u").await?.id;
    expect("its number is a new one", after > before, true)
}

async fn a_superseded_event_is_purged_like_one_that_is_done(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete", "first"]).await?;
    scene.pass(100).await;
    let purged = purge(&scene, keys()).await?;
    expect("purged", (purged.bodies, purged.keys), (1, 1))?;
    let claim = scene.claim_key("t/complete").await?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    expect("purged when done", purge(&scene, keys()).await?.keys, 1)
}

async fn dead_letters_are_purged_by_an_age_of_their_own(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.handle(dead()).await?;
    scene.pass(150).await;
    let mut request = keys();
    request.quarantined_after = seconds(100);
    request.dead_after = seconds(200);
    expect(
        "purged",
        purge(&scene, request).await?,
        PurgeReport::default(),
    )?;
    expect(
        "the body is kept",
        scene.find_one("t").await?.raw.is_some(),
        true,
    )?;
    scene.pass(50).await;
    expect("purged", purge(&scene, request).await?.dead, 1)?;
    expect("events", scene.find("t").await?.len(), 0)?;
    let accepted = scene.accept(delivery("t", "complete")).await?;
    expect("a delivery of it", accepted, Acceptance::New)
}

async fn the_quarantine_is_purged_by_an_age_of_its_own(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(raw_delivery("{", 0)).await?;
    scene.pass(100).await;
    scene.accept(raw_delivery("[", 0)).await?;
    let mut request = keys();
    request.dead_after = seconds(100);
    request.quarantined_after = seconds(200);
    expect("purged", purge(&scene, request).await?.quarantined, 0)?;
    scene.pass(100).await;
    expect("purged", purge(&scene, request).await?.quarantined, 1)?;
    let kept = scene.store.quarantine(None, 9).await?.records;
    let bodies: Vec<_> = kept.iter().map(|kept| kept.raw.to_vec()).collect();
    expect("in quarantine", bodies, vec![b"[".to_vec()])?;
    scene.accept(raw_delivery("{", 0)).await?;
    expect("kept again", scene.counts().await?.quarantined, 2)
}

async fn purging_looks_at_a_bounded_number_of_events(bench: &dyn Bench) -> CaseResult {
    for events in [4, 5] {
        let scene = Scene::fresh(bench).await?;
        for number in 0..events {
            handled(&scene, &format!("t{number}")).await?;
            scene.accept(raw_delivery(format!("{{{number}"), 0)).await?;
        }
        scene.pass(100).await;
        let mut request = keys();
        request.quarantined_after = seconds(100);
        request.events_max = 2;
        let first = scene.store.purge(&request).await?;
        expect("there is more after a step", first.more, true)?;
        expect(
            "purged in a step",
            first.keys <= 2 && first.quarantined <= 2,
            true,
        )?;
        let rest = purge(&scene, request).await?;
        expect("keys", first.keys + rest.keys, events)?;
        expect("quarantined", first.quarantined + rest.quarantined, events)?;
        expect("left", scene.counts().await?, crate::Counts::default())?;
    }
    Ok(())
}

async fn what_is_not_settled_does_not_hide_what_is_old(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 0..7 {
        scene.accept_tasks(&[&format!("t{number}")]).await?;
    }
    let waits = scene.claim_exactly::<5>().await?;
    for claim in waits {
        scene.settle(claim.ticket, retry(80_000)).await?;
    }
    for claim in scene.claim(9).await? {
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    scene.pass(100).await;
    let mut request = keys();
    request.events_max = 2;
    expect("purged", purge(&scene, request).await?.keys, 2)?;
    let left = ListRequest::first(99, EventFilter::default());
    expect("left", scene.store.list(&left).await?.records.len(), 5)
}
