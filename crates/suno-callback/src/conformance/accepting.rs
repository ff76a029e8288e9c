//! Accepting: one key is one event.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::scene::{
    Scene, complete, delivery, delivery_at, delivery_of, expect, raw_delivery, wrong,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::content::{Content, Fingerprint};
use crate::store::{Acceptance, IdempotencyStore, Settlement, StateName};

cases! {
    a_slice_is_accepted_and_answered_in_its_order: "A1",
    a_new_event_is_stored: "A2",
    racing_deliveries_are_one_event: "A2",
    racing_deliveries_in_two_processes_are_one_event: "A2",
    tasks_with_strange_names_are_kept_apart: "A2",
    the_same_delivery_again_is_a_duplicate: "A3",
    the_same_said_in_other_bytes_is_a_duplicate: "A3",
    the_same_bytes_are_a_duplicate_however_they_were_understood: "A3",
    another_thing_said_is_a_conflict_and_kept_once: "A4",
    conflicts_are_counted_for_each_event: "A4",
    a_stage_after_a_later_one_is_late: "A5",
    the_second_of_complete_and_failed_is_late: "A5",
    an_unknown_stage_is_never_late: "A5",
    every_order_of_arrival_ends_the_same: "A5",
    what_was_not_understood_is_kept_once: "A9",
    an_entry_of_the_quarantine_says_what_was_delivered: "A9",
}

async fn a_slice_is_accepted_and_answered_in_its_order(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let slice = [
        delivery("t", "complete"),
        delivery("t", "complete"),
        delivery_of("t", "complete", 11),
        delivery("t", "first"),
        delivery("u", "first"),
    ];
    let accepted = scene.store.accept(&slice).await?;
    let expected = vec![
        Acceptance::New,
        Acceptance::Duplicate,
        Acceptance::Conflict,
        Acceptance::Late,
        Acceptance::New,
    ];
    expect("accepted", accepted, expected)?;
    expect("an empty slice", scene.store.accept(&[]).await?, Vec::new())
}

async fn a_new_event_is_stored(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let accepted = scene.accept(delivery("t", "text")).await?;
    expect("accepted", accepted, Acceptance::New)?;
    scene
        .expect_states("t", &[("text", StateName::Ready)])
        .await
}

/// Sends one delivery many times concurrently, and counts how often it was new.
async fn race(task: &str, stores: &[Arc<dyn IdempotencyStore>]) -> Result<usize, Failed> {
    const RACERS: usize = 16;
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..RACERS {
        let store = Arc::clone(&stores[number % stores.len()]);
        let delivery = delivery(task, "complete");
        racers.spawn(async move { store.accept(&[delivery]).await });
    }
    let mut new = 0;
    while let Some(accepted) = racers.join_next().await {
        let accepted = accepted.map_err(|err| Failed::Wrong(err.to_string()))??;
        new += usize::from(accepted[..] == [Acceptance::New]);
    }
    Ok(new)
}

async fn racing_deliveries_are_one_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for round in 0..8 {
        let task = format!("race-{round}");
        let new = race(&task, &[Arc::clone(&scene.store)]).await?;
        expect("new among the racers", new, 1)?;
        expect("events", scene.find(&task).await?.len(), 1)?;
    }
    Ok(())
}

async fn racing_deliveries_in_two_processes_are_one_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let stores = [Arc::clone(&scene.store), scene.another().await?];
    for round in 0..8 {
        let task = format!("race-{round}");
        expect("new among the racers", race(&task, &stores).await?, 1)?;
        expect("events", scene.find(&task).await?.len(), 1)?;
    }
    Ok(())
}

async fn tasks_with_strange_names_are_kept_apart(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let long = "x".repeat(128);
    let names = [
        "t",
        "T",
        "t/text",
        "');DROP/**/TABLE/**/events;--",
        "%",
        &long,
    ];
    for name in names {
        let accepted = scene.accept(delivery(name, "text")).await?;
        expect(name, accepted, Acceptance::New)?;
    }
    for name in names {
        expect(name, scene.find(name).await?.len(), 1)?;
    }
    Ok(())
}

async fn the_same_delivery_again_is_a_duplicate(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for expected in [
        Acceptance::New,
        Acceptance::Duplicate,
        Acceptance::Duplicate,
    ] {
        let accepted = scene.accept(delivery("t", "complete")).await?;
        expect("accepted", accepted, expected)?;
    }
    scene.handle(Settlement::Done).await?;
    let accepted = scene.accept(delivery("t", "complete")).await?;
    expect("after it was handled", accepted, Acceptance::Duplicate)?;
    scene.expect_no_claim("after it was handled").await
}

async fn the_same_said_in_other_bytes_is_a_duplicate(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let first = delivery("t", "complete");
    let other = String::from_utf8_lossy(&first.raw).replace("/t\"", "/t?expires=1\"");
    scene.accept(first).await?;
    let accepted = scene.accept(raw_delivery(other, 0)).await?;
    expect("another URL", accepted, Acceptance::Duplicate)?;
    expect("conflicts", scene.find_one("t").await?.conflicts, 0)
}

/// A later version may decode other words from the same bytes.
async fn the_same_bytes_are_a_duplicate_however_they_were_understood(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept(delivery("t", "complete")).await?;
    let mut again = delivery("t", "complete");
    if let Content::Event { semantic, .. } = &mut again.content {
        *semantic = Fingerprint([7; 16]);
    }
    let accepted = scene.accept(again).await?;
    expect("accepted", accepted, Acceptance::Duplicate)
}

async fn another_thing_said_is_a_conflict_and_kept_once(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let first = delivery("t", "complete");
    let raw = first.raw.clone();
    scene.accept(first).await?;
    for expected in [Acceptance::Conflict, Acceptance::Duplicate] {
        let other = delivery_at("t", "complete", 11, 500);
        expect("another duration", scene.accept(other).await?, expected)?;
    }
    let [found] = <[_; 1]>::try_from(scene.find("t").await?)
        .map_err(|found| Failed::Wrong(format!("expected one event, got {found:?}")))?;
    expect("conflicts", found.conflicts, 1)?;
    expect(
        "the time of receipt",
        found.received_at,
        super::scene::at(0),
    )?;
    expect("the body of the event", found.raw, Some(raw))
}

async fn conflicts_are_counted_for_each_event(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["a", "b", "c"]).await?;
    for (task, duration) in [("b", 11), ("b", 12), ("c", 13)] {
        let accepted = scene
            .accept(delivery_of(task, "complete", duration))
            .await?;
        expect(task, accepted, Acceptance::Conflict)?;
    }
    let request = crate::ListRequest::first(9, crate::EventFilter::default());
    let listed = scene.store.list(&request).await?.records;
    let listed: Vec<_> = listed.iter().map(|event| event.conflicts).collect();
    expect("conflicts in the list", listed, vec![0, 2, 1])?;
    for (task, conflicts) in [("a", 0), ("b", 2), ("c", 1)] {
        expect(task, scene.find_one(task).await?.conflicts, conflicts)?;
    }
    Ok(())
}

async fn a_stage_after_a_later_one_is_late(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["first"]).await?;
    let accepted = scene.accept(delivery("t", "text")).await?;
    expect("text after first", accepted, Acceptance::Late)?;
    scene.accept_stages("u", &["complete"]).await?;
    for word in ["text", "first"] {
        let accepted = scene.accept(delivery("u", word)).await?;
        expect(
            &format!("{word} after complete"),
            accepted,
            Acceptance::Late,
        )?;
        let again = scene.accept(delivery("u", word)).await?;
        expect(&format!("{word} again"), again, Acceptance::Duplicate)?;
    }
    let claims = scene.claim_keys(9).await?;
    let expected = vec!["t/first".to_owned(), "u/complete".to_owned()];
    expect("claims", claims, expected)
}

async fn the_second_of_complete_and_failed_is_late(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, first, second) in [("t", "complete", "failed"), ("u", "failed", "complete")] {
        scene.accept_stages(task, &[first]).await?;
        let accepted = scene.accept(delivery(task, second)).await?;
        expect(
            &format!("{second} after {first}"),
            accepted,
            Acceptance::Late,
        )?;
        let states = [(first, StateName::Ready), (second, StateName::Superseded)];
        scene.expect_states(task, &states).await?;
    }
    Ok(())
}

async fn an_unknown_stage_is_never_late(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let accepted = scene.accept(delivery("t", "mastered")).await?;
    expect("an unknown stage", accepted, Acceptance::New)?;
    scene.accept_stages("u", &["mastered"]).await?;
    let accepted = scene.accept(delivery("u", "text")).await?;
    expect("text after an unknown stage", accepted, Acceptance::New)
}

async fn every_order_of_arrival_ends_the_same(bench: &dyn Bench) -> CaseResult {
    const WORDS: [&str; 4] = ["text", "first", "complete", "failed"];
    let scene = Scene::fresh(bench).await?;
    for (number, order) in permutations(WORDS).into_iter().enumerate() {
        let task = format!("order-{number}");
        let mut handled = Vec::new();
        for word in order {
            for _ in 0..2 {
                scene.accept(delivery(&task, word)).await?;
            }
            for claim in scene.claim(10).await? {
                handled.push(claim.key.stage().clone());
                scene.settle(claim.ticket, Settlement::Done).await?;
            }
        }
        let last = handled.iter().filter(|stage| stage.is_terminal()).count();
        expect(&format!("last stages handled of {order:?}"), last, 1)?;
        let is_forward = handled
            .windows(2)
            .all(|pair| pair[0].rank() < pair[1].rank());
        expect(&format!("{handled:?} goes forward"), is_forward, true)?;
        expect("events", scene.find(&task).await?.len(), WORDS.len())?;
    }
    Ok(())
}

/// Returns every order of four words.
fn permutations(words: [&'static str; 4]) -> Vec<[&'static str; 4]> {
    let places = (0..256_usize).map(|number| [0, 2, 4, 6].map(|shift| number >> shift & 3));
    places
        .filter(|places| BTreeSet::from(*places).len() == places.len())
        .map(|places| places.map(|place| words[place]))
        .collect()
}

async fn what_was_not_understood_is_kept_once(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for body in ["{", "{", "[", "\u{0}"] {
        let accepted = scene.accept(raw_delivery(body, 0)).await?;
        expect("accepted", accepted, Acceptance::Quarantined)?;
    }
    let kept = scene.store.quarantine(None, 10).await?.records;
    let bodies: Vec<_> = kept.iter().map(|kept| kept.raw.to_vec()).collect();
    let expected = vec![b"{".to_vec(), b"[".to_vec(), b"\0".to_vec()];
    expect("in quarantine", bodies, expected)?;
    scene.accept_tasks(&["t"]).await?;
    let claims = scene.claim_keys(9).await?;
    expect("claims", claims, complete(&["t"]))
}

async fn an_entry_of_the_quarantine_says_what_was_delivered(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let strange = raw_delivery(r#"{"code":{},"data":{"task_id":"u"}}"#, 77);
    scene.accept(strange.clone()).await?;
    let kept = scene.store.quarantine(None, 10).await?.records;
    let [entry] = &kept[..] else {
        return wrong(format!("expected one entry, got {kept:?}"));
    };
    let task = entry.task_id.as_ref().map(|task_id| task_id.as_str());
    expect("task", task, Some("u"))?;
    expect("received", entry.received_at, strange.received_at)?;
    expect("source", entry.source, strange.source)?;
    expect("verified by", entry.verified_by, strange.verified_by)?;
    expect("a reason", entry.reason.is_empty(), false)
}
