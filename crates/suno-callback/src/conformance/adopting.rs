//! Cases for moving events to another store: their conflicts, and their adoption.

use super::scene::{
    Scene, at, dead, delivery, delivery_at, delivery_of, expect, retry, task_id, unconfirmed, wrong,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::key::EventId;
use crate::origin::{Source, VerifiedBy};
use crate::store::{
    Acceptance, AdoptedEvent, Adoption, Counts, Redrive, RedriveResult, Settlement, StateName,
};

cases! {
    conflicts_are_returned_in_the_order_in_which_they_were_kept: "I10",
    an_event_that_does_not_exist_has_no_conflicts: "I10",
    an_adopted_event_keeps_its_state_and_is_adopted_once: "I11",
    an_adopted_event_is_the_same_to_deliveries: "I11",
    an_adopted_dead_letter_can_be_redriven: "I11",
    adopted_revisions_keep_their_numbers: "I11",
}

async fn conflicts_are_returned_in_the_order_in_which_they_were_kept(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(unconfirmed("t", "complete", 9)).await?;
    let verified_by = VerifiedBy {
        token: true,
        ..VerifiedBy::default()
    };
    let mut sent = Vec::new();
    for duration in [30, 10, 20] {
        let mut conflict = delivery_at("t", "complete", duration, duration.into());
        (conflict.verified_by, conflict.unconfirmed) = (verified_by, true);
        expect(
            "accepted",
            scene.accept(conflict.clone()).await?,
            Acceptance::Conflict,
        )?;
        sent.push(conflict);
    }
    let event = scene.find_one("t").await?.id;
    let kept = scene.store.conflicts(event).await?;
    let bodies = |conflicts: &[crate::store::ConflictRecord]| {
        let bodies = conflicts.iter().map(|conflict| conflict.raw.clone());
        bodies.collect::<Vec<_>>()
    };
    let expected = sent.iter().map(|sent| Some(sent.raw.clone()));
    expect("bodies", bodies(&kept), expected.collect())?;
    let origins = kept.iter().map(|kept| (kept.received_at, kept.source));
    let expected = [30, 10, 20].map(|seconds| (Some(at(seconds)), Some(Source::Callback)));
    expect("origins", origins.collect::<Vec<_>>(), expected.to_vec())?;
    expect("verified by", kept[0].verified_by, verified_by)?;
    // A conflict that is confirmed becomes the event, whose former body is kept last.
    scene.accept(delivery_of("t", "complete", 10)).await?;
    let kept = scene.store.conflicts(event).await?;
    let expected = vec![
        Some(sent[0].raw.clone()),
        Some(sent[2].raw.clone()),
        Some(delivery_of("t", "complete", 9).raw),
    ];
    expect("bodies after a confirmation", bodies(&kept), expected)
}

async fn an_event_that_does_not_exist_has_no_conflicts(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(delivery("t", "complete")).await?;
    for event in [scene.find_one("t").await?.id, EventId(1_000_000)] {
        expect("conflicts", scene.store.conflicts(event).await?, Vec::new())?;
    }
    Ok(())
}

/// Returns the events of tasks as they are to be adopted.
async fn exported(scene: &Scene<'_>, tasks: &[&str]) -> Result<Vec<AdoptedEvent>, Failed> {
    let mut events = Vec::new();
    for task in tasks {
        for record in scene.find(task).await? {
            let conflicts = scene.store.conflicts(record.id).await?;
            events.push(AdoptedEvent::new(record, conflicts));
        }
    }
    Ok(events)
}

const TASKS: [&str; 5] = ["done", "dead", "waiting", "claimed", "two"];

/// Creates a task in each state. The task `two` has a superseded event and a ready one.
async fn each_state(bench: &dyn Bench) -> Result<Vec<AdoptedEvent>, Failed> {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&TASKS[..4]).await?;
    let claims = scene.claim_exactly::<4>().await?;
    for (claim, settlement) in claims.iter().zip([Settlement::Done, dead(), retry(10)]) {
        scene.settle(claim.ticket, settlement).await?;
    }
    scene.accept_stages("two", &["complete", "first"]).await?;
    scene.accept(delivery_of("done", "complete", 77)).await?;
    exported(&scene, &TASKS).await
}

async fn an_adopted_event_keeps_its_state_and_is_adopted_once(bench: &dyn Bench) -> CaseResult {
    let events = each_state(bench).await?;
    let scene = Scene::fresh(bench).await?;
    let adopted = scene.store.adopt(&events).await?;
    expect("adopted", adopted, vec![Adoption::Adopted; events.len()])?;
    for _ in 0..2 {
        let again = scene.store.adopt(&events).await?;
        expect("adopted again", again, vec![Adoption::Known; events.len()])?;
    }
    let expected = Counts {
        ready: 3,
        done: 1,
        dead: 1,
        superseded: 1,
        ..Counts::default()
    };
    expect("counts", scene.counts().await?, expected)?;
    let found = exported(&scene, &TASKS).await?;
    for (found, was) in found.iter().zip(&events) {
        let (found_record, record) = (&found.record, &was.record);
        let what = record.key.to_string();
        expect(&what, &found_record.key, &record.key)?;
        expect(&what, &found_record.raw, &record.raw)?;
        expect(&what, found_record.received_at, record.received_at)?;
        expect(&what, found_record.results, record.results)?;
        expect(&what, &found.conflicts, &was.conflicts)?;
        if record.state.is_settled() {
            expect(&what, found_record.state, record.state)?;
            expect(&what, found_record.attempts, record.attempts)?;
            expect(&what, &found_record.reason, &record.reason)?;
            expect(&what, found_record.dead_cause, record.dead_cause)?;
        } else {
            expect(&what, StateName::from(found_record.state), StateName::Ready)?;
            expect(&what, found_record.attempts, 0)?;
        }
    }
    let mut claimed = scene.claim_keys(10).await?;
    claimed.sort_unstable();
    let expected = ["claimed/complete", "two/complete", "waiting/complete"];
    expect("claimed", claimed, expected.map(str::to_owned).to_vec())
}

async fn an_adopted_event_is_the_same_to_deliveries(bench: &dyn Bench) -> CaseResult {
    let events = each_state(bench).await?;
    let scene = Scene::fresh(bench).await?;
    scene.store.adopt(&events).await?;
    for (sent, expected) in [
        (delivery("done", "complete"), Acceptance::Duplicate),
        (delivery_of("done", "complete", 77), Acceptance::Duplicate),
        (delivery_of("done", "complete", 78), Acceptance::Conflict),
        (delivery("done", "text"), Acceptance::Late),
        (delivery("new", "text"), Acceptance::New),
    ] {
        expect("accepted", scene.accept(sent).await?, expected)?;
    }
    // An event that the store knows is not changed by an adoption.
    let mut other = events[0].clone();
    other.record.state = crate::store::EventState::Dead;
    let adopted = scene.store.adopt(&[other]).await?;
    expect("adopted", adopted, vec![Adoption::Known])?;
    let found = scene.find_stage("done", "complete").await?;
    expect("state", StateName::from(found.state), StateName::Done)
}

async fn an_adopted_dead_letter_can_be_redriven(bench: &dyn Bench) -> CaseResult {
    let events = each_state(bench).await?;
    let scene = Scene::fresh(bench).await?;
    scene.store.adopt(&events[..2]).await?;
    let dead = scene.find_stage("dead", "complete").await?.id;
    let redriven = scene.redrive(dead, Redrive::Current).await?;
    expect("redriven", redriven, RedriveResult::Ready)?;
    scene.claim_key("dead/complete").await?;
    Ok(())
}

async fn adopted_revisions_keep_their_numbers(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for results in [1, 2, 3] {
        let sent = super::scene::delivery_with("t", "complete", 10, results);
        scene.accept(sent).await?;
        scene.handle(Settlement::Done).await?;
    }
    let events = exported(&scene, &["t"]).await?;
    let [first, second, third] = &events[..] else {
        return wrong("a stage that said more twice does not have three events");
    };
    let scene = Scene::fresh(bench).await?;
    let adopted = scene.store.adopt(&[second.clone(), first.clone()]).await?;
    let expected = vec![Adoption::Adopted, Adoption::Known];
    expect("an earlier revision after a later one", adopted, expected)?;
    let adopted = scene.store.adopt(std::slice::from_ref(third)).await?;
    expect("a later revision", adopted, vec![Adoption::Adopted])?;
    let found = scene.store.find(&task_id("t")?).await?;
    let keys: Vec<_> = found.iter().map(|event| event.key.to_string()).collect();
    expect(
        "keys",
        keys,
        vec!["t/complete/1".to_owned(), "t/complete/2".to_owned()],
    )?;
    let more = super::scene::delivery_with("t", "complete", 10, 4);
    expect("more", scene.accept(more).await?, Acceptance::Revised)?;
    scene.claim_key("t/complete/3").await?;
    Ok(())
}
