//! Cases for atomicity, durability and the store's own clock.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use super::scene::{
    Scene, at, complete, dead, delivery, delivery_at, delivery_of, expect, expect_near,
    raw_delivery, retry, task_id, unconfirmed,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::key::SubmitId;
use crate::store::{
    Acceptance, DueRequest, EventState, ExpectedTask, Intent, Postponement, PurgeRequest,
    SettleResult, Settlement, StateName,
};

cases! {
    a_slice_that_is_cut_off_is_stored_completely_or_not_at_all: "G1",
    a_claim_request_that_is_cut_off_settles_and_claims_or_does_neither: "G1",
    a_repeated_operation_changes_nothing_more: "G1",
    what_was_accepted_survives_the_process: "G2",
    a_settled_event_stays_known_after_the_process: "G2",
    attempts_and_epochs_survive_the_process: "G2",
    leases_and_retries_go_on_after_the_process: "G2",
    intents_and_expected_tasks_survive_the_process: "G2",
    the_time_of_receipt_decides_nothing: "G3",
    steps_of_the_system_clock_change_nothing: "G3",
}

/// Polls an operation a given number of times and then drops it. Returns true if it has
/// finished.
fn cut_off(operation: impl Future, polls: usize) -> bool {
    let mut operation = pin!(operation);
    let mut context = Context::from_waker(Waker::noop());
    (0..polls).any(|_| operation.as_mut().poll(&mut context).is_ready())
}

/// The maximum number of polls after which operations are dropped.
const POLLS_MAX: usize = 5;

async fn a_slice_that_is_cut_off_is_stored_completely_or_not_at_all(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let mut all = 0;
    for polls in 0..=POLLS_MAX {
        let slice = (0..8).map(|number| delivery(&format!("cut-{polls}-{number}"), "complete"));
        let slice: Vec<_> = slice.collect();
        cut_off(scene.store.accept(&slice), polls);
        let ready = scene.counts().await?.ready - all;
        expect("stored of 8", [0, 8].contains(&ready), true)?;
        scene.store.accept(&slice).await?;
        all += 8;
        expect(
            "stored after a repetition",
            scene.counts().await?.ready,
            all,
        )?;
    }
    Ok(())
}

async fn a_claim_request_that_is_cut_off_settles_and_claims_or_does_neither(
    bench: &dyn Bench,
) -> CaseResult {
    for polls in 0..=POLLS_MAX {
        let scene = Scene::fresh(bench).await?;
        scene.accept_tasks(&["a", "b"]).await?;
        let [first] = scene.claim_exactly().await?;
        let settlements = vec![(first.ticket, Settlement::Done)];
        let request = scene.request(1).with_settlements(settlements);
        cut_off(scene.store.claim(&request), polls);
        let counts = scene.counts().await?;
        let (done, ready) = (counts.done, counts.ready);
        let is_whole = [(0, 1), (1, 0)].contains(&(done, ready));
        expect(
            &format!("{done} done and {ready} ready is whole"),
            is_whole,
            true,
        )?;
        let claims = scene.ask(&request).await?;
        let answer =
            [SettleResult::Settled, SettleResult::AlreadySettled].contains(&claims.settled[0]);
        expect("settled after a repetition", answer, true)?;
        expect("claims after a repetition", claims.claims.len(), 1)?;
    }
    Ok(())
}

async fn a_repeated_operation_changes_nothing_more(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let slice = [delivery("t", "first"), raw_delivery("{", 0)];
    let answers = [Acceptance::New, Acceptance::Duplicate];
    for first in answers {
        let accepted = scene.store.accept(&slice).await?;
        expect("accepted", accepted, vec![first, Acceptance::Quarantined])?;
    }
    let intent = Intent::new(SubmitId::from_bytes([7; 16]), at(0), Duration::ZERO);
    let task = ExpectedTask::new(task_id("t")?, Duration::ZERO);
    for _ in 0..2 {
        scene.store.intend(&intent).await?;
        scene.store.expect(&task).await?;
    }
    let open = scene.store.open_intents(Duration::ZERO, None, 9).await?;
    expect("open intents", open.len(), 1)?;
    let request = DueRequest::new(Duration::from_secs(60), 9);
    expect("due tasks", scene.store.due(&request).await?.tasks.len(), 1)
}

async fn what_was_accepted_survives_the_process(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let slice = [
        delivery("t", "text"),
        delivery_of("t", "text", 11),
        raw_delivery("{", 0),
        unconfirmed("t", "first", 10),
    ];
    scene.store.accept(&slice).await?;
    let scene = scene.reopen().await?;
    let [text, first] = <[_; 2]>::try_from(scene.find("t").await?)
        .map_err(|found| Failed::Wrong(format!("expected two events, got {found:?}")))?;
    expect("conflicts", (text.conflicts, first.conflicts), (1, 0))?;
    expect(
        "unconfirmed",
        (text.unconfirmed, first.unconfirmed),
        (false, true),
    )?;
    expect("received", text.received_at, at(0))?;
    expect("in quarantine", scene.counts().await?.quarantined, 1)?;
    let claim = scene.claim_key("t/text").await?;
    expect("the body", claim.raw, slice[0].raw.clone())
}

async fn a_settled_event_stays_known_after_the_process(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["done"]).await?;
    let ticket = scene.handle(Settlement::Done).await?;
    scene.accept_tasks(&["dead"]).await?;
    scene.handle(dead()).await?;
    let scene = scene.reopen().await?;
    for task in ["done", "dead"] {
        let accepted = scene.accept(delivery(task, "complete")).await?;
        expect("after the process", accepted, Acceptance::Duplicate)?;
    }
    let again = scene.settle(ticket, Settlement::Done).await?;
    expect("settled again", again, SettleResult::AlreadySettled)?;
    let reason = scene.find_one("dead").await?.reason;
    expect("reason of the dead letter", reason, Some("why".to_owned()))?;
    scene.expect_no_claim("after the process").await
}

async fn attempts_and_epochs_survive_the_process(bench: &dyn Bench) -> CaseResult {
    let mut scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let mut epochs = BTreeSet::new();
    for attempt in 1..=3 {
        let claim = scene.claim_one().await?;
        let counted = (claim.attempt, claim.lapses);
        expect("attempt and lapses", counted, (attempt, attempt - 1))?;
        let is_new = epochs.insert(claim.ticket.epoch);
        expect("the epoch is a new one", is_new, true)?;
        scene = scene.reopen().await?;
        scene.pass(60).await;
    }
    Ok(())
}

async fn leases_and_retries_go_on_after_the_process(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["waits"]).await?;
    scene.handle(retry(100)).await?;
    scene.accept_tasks(&["claimed"]).await?;
    let claim = scene.claim_one().await?;
    let scene = scene.reopen().await?;
    scene.expect_no_claim("right after the process").await?;
    let EventState::Waiting { ready_in } = scene.find_one("waits").await?.state else {
        return Err(Failed::Wrong("the event does not wait any more".to_owned()));
    };
    expect_near("the rest of the wait", ready_in, 100)?;
    scene.pass(60).await;
    let again = scene.claim_key("claimed/complete").await?;
    expect("lapses", again.lapses, 1)?;
    let lost = scene.settle(claim.ticket, Settlement::Done).await?;
    expect("the ticket from before", lost, SettleResult::Lost)?;
    scene.pass(40).await;
    let claims = scene.claim_keys(9).await?;
    expect("after the wait", claims, complete(&["waits"]))
}

async fn intents_and_expected_tasks_survive_the_process(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let submit = |number: u8| SubmitId::from_bytes([number; 16]);
    for number in [1, 2] {
        let intent = Intent::new(submit(number), at(0), Duration::from_secs(10));
        scene.store.intend(&intent).await?;
    }
    let early = delivery("early", "first").with_submit(Some(submit(2)));
    scene.accept(early).await?;
    let asked = ExpectedTask::new(task_id("asked")?, Duration::ZERO);
    scene.store.expect(&asked).await?;
    let request = DueRequest::new(Duration::from_secs(60), 9);
    let taken = scene.store.due(&request).await?.tasks;
    let scene = scene.reopen().await?;
    let open = scene.store.open_intents(Duration::ZERO, None, 9).await?;
    let open: Vec<_> = open.iter().map(|intent| intent.submit).collect();
    expect("open intents", open, vec![submit(1)])?;
    scene.pass(10).await;
    let due = scene.store.due(&request).await?.tasks;
    let due: Vec<_> = due.iter().map(|it| it.ticket.task_id.as_str()).collect();
    expect("due tasks", due, vec!["early"])?;
    let pause = Postponement::answered(Duration::from_secs(5));
    let postponed = scene.store.postpone(&taken[0].ticket, pause).await?;
    expect("the ticket from before holds", postponed, true)
}

/// Independent of the system time, and of the time that the provider claims to have sent
/// something.
async fn the_time_of_receipt_decides_nothing(bench: &dyn Bench) -> CaseResult {
    const FAR: i64 = 3_000_000_000;
    let scene = Scene::fresh(bench).await?;
    scene
        .accept(delivery_at("future", "complete", 10, FAR))
        .await?;
    scene
        .accept(delivery_at("past", "complete", 10, -1_000_000_000))
        .await?;
    let claims = scene.claim(9).await?;
    expect(
        "claims",
        super::scene::keys(&claims),
        complete(&["future", "past"]),
    )?;
    for claim in &claims {
        expect_near("age", claim.age, 0)?;
        expect_near("lease", claim.holds_for, 60)?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    let request = PurgeRequest::default();
    let purged = scene.store.purge(&request).await?;
    expect("purged at once", (purged.bodies, purged.keys), (0, 0))?;
    scene.pass(request.keys_after.as_secs()).await;
    expect(
        "purged at their age",
        scene.store.purge(&request).await?.keys,
        2,
    )
}

async fn steps_of_the_system_clock_change_nothing(bench: &dyn Bench) -> CaseResult {
    const YEAR: i64 = 365 * 86_400;
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["done"]).await?;
    scene.handle(Settlement::Done).await?;
    scene.accept_tasks(&["waits"]).await?;
    scene.handle(retry(100)).await?;
    scene.accept_tasks(&["claimed"]).await?;
    scene.claim_one().await?;
    let another = bench.another(&scene.store).await?;
    for seconds in [YEAR, -2 * YEAR] {
        if !bench.step_wall_clock(seconds).await {
            return Err(Failed::NotApplicable);
        }
        scene
            .expect_no_claim(&format!("after a step of {seconds} s"))
            .await?;
        for store in another.iter().chain([&scene.store]) {
            let purged = Arc::clone(store).purge(&PurgeRequest::default()).await?;
            expect("purged", purged.keys, 0)?;
        }
    }
    scene
        .expect_states("claimed", &[("complete", StateName::Claimed)])
        .await?;
    scene.pass(60).await;
    scene.claim_key("claimed/complete").await?;
    scene.pass(40).await;
    scene.claim_key("waits/complete").await?;
    Ok(())
}
