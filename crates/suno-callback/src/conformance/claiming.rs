//! Cases for claims: that they are exclusive, what they contain, and that a lost answer
//! loses nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::scene::{
    LEASE, OTHER, Scene, at, complete, delivery_at, expect, expect_near, keys, raw_delivery, retry,
    wrong,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::store::{
    Claim, ClaimRequest, DeadCause, ExtendResult, IdempotencyStore, SettleResult, Settlement,
    StateName, Ticket, WorkerId,
};

cases! {
    of_racing_claims_one_is_granted: "C1",
    of_racing_claims_in_two_processes_one_is_granted: "C1",
    a_live_claim_is_never_taken: "C2",
    a_lapsed_claim_can_be_taken_exactly_at_its_end: "C2",
    each_claim_counts_an_attempt: "C3",
    each_lapse_is_counted_until_a_settlement: "C3",
    no_more_is_claimed_than_was_asked_for: "C7",
    a_claim_says_whether_there_is_more_and_when: "C7",
    a_repeated_request_is_given_the_same_claims: "C9",
    a_repeated_request_is_given_only_what_still_holds: "C9",
    a_repeated_request_is_not_given_what_lapsed: "C9",
    a_request_that_comes_too_late_is_given_nothing: "C9",
    requests_of_two_workers_are_told_apart: "C9",
    a_claim_carries_what_was_accepted: "C10",
    a_claim_carries_a_body_of_a_megabyte: "C10",
    a_claim_says_for_how_long_the_event_has_been_waiting: "C10",
    a_damaged_event_becomes_a_dead_letter_and_keeps_up_no_other: "C11",
}

fn tickets(claims: &[Claim]) -> Vec<Ticket> {
    claims.iter().map(|claim| claim.ticket).collect()
}

/// Claims one event many times concurrently, and counts how often it was granted.
async fn race(stores: &[Arc<dyn IdempotencyStore>]) -> Result<usize, Failed> {
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&stores[number % stores.len()]);
        let request = ClaimRequest::new(WorkerId(100 + number as u64), 1, LEASE, 1);
        racers.spawn(async move { store.claim(&request).await });
    }
    let mut granted = 0;
    while let Some(claims) = racers.join_next().await {
        let claims = claims.map_err(|err| Failed::Wrong(err.to_string()))??;
        granted += claims.claims.len();
    }
    Ok(granted)
}

async fn of_racing_claims_one_is_granted(bench: &dyn Bench) -> CaseResult {
    for _ in 0..8 {
        let scene = Scene::fresh(bench).await?;
        scene.accept_tasks(&["t"]).await?;
        let granted = race(&[Arc::clone(&scene.store)]).await?;
        expect("granted among the racers", granted, 1)?;
    }
    Ok(())
}

async fn of_racing_claims_in_two_processes_one_is_granted(bench: &dyn Bench) -> CaseResult {
    for _ in 0..8 {
        let scene = Scene::fresh(bench).await?;
        scene.accept_tasks(&["t"]).await?;
        let stores = [Arc::clone(&scene.store), scene.another().await?];
        expect("granted among the racers", race(&stores).await?, 1)?;
    }
    Ok(())
}

async fn a_live_claim_is_never_taken(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let claim = scene.claim_one().await?;
    scene.expect_no_claim("at once").await?;
    scene.pass(58).await;
    scene.expect_no_claim("before the end").await?;
    let extended = scene.extend(claim.ticket, 1_000).await?;
    expect("extended", extended, ExtendResult::Extended)?;
    scene.pass(998).await;
    scene.expect_no_claim("before the extended end").await?;
    let settled = scene.settle(claim.ticket, Settlement::Done).await?;
    expect("settled", settled, SettleResult::Settled)
}

async fn a_lapsed_claim_can_be_taken_exactly_at_its_end(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let lapsed = scene.claim_one().await?;
    scene.pass(58).await;
    scene.expect_no_claim("before the end").await?;
    scene.pass(2).await;
    let taken = scene.claim_one().await?;
    expect("the same event", taken.ticket.event, lapsed.ticket.event)?;
    let is_greater = taken.ticket.epoch > lapsed.ticket.epoch;
    expect("the epoch grows", is_greater, true)?;
    let lost = scene.extend(lapsed.ticket, 60).await?;
    expect("the lapsed ticket", lost, ExtendResult::Lost)
}

async fn each_claim_counts_an_attempt(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    for attempt in 1..=4 {
        let claim = scene.claim_one().await?;
        expect("attempt", claim.attempt, attempt)?;
        scene.pass(60).await;
    }
    expect("attempts", scene.find_one("t").await?.attempts, 4)
}

async fn each_lapse_is_counted_until_a_settlement(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    for lapses in 0..3 {
        expect("lapses", scene.claim_one().await?.lapses, lapses)?;
        scene.pass(60).await;
    }
    let claim = scene.claim_one().await?;
    expect("lapses", claim.lapses, 3)?;
    scene.settle(claim.ticket, retry(0)).await?;
    expect("lapses in the record", scene.find_one("t").await?.lapses, 0)?;
    let claim = scene.claim_one().await?;
    expect("after a settlement", (claim.lapses, claim.attempt), (0, 5))
}

async fn no_more_is_claimed_than_was_asked_for(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b", "c"]).await?;
    for (events_max, expected) in [(0, 0), (2, 2), (2, 1), (2, 0)] {
        let claims = scene.claim(events_max).await?.len();
        expect(&format!("claims of at most {events_max}"), claims, expected)?;
    }
    Ok(())
}

async fn a_claim_says_whether_there_is_more_and_when(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let claims = scene.ask(&scene.request(1)).await?;
    expect(
        "in an empty store",
        (claims.more, claims.next_due),
        (false, None),
    )?;
    scene.accept_tasks(&["a", "b"]).await?;
    let claims = scene.ask(&scene.request(1)).await?;
    expect("the first claim", keys(&claims.claims), complete(&["a"]))?;
    expect("there is more", claims.more, true)?;
    let [b] = scene.claim_exactly().await?;
    scene.settle(b.ticket, retry(40)).await?;
    // The event that waits for 40 s becomes ready before the lease that ends in 60 s.
    for (pass, next) in [(0, 40), (30, 10)] {
        scene.pass(pass).await;
        expect("claims", scene.claim_keys(9).await?, Vec::new())?;
        let claims = scene.ask(&scene.request(9)).await?;
        let Some(next_due) = claims.next_due else {
            return wrong("an event waits, and the claim does not say when it becomes ready");
        };
        expect_near("the next one becomes ready in", next_due, next)?;
    }
    Ok(())
}

async fn a_repeated_request_is_given_the_same_claims(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b", "c"]).await?;
    let request = scene.request(2);
    let granted = scene.ask(&request).await?.claims;
    for _ in 0..2 {
        scene.pass(20).await;
        let again = scene.ask(&request).await?.claims;
        expect("the same tickets", tickets(&again), tickets(&granted))?;
        let counted = again
            .iter()
            .all(|claim| claim.attempt == 1 && !claim.raw.is_empty());
        expect("no further attempts", counted, true)?;
    }
    let again = scene.ask(&request).await?.claims;
    expect_near("the rest of the lease", again[0].holds_for, 20)?;
    expect(
        "the next request",
        scene.claim_keys(9).await?,
        complete(&["c"]),
    )
}

async fn a_repeated_request_is_given_only_what_still_holds(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene
        .accept_tasks(&["settled", "kept", "retried", "new"])
        .await?;
    let request = scene.request(3);
    let granted = scene.ask(&request).await?.claims;
    expect(
        "granted",
        keys(&granted),
        complete(&["settled", "kept", "retried"]),
    )?;
    scene.settle(granted[0].ticket, Settlement::Done).await?;
    scene.settle(granted[2].ticket, retry(0)).await?;
    let again = scene.ask(&request).await?.claims;
    expect("what still holds", tickets(&again), vec![granted[1].ticket])
}

async fn a_repeated_request_is_not_given_what_lapsed(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene
        .accept_tasks(&["lapsed", "extended", "taken", "new"])
        .await?;
    let request = scene.request(3);
    let granted = scene.ask(&request).await?.claims;
    expect("granted", granted.len(), 3)?;
    scene.extend(granted[1].ticket, 200).await?;
    scene.pass(60).await;
    let again = scene.ask(&request).await?.claims;
    expect("what still holds", tickets(&again), vec![granted[1].ticket])?;
    let mut other = ClaimRequest::new(OTHER, 1, LEASE, 9);
    other.running = 1;
    let taken = scene.ask(&other).await?.claims;
    expect("taken by another worker", taken.len(), 3)?;
    let again = scene.ask(&request).await?.claims;
    expect("what still holds", tickets(&again), vec![granted[1].ticket])
}

async fn a_request_that_comes_too_late_is_given_nothing(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b"]).await?;
    let (late, next) = (scene.request(1), scene.request(1));
    let granted = scene.ask(&next).await?.claims;
    expect("granted", granted.len(), 1)?;
    let claims = scene.ask(&late).await?.claims;
    expect("to an earlier request", keys(&claims), Vec::new())?;
    let again = scene.ask(&next).await?.claims;
    expect("to the latest request", tickets(&again), tickets(&granted))
}

async fn requests_of_two_workers_are_told_apart(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b"]).await?;
    let request = scene.request(1);
    let mut other = request.clone();
    other.worker = OTHER;
    let first = scene.ask(&request).await?.claims;
    let second = scene.ask(&other).await?.claims;
    expect("the first worker", keys(&first), complete(&["a"]))?;
    expect("the second worker", keys(&second), complete(&["b"]))?;
    let again = scene.ask(&request).await?.claims;
    expect("the first worker again", tickets(&again), tickets(&first))?;
    let workers = [first[0].ticket.worker, second[0].ticket.worker];
    expect(
        "the workers of the tickets",
        workers,
        [request.worker, OTHER],
    )
}

async fn a_claim_carries_what_was_accepted(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let sent = delivery_at("t", "complete", 10, 33);
    scene.accept(sent.clone()).await?;
    let claim = scene.claim_key("t/complete").await?;
    expect("body", claim.raw, sent.raw)?;
    expect("verified by", claim.verified_by, sent.verified_by)?;
    expect("source", claim.source, sent.source)?;
    expect("received at", claim.received_at, at(33))?;
    expect("unconfirmed", claim.unconfirmed, false)?;
    expect("attempt and lapses", (claim.attempt, claim.lapses), (1, 0))?;
    expect_near("holds for", claim.holds_for, LEASE.as_secs())
}

async fn a_claim_carries_a_body_of_a_megabyte(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let prompt = "ü\u{1F3B5}\\u0000 ".repeat(80_000);
    let body = format!(
        r#"{{"code":200,"data":{{"callbackType":"text","task_id":"t","data":[{{"prompt":"{prompt}"}}]}}}}"#
    );
    scene.accept(raw_delivery(body.clone(), 0)).await?;
    let claim = scene.claim_one().await?;
    expect("the body is the same", claim.raw == body.as_bytes(), true)
}

async fn a_claim_says_for_how_long_the_event_has_been_waiting(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    scene.pass(30).await;
    let claim = scene.claim_one().await?;
    expect_near("age at the first claim", claim.age, 30)?;
    scene.settle(claim.ticket, retry(100)).await?;
    scene.pass(100).await;
    expect_near("age at the second", scene.claim_one().await?.age, 130)
}

async fn a_damaged_event_becomes_a_dead_letter_and_keeps_up_no_other(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "damaged", "b"]).await?;
    let damaged = scene.find_one("damaged").await?.id;
    if !bench.damage(&scene.store, damaged).await {
        return Err(Failed::NotApplicable);
    }
    let claimed: BTreeSet<_> = scene.claim_keys(9).await?.into_iter().collect();
    let expected = BTreeSet::from_iter(complete(&["a", "b"]));
    expect("claims", claimed, expected)?;
    let request = crate::ListRequest::first(9, crate::EventFilter::in_state(StateName::Dead));
    let dead = scene.store.list(&request).await?.records;
    let dead: Vec<_> = dead
        .iter()
        .map(|event| (event.id, event.dead_cause))
        .collect();
    expect(
        "dead letters",
        dead,
        vec![(damaged, Some(DeadCause::Unreadable))],
    )?;
    expect("dead letters", scene.counts().await?.dead, 1)
}
