//! Cases for events that the provider's record must confirm.

use super::scene::{Scene, dead, delivery, delivery_of, expect, expect_near, retry, unconfirmed};
use super::{Bench, CaseResult, cases};
use crate::delivery::Delivery;
use crate::origin::{Source, VerifiedBy};
use crate::store::bounds::NUDGES_MAX;
use crate::store::{Acceptance, SettleResult, Settlement, StateName};

cases! {
    an_unconfirmed_event_makes_no_other_late: "A6",
    an_unconfirmed_event_that_is_done_makes_others_late: "A6",
    an_unconfirmed_event_that_is_done_supersedes_what_is_open: "A6",
    an_unconfirmed_dead_letter_supersedes_nothing: "A6",
    an_unconfirmed_event_of_an_earlier_stage_is_late: "A6",
    a_confirmation_that_says_the_same_confirms: "A7",
    a_confirmation_takes_the_place_of_the_event: "A7",
    a_conflict_that_is_confirmed_becomes_the_event: "A7",
    a_confirmed_event_is_not_unconfirmed_again: "A7",
    a_confirmation_makes_ready_what_waited_or_was_a_dead_letter: "A7",
    a_confirmation_changes_no_other_state: "A7",
    another_delivery_makes_an_unconfirmed_event_ready: "A8",
    deliveries_make_an_event_ready_only_so_often: "A8",
    a_delivery_does_not_end_the_wait_of_a_confirmed_event: "A8",
    an_unconfirmed_stage_supersedes_what_waits_only_when_it_is_done: "C5",
}

/// Creates a delivery from the provider's record.
fn confirmation(task: &str, word: &str, duration: u32) -> Result<Delivery, super::Failed> {
    let mut delivery = delivery_of(task, word, duration);
    delivery.source = Source::Poll;
    delivery.verified_by = VerifiedBy {
        record: true,
        ..VerifiedBy::default()
    };
    Ok(delivery)
}

async fn an_unconfirmed_event_makes_no_other_late(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    for word in ["text", "failed"] {
        let accepted = scene.accept(delivery("t", word)).await?;
        expect(word, accepted, Acceptance::New)?;
    }
    Ok(())
}

async fn an_unconfirmed_event_that_is_done_makes_others_late(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    let claim = scene.claim_key("t/complete").await?;
    expect("the claim is unconfirmed", claim.unconfirmed, true)?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    for word in ["text", "failed"] {
        let accepted = scene.accept(delivery("t", word)).await?;
        expect(word, accepted, Acceptance::Late)?;
    }
    scene.expect_no_claim("of what is late").await
}

async fn an_unconfirmed_event_that_is_done_supersedes_what_is_open(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    let ticket = scene.claim_one().await?.ticket;
    scene
        .accept_stages("t", &["text", "failed", "mixed"])
        .await?;
    scene.settle(ticket, Settlement::Done).await?;
    let states = [
        ("complete", StateName::Done),
        ("text", StateName::Superseded),
        ("failed", StateName::Superseded),
        ("mixed", StateName::Ready),
    ];
    scene.expect_states("t", &states).await
}

async fn an_unconfirmed_dead_letter_supersedes_nothing(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    scene.handle(dead()).await?;
    let accepted = scene.accept(delivery("t", "text")).await?;
    expect("text", accepted, Acceptance::New)?;
    scene.claim_key("t/text").await?;
    Ok(())
}

async fn an_unconfirmed_event_of_an_earlier_stage_is_late(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let accepted = scene.accept(unconfirmed("t", "text", 10)).await?;
    expect("unconfirmed", accepted, Acceptance::Late)?;
    let accepted = scene.accept(delivery("t", "text")).await?;
    expect("its confirmation", accepted, Acceptance::Confirmed)?;
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn a_confirmation_that_says_the_same_confirms(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    for expected in [Acceptance::Confirmed, Acceptance::Duplicate] {
        let accepted = scene.accept(confirmation("t", "complete", 10)?).await?;
        expect("accepted", accepted, expected)?;
    }
    let event = scene.find_one("t").await?;
    expect("unconfirmed", event.unconfirmed, false)?;
    expect("conflicts", event.conflicts, 0)?;
    // From now on the event affects the others.
    let accepted = scene.accept(delivery("t", "text")).await?;
    expect("an earlier stage", accepted, Acceptance::Late)
}

async fn a_confirmation_takes_the_place_of_the_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    let confirmed = confirmation("t", "complete", 11)?;
    let accepted = scene.accept(confirmed.clone()).await?;
    expect("accepted", accepted, Acceptance::Confirmed)?;
    let event = scene.find_one("t").await?;
    expect("body", event.raw, Some(confirmed.raw.clone()))?;
    expect("conflicts", event.conflicts, 1)?;
    for duration in [10, 11] {
        let accepted = scene.accept(delivery_of("t", "complete", duration)).await?;
        expect("what is known", accepted, Acceptance::Duplicate)?;
    }
    let claim = scene.claim_one().await?;
    expect("the body of the claim", claim.raw, confirmed.raw)?;
    expect("source", claim.source, Source::Poll)?;
    expect("verified by", claim.verified_by, confirmed.verified_by)?;
    expect("unconfirmed", claim.unconfirmed, false)
}

async fn a_conflict_that_is_confirmed_becomes_the_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (duration, expected) in [(10, Acceptance::New), (11, Acceptance::Conflict)] {
        let accepted = scene.accept(unconfirmed("t", "complete", duration)).await?;
        expect("unconfirmed", accepted, expected)?;
    }
    let confirmed = confirmation("t", "complete", 11)?;
    expect(
        "accepted",
        scene.accept(confirmed.clone()).await?,
        Acceptance::Confirmed,
    )?;
    let event = scene.find_one("t").await?;
    expect("body", event.raw, Some(confirmed.raw))?;
    expect("conflicts", event.conflicts, 1)
}

async fn a_confirmed_event_is_not_unconfirmed_again(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    for (duration, expected) in [(10, Acceptance::Duplicate), (11, Acceptance::Conflict)] {
        let accepted = scene.accept(unconfirmed("t", "complete", duration)).await?;
        expect("an unconfirmed delivery", accepted, expected)?;
    }
    let event = scene.find_one("t").await?;
    expect("unconfirmed", event.unconfirmed, false)
}

async fn a_confirmation_makes_ready_what_waited_or_was_a_dead_letter(
    bench: &dyn Bench,
) -> CaseResult {
    for (settlement, attempt) in [(retry(1_000), 2), (dead(), 1)] {
        let scene = Scene::fresh(bench).await?;
        scene.accept(unconfirmed("t", "complete", 10)).await?;
        scene.pass(30).await;
        let is_dead = settlement == dead();
        scene.handle(settlement).await?;
        scene.accept(confirmation("t", "complete", 10)?).await?;
        scene
            .expect_states("t", &[("complete", StateName::Ready)])
            .await?;
        let claim = scene.claim_key("t/complete").await?;
        expect("attempt", claim.attempt, attempt)?;
        expect_near("age", claim.age, if is_dead { 0 } else { 30 })?;
        let cause = scene.find_one("t").await?.dead_cause;
        expect("cause of death", cause, None)?;
    }
    Ok(())
}

async fn a_confirmation_changes_no_other_state(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    scene.accept(unconfirmed("u", "complete", 10)).await?;
    let [claimed, done] = scene.claim_exactly().await?;
    scene.settle(done.ticket, Settlement::Done).await?;
    for task in ["t", "u"] {
        let accepted = scene.accept(confirmation(task, "complete", 11)?).await?;
        expect(task, accepted, Acceptance::Confirmed)?;
    }
    scene.expect_no_claim("after the confirmations").await?;
    let settled = scene.settle(claimed.ticket, Settlement::Done).await?;
    expect("the ticket still holds", settled, SettleResult::Settled)?;
    scene
        .expect_states("u", &[("complete", StateName::Done)])
        .await
}

async fn another_delivery_makes_an_unconfirmed_event_ready(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    for (duration, expected) in [(10, Acceptance::Duplicate), (11, Acceptance::Conflict)] {
        scene.handle(retry(1_000)).await?;
        scene.expect_no_claim("during the wait").await?;
        let accepted = scene.accept(unconfirmed("t", "complete", duration)).await?;
        expect("accepted", accepted, expected)?;
        scene
            .expect_states("t", &[("complete", StateName::Ready)])
            .await?;
    }
    let claim = scene.claim_key("t/complete").await?;
    expect("attempt", claim.attempt, 3)
}

async fn deliveries_make_an_event_ready_only_so_often(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    for _ in 0..NUDGES_MAX {
        scene.handle(retry(1_000)).await?;
        scene.accept(unconfirmed("t", "complete", 10)).await?;
    }
    scene.handle(retry(1_000)).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    scene.expect_no_claim("after the last of them").await?;
    scene.pass(1_000).await;
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn a_delivery_does_not_end_the_wait_of_a_confirmed_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.handle(retry(1_000)).await?;
    for duration in [10, 11] {
        scene.accept(delivery_of("t", "complete", duration)).await?;
        scene.accept(unconfirmed("t", "complete", duration)).await?;
    }
    scene.expect_no_claim("during the wait").await
}

async fn an_unconfirmed_stage_supersedes_what_waits_only_when_it_is_done(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text"]).await?;
    scene.handle(retry(100)).await?;
    scene.accept(unconfirmed("t", "complete", 10)).await?;
    let claim = scene.claim_key("t/complete").await?;
    let states = [
        ("text", StateName::Waiting),
        ("complete", StateName::Claimed),
    ];
    scene.expect_states("t", &states).await?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    let states = [
        ("text", StateName::Superseded),
        ("complete", StateName::Done),
    ];
    scene.expect_states("t", &states).await
}
