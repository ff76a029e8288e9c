//! Cases for making events ready again: redriving, requeuing and deciding.

use suno_types::Stage;

use super::scene::{
    Scene, dead, delivery, expect, expect_near, raw_delivery, retry, task_id, unconfirmed, wrong,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::key::EventId;
use crate::store::{Acceptance, Decision, Redrive, RedriveResult, Settlement, StateName};

cases! {
    a_redriven_event_counts_from_zero: "I3",
    every_settled_event_is_redriven: "I3",
    what_is_not_settled_is_not_redriven: "I3",
    what_a_done_event_supersedes_is_redriven_only_if_asked_for: "I3",
    redrives_are_answered_in_their_order: "I3",
    a_requeued_delivery_is_accepted_as_it_is_understood_now: "I4",
    a_requeued_delivery_that_is_not_understood_stays_in_quarantine: "I4",
    a_requeued_delivery_meets_what_is_known: "I4",
    a_decision_makes_a_superseded_last_stage_ready: "I5",
    a_decision_supersedes_the_other_last_stage_that_waits: "I5",
    a_decision_that_is_not_needed_changes_nothing: "I5",
    a_decision_for_an_earlier_stage_changes_nothing: "I5",
}

async fn a_redriven_event_counts_from_zero(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.lapse(2).await?;
    let old = scene.handle(dead()).await?;
    scene.pass(50).await;
    let redriven = scene.redrive(old.event, Redrive::Current).await?;
    expect("redriven", redriven, RedriveResult::Ready)?;
    let event = scene.find_one("t").await?;
    expect(
        "attempts and lapses",
        (event.attempts, event.lapses),
        (0, 0),
    )?;
    expect("cause of death", event.dead_cause, None)?;
    scene.pass(7).await;
    let claim = scene.claim_key("t/complete").await?;
    expect("attempt", claim.attempt, 1)?;
    expect_near("age", claim.age, 7)?;
    expect("the epoch grows", claim.ticket.epoch > old.epoch, true)
}

async fn every_settled_event_is_redriven(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete", "first"]).await?;
    let complete = scene.handle(Settlement::Done).await?.event;
    let first = scene.find_stage("t", "first").await?.id;
    scene.accept_stages("u", &["complete"]).await?;
    let dead = scene.handle(dead()).await?.event;
    for (event, key) in [
        (complete, "t/complete"),
        (first, "t/first"),
        (dead, "u/complete"),
    ] {
        let redriven = scene.redrive(event, Redrive::EvenIfSuperseded).await?;
        expect(key, redriven, RedriveResult::Ready)?;
        let claim = scene.claim_key(key).await?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    Ok(())
}

async fn what_is_not_settled_is_not_redriven(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let id = scene.find_one("t").await?.id;
    let mut ticket = None;
    for state in ["ready", "claimed", "waiting"] {
        match (state, ticket) {
            ("claimed", _) => ticket = Some(scene.claim_one().await?.ticket),
            ("waiting", Some(ticket)) => drop(scene.settle(ticket, retry(10)).await?),
            _ => {}
        }
        let redriven = scene.redrive(id, Redrive::EvenIfSuperseded).await?;
        expect(state, redriven, RedriveResult::NotSettled)?;
        let found = StateName::from(scene.find_one("t").await?.state);
        expect("state", found.as_str(), state)?;
    }
    Ok(())
}

async fn what_a_done_event_supersedes_is_redriven_only_if_asked_for(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete", "first"]).await?;
    let first = scene.find_stage("t", "first").await?.id;
    let redriven = scene.redrive(first, Redrive::Current).await?;
    expect(
        "before the later stage is done",
        redriven,
        RedriveResult::Ready,
    )?;
    let claim = scene.claim_key("t/first").await?;
    scene.settle(claim.ticket, dead()).await?;
    scene.handle(Settlement::Done).await?;
    let redriven = scene.redrive(first, Redrive::Current).await?;
    expect("after it is done", redriven, RedriveResult::Superseded)?;
    let state = scene.find_stage("t", "first").await?.state;
    expect("state", StateName::from(state), StateName::Dead)?;
    let redriven = scene.redrive(first, Redrive::EvenIfSuperseded).await?;
    expect("if asked for", redriven, RedriveResult::Ready)?;
    scene.claim_key("t/first").await?;
    Ok(())
}

async fn redrives_are_answered_in_their_order(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["done", "ready"]).await?;
    let done = scene.claim_exactly::<1>().await?[0].ticket;
    scene.settle(done, Settlement::Done).await?;
    let ready = scene.find_one("ready").await?.id;
    let events = [EventId(i64::MAX), ready, done.event, done.event];
    let redriven = scene.store.redrive(&events, Redrive::Current).await?;
    let expected = vec![
        RedriveResult::Gone,
        RedriveResult::NotSettled,
        RedriveResult::Ready,
        RedriveResult::NotSettled,
    ];
    expect("redriven", redriven, expected)
}

/// Puts a body into quarantine and returns its number.
async fn quarantined(scene: &Scene<'_>, body: &'static str) -> Result<EventId, Failed> {
    scene.accept(raw_delivery(body, 0)).await?;
    let last = scene.store.quarantine(None, 99).await?.records.pop();
    last.map_or_else(|| wrong("the quarantine is empty"), |entry| Ok(entry.id))
}

async fn a_requeued_delivery_is_accepted_as_it_is_understood_now(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let entry = quarantined(&scene, "{").await?;
    let understood = delivery("t", "complete");
    let accepted = scene.store.requeue(entry, &understood).await?;
    expect("accepted", accepted, Some(Acceptance::New))?;
    expect("in quarantine", scene.counts().await?.quarantined, 0)?;
    expect(
        "body",
        scene.claim_key("t/complete").await?.raw,
        understood.raw.clone(),
    )?;
    let again = scene.store.requeue(entry, &understood).await?;
    expect("requeued again", again, None)?;
    // The quarantine must not remember the bytes.
    let accepted = scene.accept(raw_delivery("{", 0)).await?;
    expect("the bytes again", accepted, Acceptance::Quarantined)?;
    expect("in quarantine", scene.counts().await?.quarantined, 1)
}

async fn a_requeued_delivery_that_is_not_understood_stays_in_quarantine(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let entry = quarantined(&scene, "{").await?;
    let accepted = scene.store.requeue(entry, &raw_delivery("{", 0)).await?;
    expect("accepted", accepted, Some(Acceptance::Quarantined))?;
    expect("in quarantine", scene.counts().await?.quarantined, 1)
}

async fn a_requeued_delivery_meets_what_is_known(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    for (word, expected) in [
        ("complete", Acceptance::Duplicate),
        ("first", Acceptance::Late),
    ] {
        let entry = quarantined(&scene, "{").await?;
        let accepted = scene.store.requeue(entry, &delivery("t", word)).await?;
        expect(word, accepted, Some(expected))?;
    }
    expect("in quarantine", scene.counts().await?.quarantined, 0)
}

async fn decide(scene: &Scene<'_>, stage: Stage) -> Result<Decision, Failed> {
    Ok(scene.store.decide(&task_id("t")?, &stage).await?)
}

async fn a_decision_makes_a_superseded_last_stage_ready(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["failed", "complete"]).await?;
    scene.handle(Settlement::Done).await?;
    scene.pass(30).await;
    expect(
        "decision",
        decide(&scene, Stage::Complete).await?,
        Decision::Ready,
    )?;
    scene.pass(4).await;
    let claim = scene.claim_key("t/complete").await?;
    expect("attempt", claim.attempt, 1)?;
    expect_near("age", claim.age, 4)?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    let states = [("failed", StateName::Done), ("complete", StateName::Done)];
    scene.expect_states("t", &states).await
}

async fn a_decision_supersedes_the_other_last_stage_that_waits(bench: &dyn Bench) -> CaseResult {
    for wait in [None, Some(retry(100))] {
        let scene = Scene::fresh(bench).await?;
        scene
            .accept_stages("t", &["failed", "complete", "mixed"])
            .await?;
        let mixed = scene.claim_key("t/mixed").await?;
        scene.settle(mixed.ticket, Settlement::Done).await?;
        if let Some(settlement) = wait {
            scene.handle(settlement).await?;
        }
        scene.accept_stages("t", &["new"]).await?;
        expect(
            "decision",
            decide(&scene, Stage::Complete).await?,
            Decision::Ready,
        )?;
        let states = [
            ("failed", StateName::Superseded),
            ("complete", StateName::Ready),
            ("mixed", StateName::Done),
            ("new", StateName::Ready),
        ];
        scene.expect_states("t", &states).await?;
    }
    Ok(())
}

async fn a_decision_that_is_not_needed_changes_nothing(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    expect(
        "without a task",
        decide(&scene, Stage::Complete).await?,
        Decision::Gone,
    )?;
    scene.accept(unconfirmed("t", "failed", 10)).await?;
    expect(
        "without the stage",
        decide(&scene, Stage::Complete).await?,
        Decision::Gone,
    )?;
    scene
        .expect_states("t", &[("failed", StateName::Ready)])
        .await?;
    expect(
        "ready",
        decide(&scene, Stage::Failed).await?,
        Decision::Unchanged,
    )?;
    scene.handle(dead()).await?;
    expect(
        "a dead letter",
        decide(&scene, Stage::Failed).await?,
        Decision::Unchanged,
    )?;
    scene
        .expect_states("t", &[("failed", StateName::Dead)])
        .await
}

async fn a_decision_for_an_earlier_stage_changes_nothing(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene
        .accept_stages("t", &["complete", "first", "mixed"])
        .await?;
    for stage in [Stage::First, Stage::from("mixed")] {
        let decision = decide(&scene, stage).await?;
        expect("decision", decision, Decision::Unchanged)?;
    }
    let states = [
        ("complete", StateName::Ready),
        ("first", StateName::Superseded),
        ("mixed", StateName::Ready),
    ];
    scene.expect_states("t", &states).await
}
