//! Cases for revisions of events that the provider's record must confirm.

use super::revising::{complete, unconfirmed};
use super::scene::{Scene, dead, delivery_with, expect, retry, wrong};
use super::{Bench, CaseResult, cases};
use crate::store::{Acceptance, Settlement, StateName};

cases! {
    there_is_no_revision_while_the_latest_event_will_be_asked_about: "A13",
    a_fuller_record_takes_the_place_of_an_unconfirmed_event: "A7",
    a_fuller_record_takes_the_place_of_an_unconfirmed_revision: "A7",
    a_fuller_record_after_an_unconfirmed_event_was_done_is_a_revision: "A14",
    a_fuller_record_confirms_a_claimed_event_only_for_its_claim: "A14",
    a_record_that_says_no_more_confirms_no_revision: "A14",
    what_an_unconfirmed_revision_claims_hides_nothing: "A14",
    an_unconfirmed_revision_supersedes_nothing: "A6",
    a_done_revision_that_is_confirmed_later_is_redriven: "A7",
}

async fn there_is_no_revision_while_the_latest_event_will_be_asked_about(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed(1)).await?;
    scene
        .expect_accepted(unconfirmed(2), Acceptance::Conflict)
        .await?;
    scene.handle(retry(1_000)).await?;
    scene
        .expect_accepted(unconfirmed(3), Acceptance::Conflict)
        .await?;
    // It ended the wait (A8). Once the event is claimed, the record may have been requested before.
    let claim = scene.claim_key("t/complete").await?;
    scene
        .expect_accepted(unconfirmed(3), Acceptance::Revised)
        .await?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    scene.claim_key("t/complete/1").await?;
    Ok(())
}

async fn a_fuller_record_takes_the_place_of_an_unconfirmed_event(bench: &dyn Bench) -> CaseResult {
    for settlement in [None, Some(retry(1_000)), Some(dead())] {
        let scene = Scene::fresh(bench).await?;
        scene.accept(unconfirmed(1)).await?;
        if let Some(settlement) = settlement {
            scene.handle(settlement).await?;
        }
        scene
            .expect_accepted(complete(2), Acceptance::Confirmed)
            .await?;
        expect("results", scene.find_one("t").await?.results, 2)?;
        let claim = scene.claim_key("t/complete").await?;
        expect("body", claim.raw, complete(2).raw)?;
        scene
            .expect_accepted(complete(2), Acceptance::Duplicate)
            .await?;
        scene
            .expect_accepted(complete(3), Acceptance::Revised)
            .await?;
    }
    Ok(())
}

async fn a_fuller_record_takes_the_place_of_an_unconfirmed_revision(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(complete(1)).await?;
    scene.handle(Settlement::Done).await?;
    scene
        .expect_accepted(unconfirmed(9), Acceptance::Revised)
        .await?;
    scene
        .expect_accepted(complete(2), Acceptance::Confirmed)
        .await?;
    let event = scene.find_key("t", "t/complete/1").await?;
    let found = (event.results, event.unconfirmed, event.conflicts);
    expect("results, unconfirmed and conflicts", found, (2, false, 1))?;
    let claim = scene.claim_key("t/complete/1").await?;
    expect("body", claim.raw, complete(2).raw)
}

async fn a_fuller_record_after_an_unconfirmed_event_was_done_is_a_revision(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed(1)).await?;
    scene.handle(Settlement::Done).await?;
    scene
        .expect_accepted(complete(2), Acceptance::Revised)
        .await?;
    let claim = scene.claim_key("t/complete/1").await?;
    expect("unconfirmed", claim.unconfirmed, false)
}

async fn a_fuller_record_confirms_a_claimed_event_only_for_its_claim(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed(1)).await?;
    let old = scene.claim_one().await?.ticket;
    scene.pass(60).await;
    let claim = scene.claim_one().await?.ticket;
    // The handler may already run with one track.
    for delivery in [complete(2), complete(3).with_claim(old)] {
        scene.expect_accepted(delivery, Acceptance::Revised).await?;
    }
    scene.settle(claim, Settlement::Done).await?;
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed(1)).await?;
    let claim = scene.claim_one().await?.ticket;
    let asked = complete(2).with_claim(claim);
    scene.expect_accepted(asked, Acceptance::Confirmed).await?;
    let event = scene.find_one("t").await?;
    let found = (event.results, event.unconfirmed);
    expect("results and unconfirmed", found, (2, false))?;
    scene.settle(claim, Settlement::Done).await?;
    scene
        .expect_accepted(complete(2), Acceptance::Duplicate)
        .await
}

async fn a_record_that_says_no_more_confirms_no_revision(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(complete(1)).await?;
    scene.handle(Settlement::Done).await?;
    scene
        .expect_accepted(unconfirmed(9), Acceptance::Revised)
        .await?;
    let other = delivery_with("t", "complete", 11, 1);
    scene.expect_accepted(other, Acceptance::Conflict).await?;
    let claim = scene.claim_key("t/complete/1").await?;
    expect("unconfirmed", claim.unconfirmed, true)?;
    expect("body", claim.raw, complete(9).raw)
}

async fn what_an_unconfirmed_revision_claims_hides_nothing(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(complete(1)).await?;
    scene.handle(Settlement::Done).await?;
    scene.accept(unconfirmed(9)).await?;
    // The record did not show it.
    scene.handle_key("t/complete/1", Settlement::Done).await?;
    scene
        .expect_accepted(unconfirmed(2), Acceptance::Revised)
        .await?;
    scene.claim_key("t/complete/2").await?;
    Ok(())
}

async fn an_unconfirmed_revision_supersedes_nothing(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(complete(1)).await?;
    scene.handle(retry(1_000)).await?;
    scene.accept(unconfirmed(9)).await?;
    scene.handle_key("t/complete/1", Settlement::Done).await?;
    let states = [
        ("complete", StateName::Waiting),
        ("complete/1", StateName::Done),
    ];
    scene.expect_states("t", &states).await?;
    scene.pass(1_000).await;
    let [claim] = &scene.claim(9).await?[..] else {
        return wrong("the first event is not claimed again");
    };
    expect("revision", claim.key.revision(), 0)
}

async fn a_done_revision_that_is_confirmed_later_is_redriven(bench: &dyn Bench) -> CaseResult {
    for results in [2, 3] {
        let scene = Scene::fresh(bench).await?;
        scene.accept(complete(1)).await?;
        scene.handle(Settlement::Done).await?;
        scene.accept(unconfirmed(2)).await?;
        scene.handle_key("t/complete/1", Settlement::Done).await?;
        scene
            .expect_accepted(complete(results), Acceptance::Confirmed)
            .await?;
        let claim = scene.claim_key("t/complete/1").await?;
        expect("body", claim.raw, complete(results).raw)?;
        expect("attempt", claim.attempt, 1)?;
        expect("done", scene.counts().await?.done, 1)?;
    }
    Ok(())
}
