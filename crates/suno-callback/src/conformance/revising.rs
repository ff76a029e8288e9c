//! Cases for revisions, which are later deliveries of a stage that say more.

use std::time::Duration;

use super::scene::{Scene, delivery, delivery_with, expect, retry};
use super::{Bench, CaseResult, Failed, cases};
use crate::delivery::Delivery;
use crate::store::bounds::{CONFLICTS_OF_EVENT_MAX, REVISIONS_MAX, UNRANKED_EVENTS_MAX};
use crate::store::{
    Acceptance, Decision, DueRequest, EventFilter, ExpectedTask, ListRequest, PurgeRequest,
    Redrive, RedriveResult, Settlement, StateName,
};

cases! {
    a_delivery_that_says_more_is_a_revision: "A13",
    a_revision_has_a_body_and_a_state_of_its_own: "A2",
    revisions_are_known_by_their_fingerprints: "A3",
    a_delivery_that_says_other_or_less_is_a_conflict_of_the_latest_event: "A4",
    a_stage_has_a_bounded_number_of_revisions: "A13",
    a_revision_is_accepted_beside_any_number_of_unknown_stages: "A10",
    a_revision_of_an_earlier_stage_is_late: "A13",
    revisions_are_claimed_one_at_a_time_and_in_order: "C4",
    a_revision_supersedes_an_earlier_one_that_waits: "C5",
    a_done_revision_supersedes_an_earlier_one_that_is_open: "C5",
    what_a_done_revision_supersedes_is_redriven_only_if_asked_for: "I3",
    a_decision_redrives_the_latest_revision: "I5",
    a_decision_redrives_the_latest_revision_that_is_confirmed: "I5",
    lists_and_counts_show_revisions: "I2",
    revisions_survive_the_process: "G2",
    purging_an_earlier_revision_leaves_the_later_one: "I6",
    revisions_of_one_last_stage_decide_a_task: "L5",
}

/// Creates a delivery of completion with so many tracks.
pub(super) fn complete(results: u16) -> Delivery {
    delivery_with("t", "complete", 10, results)
}

pub(super) fn unconfirmed(results: u16) -> Delivery {
    complete(results).with_unconfirmed(true)
}

impl Scene<'_> {
    pub(super) async fn expect_accepted(
        &self,
        delivery: Delivery,
        expected: Acceptance,
    ) -> CaseResult {
        expect("accepted", self.accept(delivery).await?, expected)
    }

    /// Accepts completion with one track and then with two.
    async fn accept_revised(&self) -> CaseResult {
        self.expect_accepted(complete(1), Acceptance::New).await?;
        self.expect_accepted(complete(2), Acceptance::Revised).await
    }

    /// Claims the event with this key, which must be the only one that is ready, and settles it.
    pub(super) async fn handle_key(&self, key: &str, settlement: Settlement) -> CaseResult {
        let claim = self.claim_key(key).await?;
        self.settle(claim.ticket, settlement).await?;
        Ok(())
    }
}

async fn a_delivery_that_says_more_is_a_revision(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    let states = [
        ("complete", StateName::Ready),
        ("complete/1", StateName::Ready),
    ];
    scene.expect_states("t", &states).await?;
    for settlement in [Settlement::Done, Settlement::Done] {
        let claim = scene.claim_one().await?;
        scene.settle(claim.ticket, settlement).await?;
    }
    scene
        .expect_accepted(complete(3), Acceptance::Revised)
        .await?;
    scene.claim_key("t/complete/2").await?;
    let first = delivery_with("u", "first", 10, 0);
    scene.expect_accepted(first, Acceptance::New).await?;
    let first = delivery_with("u", "first", 10, 1);
    scene.expect_accepted(first, Acceptance::Revised).await
}

async fn a_revision_has_a_body_and_a_state_of_its_own(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    scene.handle_key_of_two("t/complete").await?;
    for (key, results, state) in [
        ("t/complete", 1, StateName::Done),
        ("t/complete/1", 2, StateName::Ready),
    ] {
        let event = scene.find_key("t", key).await?;
        expect("body", event.raw, Some(complete(results).raw))?;
        expect("results", event.results, results)?;
        expect("state", StateName::from(event.state), state)?;
    }
    let claim = scene.claim_key("t/complete/1").await?;
    expect("body of the claim", claim.raw, complete(2).raw)?;
    expect("attempt", claim.attempt, 1)
}

impl Scene<'_> {
    /// Settles the first of two events that are ready.
    async fn handle_key_of_two(&self, key: &str) -> CaseResult {
        let [claim] = self.claim_exactly().await?;
        expect("the claimed event", claim.key.to_string(), key.to_owned())?;
        self.settle(claim.ticket, Settlement::Done).await?;
        Ok(())
    }
}

async fn revisions_are_known_by_their_fingerprints(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    for _ in 0..2 {
        for results in [1, 2] {
            scene
                .expect_accepted(complete(results), Acceptance::Duplicate)
                .await?;
        }
        for claim in scene.claim(9).await? {
            scene.settle(claim.ticket, Settlement::Done).await?;
        }
    }
    expect("events", scene.find("t").await?.len(), 2)
}

async fn a_delivery_that_says_other_or_less_is_a_conflict_of_the_latest_event(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    for results in [0, 1, 2] {
        let other = delivery_with("t", "complete", 11, results);
        for expected in [Acceptance::Conflict, Acceptance::Duplicate] {
            scene.expect_accepted(other.clone(), expected).await?;
        }
    }
    for (key, conflicts) in [("t/complete", 0), ("t/complete/1", 3)] {
        let found = scene.find_key("t", key).await?.conflicts;
        expect("conflicts", found, conflicts)?;
    }
    Ok(())
}

async fn a_stage_has_a_bounded_number_of_revisions(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_accepted(complete(0), Acceptance::New).await?;
    let revisions = u16::try_from(REVISIONS_MAX).unwrap_or(u16::MAX);
    for results in 1..=revisions {
        scene
            .expect_accepted(complete(results), Acceptance::Revised)
            .await?;
    }
    let conflicts = u16::try_from(CONFLICTS_OF_EVENT_MAX).unwrap_or(u16::MAX);
    for more in 1..=conflicts {
        let fuller = complete(revisions + more);
        scene.expect_accepted(fuller, Acceptance::Conflict).await?;
    }
    let known = complete(revisions + conflicts);
    scene.expect_accepted(known, Acceptance::Duplicate).await?;
    let fullest = complete(revisions + conflicts + 1);
    scene.expect_accepted(fullest, Acceptance::Dropped).await?;
    let events = scene.find("t").await?.len();
    expect("events", events, usize::from(revisions) + 1)
}

async fn a_revision_is_accepted_beside_any_number_of_unknown_stages(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    for number in 0..UNRANKED_EVENTS_MAX {
        let other = delivery("t", &format!("stage-{number}"));
        scene.expect_accepted(other, Acceptance::New).await?;
    }
    let further = delivery("t", "one-more");
    scene
        .expect_accepted(further, Acceptance::Quarantined)
        .await?;
    let fuller = complete(3);
    scene.expect_accepted(fuller, Acceptance::Revised).await?;
    let events = scene.find("t").await?.len();
    expect("events", events, UNRANKED_EVENTS_MAX + 3)
}

async fn a_revision_of_an_earlier_stage_is_late(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["first", "complete"]).await?;
    let fuller = delivery_with("t", "first", 10, 2);
    scene
        .expect_accepted(fuller.clone(), Acceptance::Late)
        .await?;
    scene.expect_accepted(fuller, Acceptance::Duplicate).await?;
    let states = [
        ("first", StateName::Ready),
        ("complete", StateName::Ready),
        ("first/1", StateName::Superseded),
    ];
    scene.expect_states("t", &states).await
}

async fn revisions_are_claimed_one_at_a_time_and_in_order(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    scene
        .expect_accepted(complete(3), Acceptance::Revised)
        .await?;
    scene.accept(delivery("t", "mixed")).await?;
    for key in ["t/mixed", "t/complete", "t/complete/1", "t/complete/2"] {
        let claim = scene.claim_key(key).await?;
        scene.expect_no_claim("while another is claimed").await?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    scene.expect_no_claim("after all were handled").await
}

async fn a_revision_supersedes_an_earlier_one_that_waits(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(complete(1)).await?;
    scene.handle(retry(100)).await?;
    scene
        .expect_accepted(complete(2), Acceptance::Revised)
        .await?;
    scene.claim_key("t/complete/1").await?;
    let states = [
        ("complete", StateName::Superseded),
        ("complete/1", StateName::Claimed),
    ];
    scene.expect_states("t", &states).await
}

async fn a_done_revision_supersedes_an_earlier_one_that_is_open(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(complete(1)).await?;
    scene.handle(Settlement::Done).await?;
    scene.accept(complete(2)).await?;
    let claim = scene.claim_key("t/complete/1").await?;
    let first = scene.find_stage("t", "complete").await?.id;
    let redriven = scene.redrive(first, Redrive::Current).await?;
    expect("redriven", redriven, RedriveResult::Ready)?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    let states = [
        ("complete", StateName::Superseded),
        ("complete/1", StateName::Done),
    ];
    scene.expect_states("t", &states).await
}

async fn what_a_done_revision_supersedes_is_redriven_only_if_asked_for(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    for _ in 0..2 {
        scene.handle(Settlement::Done).await?;
    }
    let first = scene.find_stage("t", "complete").await?.id;
    for (how, expected) in [
        (Redrive::Current, RedriveResult::Superseded),
        (Redrive::EvenIfSuperseded, RedriveResult::Ready),
    ] {
        expect("redriven", scene.redrive(first, how).await?, expected)?;
    }
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn a_decision_redrives_the_latest_revision(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["failed"]).await?;
    for results in [1, 2] {
        scene
            .expect_accepted(complete(results), Acceptance::Late)
            .await?;
    }
    scene.decide_complete(Decision::Ready).await?;
    let states = [
        ("failed", StateName::Superseded),
        ("complete", StateName::Superseded),
        ("complete/1", StateName::Ready),
    ];
    scene.expect_states("t", &states).await?;
    scene.decide_complete(Decision::Unchanged).await
}

async fn a_decision_redrives_the_latest_revision_that_is_confirmed(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["failed"]).await?;
    scene.expect_accepted(complete(1), Acceptance::Late).await?;
    scene
        .expect_accepted(unconfirmed(9), Acceptance::Late)
        .await?;
    scene.decide_complete(Decision::Ready).await?;
    let states = [
        ("failed", StateName::Superseded),
        ("complete", StateName::Ready),
        ("complete/1", StateName::Superseded),
    ];
    scene.expect_states("t", &states).await
}

impl Scene<'_> {
    async fn decide_complete(&self, expected: Decision) -> CaseResult {
        let complete = suno_types::Stage::Complete;
        let task = super::scene::task_id("t")?;
        let decision = self.store.decide(&task, &complete).await?;
        expect("decision", decision, expected)
    }
}

async fn lists_and_counts_show_revisions(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    scene.accept(delivery("u", "complete")).await?;
    let filter = EventFilter::default().with_stage(suno_types::Stage::Complete);
    let listed = scene.store.list(&ListRequest::first(9, filter)).await?;
    let listed = listed.records.iter();
    let listed: Vec<_> = listed
        .map(|event| (event.key.to_string(), event.results))
        .collect();
    let expected = [("t/complete", 1), ("t/complete/1", 2), ("u/complete", 1)];
    let expected = expected.map(|(key, results)| (key.to_owned(), results));
    expect("listed", listed, expected.to_vec())?;
    expect("ready", scene.counts().await?.ready, 3)
}

async fn revisions_survive_the_process(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_revised().await?;
    let scene = scene.reopen().await?;
    scene
        .expect_accepted(complete(2), Acceptance::Duplicate)
        .await?;
    scene
        .expect_accepted(complete(3), Acceptance::Revised)
        .await?;
    let keys: Vec<_> = scene.find("t").await?;
    let keys: Vec<_> = keys.iter().map(|event| event.key.revision()).collect();
    expect("revisions", keys, vec![0, 1, 2])
}

async fn purging_an_earlier_revision_leaves_the_later_one(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(complete(1)).await?;
    scene.handle(Settlement::Done).await?;
    scene.pass(100).await;
    scene.accept(complete(2)).await?;
    scene.handle(Settlement::Done).await?;
    let request = PurgeRequest {
        bodies_after: Duration::from_secs(100),
        keys_after: Duration::from_secs(100),
        ..PurgeRequest::default()
    };
    scene.store.purge(&request).await?;
    scene
        .expect_states("t", &[("complete/1", StateName::Done)])
        .await?;
    for (delivery, expected) in [
        (complete(2), Acceptance::Duplicate),
        (complete(1), Acceptance::Conflict),
        (complete(3), Acceptance::Revised),
    ] {
        scene.expect_accepted(delivery, expected).await?;
    }
    scene.claim_key("t/complete/2").await?;
    Ok(())
}

async fn revisions_of_one_last_stage_decide_a_task(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let due = async |when: &str, tasks: usize| -> Result<(), Failed> {
        let request = DueRequest::new(Duration::from_secs(1), 9);
        let due = scene.store.due(&request).await?.tasks.len();
        scene.pass(1).await;
        expect(when, due, tasks)
    };
    let task = ExpectedTask::new(super::scene::task_id("t")?, Duration::ZERO);
    scene.store.expect(&task).await?;
    scene.accept(unconfirmed(1)).await?;
    due("with an unconfirmed end", 1).await?;
    let claim = scene.claim_one().await?;
    scene.accept(unconfirmed(2)).await?;
    scene.settle(claim.ticket, retry(500)).await?;
    let claim = scene.claim_key("t/complete/1").await?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    due("with an unconfirmed revision that is done", 1).await?;
    scene.accept(complete(1)).await?;
    due("with a confirmed event of that stage", 0).await
}
