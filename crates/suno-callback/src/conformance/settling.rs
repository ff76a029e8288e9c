//! Cases for settling: only the ticket of the latest claim counts.

use std::time::Duration;

use super::scene::{OTHER, Scene, dead, delivery, expect, expect_near, keys, retry};
use super::{Bench, CaseResult, cases};
use crate::key::EventId;
use crate::store::{
    Acceptance, DeadCause, EventState, ExtendResult, SettleResult, Settlement, StateName, Ticket,
};

cases! {
    a_zombie_can_neither_settle_nor_extend: "S1",
    a_lapsed_claim_that_nobody_took_can_still_be_extended: "S1",
    a_lapsed_claim_that_nobody_took_can_still_be_settled: "S1",
    a_stale_ticket_does_not_change_a_finished_event: "S1",
    a_ticket_that_was_never_granted_is_lost: "S1",
    settling_twice_changes_nothing: "S2",
    settling_twice_is_known_after_another_attempt_lapsed: "S2",
    what_is_done_is_never_claimed_again: "S3",
    a_retry_waits_until_it_is_due: "S3",
    a_released_event_is_as_if_it_had_not_been_claimed: "S3",
    a_dead_letter_is_kept_and_not_claimed: "S3",
    settlements_are_answered_in_their_order: "S4",
    settlements_come_before_the_claims_of_their_request: "S4",
    a_repeated_request_settles_once: "S4",
}

async fn a_zombie_can_neither_settle_nor_extend(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let zombie = scene.claim_one().await?.ticket;
    scene.pass(60).await;
    let owner = scene.claim_one().await?.ticket;
    for settlement in [Settlement::Done, retry(1), dead(), Settlement::Release] {
        let what = format!("the zombie's {settlement:?}");
        let settled = scene.settle(zombie, settlement).await?;
        expect(&what, settled, SettleResult::Lost)?;
    }
    let extended = scene.extend(zombie, 3_000).await?;
    expect("the zombie's extension", extended, ExtendResult::Lost)?;
    scene
        .expect_states("t", &[("complete", StateName::Claimed)])
        .await?;
    scene.pass(50).await;
    let extended = scene.extend(owner, 200).await?;
    expect("the owner's extension", extended, ExtendResult::Extended)?;
    let settled = scene.settle(owner, Settlement::Done).await?;
    expect("the owner's settlement", settled, SettleResult::Settled)?;
    scene
        .expect_states("t", &[("complete", StateName::Done)])
        .await
}

async fn a_lapsed_claim_that_nobody_took_can_still_be_extended(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let ticket = scene.claim_one().await?.ticket;
    scene.pass(100).await;
    let extended = scene.extend(ticket, 60).await?;
    expect("extended", extended, ExtendResult::Extended)?;
    scene.expect_no_claim("after the extension").await?;
    let settled = scene.settle(ticket, Settlement::Done).await?;
    expect("settled", settled, SettleResult::Settled)
}

async fn a_lapsed_claim_that_nobody_took_can_still_be_settled(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let ticket = scene.claim_one().await?.ticket;
    scene.pass(100).await;
    let settled = scene.settle(ticket, Settlement::Done).await?;
    expect("settled", settled, SettleResult::Settled)?;
    scene.expect_no_claim("of what is done").await
}

async fn a_stale_ticket_does_not_change_a_finished_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let stale = scene.claim_one().await?.ticket;
    scene.pass(60).await;
    let owner = scene.claim_one().await?.ticket;
    scene.settle(owner, Settlement::Done).await?;
    let settled = scene.settle(stale, retry(1)).await?;
    expect("the stale ticket", settled, SettleResult::Lost)?;
    scene
        .expect_states("t", &[("complete", StateName::Done)])
        .await
}

async fn a_ticket_that_was_never_granted_is_lost(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let event = scene.find_one("t").await?.id;
    let unclaimed = Ticket {
        event,
        epoch: 0,
        worker: crate::WorkerId::default(),
    };
    let settled = scene.settle(unclaimed, Settlement::Done).await?;
    expect("before any claim", settled, SettleResult::Lost)?;
    let granted = scene.claim_one().await?.ticket;
    let (mut next, mut other, mut absent) = (granted, granted, granted);
    next.epoch += 1;
    other.worker = OTHER;
    absent.event = EventId(i64::MAX);
    for ticket in [next, other, absent] {
        let settled = scene.settle(ticket, Settlement::Done).await?;
        expect(
            &format!("settled by {ticket:?}"),
            settled,
            SettleResult::Lost,
        )?;
        let extended = scene.extend(ticket, 100).await?;
        expect(
            &format!("extended by {ticket:?}"),
            extended,
            ExtendResult::Lost,
        )?;
    }
    let settled = scene.settle(granted, Settlement::Done).await?;
    expect("the granted ticket", settled, SettleResult::Settled)
}

async fn settling_twice_changes_nothing(bench: &dyn Bench) -> CaseResult {
    for settlement in [Settlement::Done, retry(100), dead(), Settlement::Release] {
        let scene = Scene::fresh(bench).await?;
        scene.accept_tasks(&["t"]).await?;
        let ticket = scene.handle(settlement).await?;
        let before = scene.find_one("t").await?;
        for again in [Settlement::Done, dead(), Settlement::Release, retry(5_000)] {
            let settled = scene.settle(ticket, again).await?;
            expect("settled again", settled, SettleResult::AlreadySettled)?;
        }
        let extended = scene.extend(ticket, 10).await?;
        expect("extended", extended, ExtendResult::Lost)?;
        let after = scene.find_one("t").await?;
        let state = |state: EventState| StateName::from(state);
        expect("state", state(after.state), state(before.state))?;
        expect("attempts", after.attempts, before.attempts)?;
        expect("reason", after.reason, before.reason)?;
    }
    Ok(())
}

async fn settling_twice_is_known_after_another_attempt_lapsed(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.lapse(1).await?;
    let ticket = scene.handle(retry(10)).await?;
    scene.pass(5).await;
    let settled = scene.settle(ticket, retry(10)).await?;
    expect("settled again", settled, SettleResult::AlreadySettled)?;
    scene.pass(5).await;
    let next = scene.claim_one().await?.ticket;
    let settled = scene.settle(ticket, Settlement::Done).await?;
    expect("after another claim", settled, SettleResult::Lost)?;
    scene.pass(60).await;
    let settled = scene.settle(ticket, Settlement::Done).await?;
    expect("after that has lapsed", settled, SettleResult::Lost)?;
    let settled = scene.settle(next, Settlement::Done).await?;
    expect("the latest ticket", settled, SettleResult::Settled)
}

async fn what_is_done_is_never_claimed_again(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.handle(Settlement::Done).await?;
    scene.expect_no_claim("of what is done").await?;
    scene.pass(1_000_000).await;
    scene.expect_no_claim("of what is done, days later").await?;
    scene
        .expect_states("t", &[("complete", StateName::Done)])
        .await
}

async fn a_retry_waits_until_it_is_due(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.handle(retry(100)).await?;
    let event = scene.find_one("t").await?;
    expect("reason", event.reason, Some("no luck".to_owned()))?;
    match event.state {
        EventState::Waiting { ready_in } => expect_near("wait", ready_in, 100)?,
        state => expect("state", StateName::from(state), StateName::Waiting)?,
    }
    scene.pass(98).await;
    scene.expect_no_claim("before it is due").await?;
    scene.pass(2).await;
    expect("attempt", scene.claim_one().await?.attempt, 2)
}

async fn a_released_event_is_as_if_it_had_not_been_claimed(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.pass(10).await;
    scene.handle(Settlement::Release).await?;
    expect("attempts", scene.find_one("t").await?.attempts, 0)?;
    let again = scene.claim_one().await?;
    expect("attempt and lapses", (again.attempt, again.lapses), (1, 0))?;
    expect_near("age", again.age, 10)
}

async fn a_dead_letter_is_kept_and_not_claimed(bench: &dyn Bench) -> CaseResult {
    for cause in DeadCause::ALL {
        let scene = Scene::fresh(bench).await?;
        let sent = delivery("t", "complete");
        scene.accept(sent.clone()).await?;
        let reason = "why".to_owned();
        scene.handle(Settlement::Dead { cause, reason }).await?;
        scene.pass(1_000_000).await;
        scene.expect_no_claim("of a dead letter").await?;
        let event = scene.find_one("t").await?;
        expect("state", StateName::from(event.state), StateName::Dead)?;
        expect("cause", event.dead_cause, Some(cause))?;
        expect("reason", event.reason, Some("why".to_owned()))?;
        expect("body", event.raw, Some(sent.raw.clone()))?;
        let accepted = scene.accept(sent).await?;
        expect("a delivery of it", accepted, Acceptance::Duplicate)?;
    }
    Ok(())
}

async fn settlements_are_answered_in_their_order(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b", "c"]).await?;
    let claims = scene.claim_exactly::<3>().await?;
    let mut strange = claims[1].ticket;
    strange.epoch = 99;
    let settlements = vec![
        (claims[0].ticket, Settlement::Done),
        (strange, Settlement::Done),
        (claims[2].ticket, retry(500)),
        (claims[0].ticket, Settlement::Done),
    ];
    let request = scene.request(0).with_settlements(settlements);
    let expected = vec![
        SettleResult::Settled,
        SettleResult::Lost,
        SettleResult::Settled,
        SettleResult::AlreadySettled,
    ];
    expect("settled", scene.ask(&request).await?.settled, expected)?;
    let tickets: Vec<_> = claims.iter().map(|claim| claim.ticket).collect();
    let extended = scene
        .store
        .extend(&tickets, Duration::from_secs(100))
        .await?;
    let expected = vec![
        ExtendResult::Lost,
        ExtendResult::Extended,
        ExtendResult::Lost,
    ];
    expect("extended", extended, expected)
}

async fn settlements_come_before_the_claims_of_their_request(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text", "complete"]).await?;
    let text = scene.claim_key("t/text").await?;
    let settlements = vec![(text.ticket, Settlement::Done)];
    let request = scene.request(1).with_settlements(settlements);
    let claims = scene.ask(&request).await?;
    expect("settled", claims.settled, vec![SettleResult::Settled])?;
    let expected = vec!["t/complete".to_owned()];
    expect("claims", keys(&claims.claims), expected)
}

/// The answer was lost, so the worker repeats the request.
async fn a_repeated_request_settles_once(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b"]).await?;
    let [a] = scene.claim_exactly().await?;
    let settlements = vec![(a.ticket, retry(100))];
    let request = scene.request(1).with_settlements(settlements);
    let first = scene.ask(&request).await?;
    scene.pass(50).await;
    let again = scene.ask(&request).await?;
    expect("settled", first.settled, vec![SettleResult::Settled])?;
    expect(
        "settled again",
        again.settled,
        vec![SettleResult::AlreadySettled],
    )?;
    expect("the same claims", keys(&again.claims), keys(&first.claims))?;
    match scene.find_one("a").await?.state {
        EventState::Waiting { ready_in } => expect_near("the rest of the wait", ready_in, 50),
        state => expect("state", StateName::from(state), StateName::Waiting),
    }
}
