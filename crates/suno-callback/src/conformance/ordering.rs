//! Cases for the order of claims: within a task, across tasks, and alone.

use super::scene::{OTHER, Scene, complete, delivery, expect, keys, retry, unconfirmed};
use super::{Bench, CaseResult, cases};
use crate::store::bounds::LAPSES_SUSPECT;
use crate::store::{ExtendResult, Settlement, StateName};

cases! {
    stages_of_a_task_are_claimed_one_at_a_time_and_in_order: "C4",
    unknown_stages_come_first_in_the_order_of_their_arrival: "C4",
    a_stage_that_is_being_handled_holds_up_a_later_one: "C4",
    a_lapsed_claim_comes_before_the_other_stages: "C4",
    a_stage_that_waits_does_not_hold_up_a_later_one: "C5",
    a_stage_that_has_waited_comes_before_a_later_one: "C5",
    what_arrived_first_is_claimed_first: "C6",
    a_retry_comes_after_what_became_ready_before_it: "C6",
    a_lapsed_claim_comes_after_what_became_ready_before_it: "C6",
    what_is_made_ready_comes_after_what_is_ready: "C6",
    events_that_fail_again_and_again_do_not_keep_others_waiting: "C6",
    a_suspected_event_is_claimed_with_no_other: "C8",
    a_suspected_event_is_left_by_a_worker_that_runs_others: "C8",
    a_suspected_event_is_not_added_to_other_claims: "C8",
    a_settled_event_is_suspected_no_more: "C8",
    a_release_is_not_counted_as_a_lapse: "C8",
}

async fn stages_of_a_task_are_claimed_one_at_a_time_and_in_order(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene
        .accept_stages("t", &["text", "first", "complete"])
        .await?;
    for key in ["t/text", "t/first", "t/complete"] {
        let claim = scene.claim_key(key).await?;
        scene
            .expect_no_claim("while another stage is claimed")
            .await?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    scene.expect_no_claim("after all were handled").await
}

async fn unknown_stages_come_first_in_the_order_of_their_arrival(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene
        .accept_stages("t", &["text", "mixed", "first", "aired"])
        .await?;
    for key in ["t/mixed", "t/aired", "t/text", "t/first"] {
        let claim = scene.claim_key(key).await?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    Ok(())
}

async fn a_stage_that_is_being_handled_holds_up_a_later_one(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text"]).await?;
    let text = scene.claim_one().await?;
    scene.accept_stages("t", &["complete"]).await?;
    scene
        .expect_no_claim("while an earlier stage is handled")
        .await?;
    scene.settle(text.ticket, Settlement::Done).await?;
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn a_lapsed_claim_comes_before_the_other_stages(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let lapsed = scene.claim_one().await?.ticket;
    scene.accept_stages("t", &["mixed"]).await?;
    scene.pass(60).await;
    let again = scene.claim_key("t/complete").await?;
    let extended = scene.extend(lapsed, 500).await?;
    expect("the lapsed ticket", extended, ExtendResult::Lost)?;
    scene.settle(again.ticket, Settlement::Done).await?;
    scene.claim_key("t/mixed").await?;
    Ok(())
}

async fn a_stage_that_waits_does_not_hold_up_a_later_one(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text", "complete"]).await?;
    let text = scene.claim_one().await?;
    scene.settle(text.ticket, retry(100)).await?;
    scene.claim_key("t/complete").await?;
    let states = [
        ("text", StateName::Superseded),
        ("complete", StateName::Claimed),
    ];
    scene.expect_states("t", &states).await?;
    scene.pass(100).await;
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn a_stage_that_has_waited_comes_before_a_later_one(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text", "complete"]).await?;
    let text = scene.claim_one().await?;
    scene.settle(text.ticket, retry(100)).await?;
    scene.pass(100).await;
    scene.claim_key("t/text").await?;
    let states = [("text", StateName::Claimed), ("complete", StateName::Ready)];
    scene.expect_states("t", &states).await
}

async fn what_arrived_first_is_claimed_first(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let tasks: Vec<_> = (0..20)
        .map(|number| format!("t{}", (number * 7) % 20))
        .collect();
    let tasks: Vec<_> = tasks.iter().map(String::as_str).collect();
    scene.accept_tasks(&tasks).await?;
    let mut claimed = Vec::new();
    for _ in 0..4 {
        claimed.extend(scene.claim_keys(5).await?);
    }
    expect("claims", claimed, complete(&tasks))
}

async fn a_retry_comes_after_what_became_ready_before_it(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["retried"]).await?;
    scene.handle(retry(10)).await?;
    scene.pass(5).await;
    scene.accept_tasks(&["before"]).await?;
    scene.pass(10).await;
    scene.accept_tasks(&["after"]).await?;
    let mut claimed = Vec::new();
    for _ in 0..3 {
        claimed.extend(scene.claim_keys(1).await?);
    }
    expect("claims", claimed, complete(&["before", "retried", "after"]))
}

async fn a_lapsed_claim_comes_after_what_became_ready_before_it(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["lapsed"]).await?;
    scene.claim_one().await?;
    scene.pass(50).await;
    scene.accept_tasks(&["before"]).await?;
    scene.pass(20).await;
    scene.accept_tasks(&["after"]).await?;
    let claimed = scene.claim_keys(9).await?;
    expect("claims", claimed, complete(&["before", "lapsed", "after"]))
}

async fn what_is_made_ready_comes_after_what_is_ready(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["redriven", "released"]).await?;
    scene.accept(unconfirmed("nudged", "complete", 10)).await?;
    let [redriven, released, nudged] = scene.claim_exactly().await?;
    scene.settle(redriven.ticket, Settlement::Done).await?;
    scene.settle(nudged.ticket, retry(1_000)).await?;
    scene.pass(2).await;
    scene.accept_tasks(&["ready"]).await?;
    scene.pass(2).await;
    scene.settle(released.ticket, Settlement::Release).await?;
    scene.pass(2).await;
    scene.accept(unconfirmed("nudged", "complete", 10)).await?;
    scene.pass(2).await;
    scene
        .redrive(redriven.ticket.event, crate::Redrive::Current)
        .await?;
    let expected = complete(&["ready", "released", "nudged", "redriven"]);
    expect("claims", scene.claim_keys(9).await?, expected)
}

async fn events_that_fail_again_and_again_do_not_keep_others_waiting(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b", "c"]).await?;
    for claim in scene.claim(3).await? {
        scene.settle(claim.ticket, retry(1)).await?;
    }
    scene.pass(2).await;
    scene.accept_tasks(&["new"]).await?;
    for _ in 0..4 {
        let claim = &scene.claim_exactly::<1>().await?[0];
        if claim.key.task_id().as_str() == "new" {
            return Ok(());
        }
        scene.settle(claim.ticket, retry(1)).await?;
        scene.pass(2).await;
    }
    super::scene::wrong("the new event was not claimed, because others were retried")
}

async fn a_suspected_event_is_claimed_with_no_other(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["suspected"]).await?;
    scene.lapse(LAPSES_SUSPECT).await?;
    scene.accept_tasks(&["b"]).await?;
    let claims = scene.ask(&scene.request(9)).await?;
    expect("claims", keys(&claims.claims), complete(&["suspected"]))?;
    expect("lapses", claims.claims[0].lapses, LAPSES_SUSPECT)?;
    expect("there is more", claims.more, true)
}

async fn a_suspected_event_is_left_by_a_worker_that_runs_others(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["suspected"]).await?;
    scene.lapse(LAPSES_SUSPECT).await?;
    scene.accept_tasks(&["b"]).await?;
    let claims = scene.ask(&scene.request(9).with_running(1)).await?;
    expect("claims", keys(&claims.claims), complete(&["b"]))?;
    expect("it says so", claims.suspected, true)?;
    let idle = scene.ask(&scene.request(9)).await?;
    expect("once idle", keys(&idle.claims), complete(&["suspected"]))
}

async fn a_suspected_event_is_not_added_to_other_claims(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["suspected"]).await?;
    scene.lapse(LAPSES_SUSPECT - 1).await?;
    scene.claim_one().await?;
    scene.pass(30).await;
    scene.accept_tasks(&["b"]).await?;
    scene.pass(30).await;
    // The suspected event became ready later, so that it is not the first.
    let claims = scene.ask(&scene.request(9)).await?;
    expect("claims", keys(&claims.claims), complete(&["b"]))?;
    expect("it says so", claims.suspected, true)?;
    let mut other = scene.request(9);
    other.worker = OTHER;
    let others = scene.ask(&other).await?;
    expect(
        "an idle worker",
        keys(&others.claims),
        complete(&["suspected"]),
    )
}

async fn a_settled_event_is_suspected_no_more(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a"]).await?;
    scene.lapse(LAPSES_SUSPECT).await?;
    scene.handle(retry(0)).await?;
    scene.accept_tasks(&["b"]).await?;
    let claims = scene.ask(&scene.request(9).with_running(1)).await?;
    expect("claims", keys(&claims.claims), complete(&["a", "b"]))?;
    expect("suspected", claims.suspected, false)
}

async fn a_release_is_not_counted_as_a_lapse(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(delivery("t", "complete")).await?;
    for _ in 0..=LAPSES_SUSPECT {
        scene.handle(Settlement::Release).await?;
    }
    let claim = scene.claim_one().await?;
    expect("attempt and lapses", (claim.attempt, claim.lapses), (1, 0))
}
