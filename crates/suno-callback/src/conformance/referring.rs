//! Cases for what an event and a task keep of the callback URL and of their submit.

use std::time::Duration;

use suno_types::{Product, Route, TaskId, TaskKind};

use super::scene::{
    LEASE, Scene, at, delivery, delivery_with, expect, raw_delivery, task_id, wrong,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::delivery::Delivery;
use crate::key::{Reference, SubmitId};
use crate::store::{
    Acceptance, DueRequest, DueTask, EventFilter, ExpectedTask, Intent, ListRequest, PurgeRequest,
    RecordedSubmit, Settlement,
};
use crate::url_suffix::UrlSuffix;

cases! {
    an_event_keeps_the_url_suffix_of_its_first_delivery: "A15",
    an_event_carries_the_reference_of_its_submit: "A15",
    a_reference_survives_the_process: "A15",
    a_submit_that_is_not_known_has_no_reference: "A15",
    a_submit_of_another_task_has_no_reference: "A15",
    a_confirmation_adds_the_submit: "A15",
    an_entry_of_the_quarantine_keeps_the_address: "A9",
    an_open_intent_says_its_reference_and_kind: "L1",
    a_closed_intent_is_not_withdrawn: "L1",
    purging_forgets_the_reference_of_a_closed_intent: "L7",
    a_due_task_says_its_submit_and_kind: "L8",
    the_submits_of_a_reference_are_found_open_and_closed: "L9",
    racing_submits_of_a_reference_see_each_other: "L9",
}

fn submit(number: u8) -> SubmitId {
    SubmitId::from_bytes([number; 16])
}

fn reference() -> Result<Reference, Failed> {
    Reference::new("order-42 ü").map_err(|err| Failed::Wrong(err.to_string()))
}

fn kind() -> TaskKind {
    TaskKind::new(Route::Jobs, Product::LYRICS)
}

fn suffix(path: &str) -> Result<UrlSuffix, Failed> {
    let suffix = UrlSuffix::new(path, "user=7&note=a%20b");
    suffix.ok_or_else(|| Failed::Wrong("the case is broken".to_owned()))
}

impl Scene<'_> {
    async fn intend_for(&self, number: u8) -> CaseResult {
        let intent = Intent::new(submit(number), at(0), Duration::ZERO)
            .with_reference(Some(reference()?))
            .with_kind(kind());
        Ok(self.store.intend(&intent).await?)
    }

    async fn accept_named(&self, delivery: Delivery, number: u8) -> Result<Acceptance, Failed> {
        self.accept(delivery.with_submit(Some(submit(number))))
            .await
    }

    /// Expects that an event names a submit, and whether that has the reference.
    async fn expect_named(&self, key: &str, number: u8, has_reference: bool) -> CaseResult {
        let task = key.split('/').next().unwrap_or_default();
        let event = self.find_key(task, key).await?;
        expect("submit", event.submit, Some(submit(number)))?;
        let expected = match has_reference {
            true => Some(reference()?),
            false => None,
        };
        expect("reference", event.reference, expected)
    }

    async fn take_due(&self) -> Result<DueTask, Failed> {
        let due = self.store.due(&DueRequest::new(LEASE, 9)).await?.tasks;
        match <[DueTask; 1]>::try_from(due) {
            Ok([due]) => Ok(due),
            Err(due) => wrong(format!("expected one due task, got {due:?}")),
        }
    }
}

async fn an_event_keeps_the_url_suffix_of_its_first_delivery(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for path in ["orders/42", "orders/43"] {
        let delivery = delivery("t", "complete").with_suffix(Some(suffix(path)?));
        scene.accept(delivery).await?;
    }
    scene.accept(delivery("u", "complete")).await?;
    let request = ListRequest::first(9, EventFilter::default());
    let listed = scene.store.list(&request).await?.records;
    let listed: Vec<_> = listed.into_iter().map(|event| event.suffix).collect();
    let expected = vec![Some(suffix("orders/42")?), None];
    expect("suffixes in the list", listed, expected.clone())?;
    let claims = scene.claim(9).await?;
    let claimed: Vec<_> = claims.into_iter().map(|claim| claim.suffix).collect();
    expect("suffixes of the claims", claimed, expected)
}

async fn an_event_carries_the_reference_of_its_submit(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend_for(1).await?;
    // The first closes the intent; the others name a closed one.
    scene.accept_named(delivery("t", "first"), 1).await?;
    scene.accept_named(delivery("t", "complete"), 1).await?;
    let fuller = delivery_with("t", "complete", 10, 2);
    let accepted = scene.accept_named(fuller, 1).await?;
    expect("accepted", accepted, Acceptance::Revised)?;
    for key in ["t/first", "t/complete", "t/complete/1"] {
        scene.expect_named(key, 1, true).await?;
        let [claim] = scene.claim_exactly().await?;
        expect("the claimed event", claim.key.to_string(), key.to_owned())?;
        expect("submit", claim.submit, Some(submit(1)))?;
        expect("reference", claim.reference, Some(reference()?))?;
        expect("kind", claim.kind, Some(kind()))?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    Ok(())
}

async fn a_reference_survives_the_process(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend_for(1).await?;
    let scene = scene.reopen().await?;
    scene.accept_named(delivery("t", "first"), 1).await?;
    let scene = scene.reopen().await?;
    scene.accept_named(delivery("t", "complete"), 1).await?;
    for key in ["t/first", "t/complete"] {
        scene.expect_named(key, 1, true).await?;
    }
    Ok(())
}

async fn a_submit_that_is_not_known_has_no_reference(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend_for(1).await?;
    scene.accept_named(delivery("t", "complete"), 2).await?;
    scene.expect_named("t/complete", 2, false).await?;
    let claim = scene.claim_one().await?;
    expect("kind", claim.kind, None)?;
    expect("submit", claim.submit, Some(submit(2)))
}

async fn a_submit_of_another_task_has_no_reference(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend_for(1).await?;
    scene.intend_for(2).await?;
    scene.accept_named(delivery("t", "complete"), 1).await?;
    let task = ExpectedTask::new(task_id("t")?, Duration::ZERO).with_submit(submit(2));
    scene.store.expect(&task).await?;
    for number in [1, 2] {
        let other = format!("u{number}");
        scene
            .accept_named(delivery(&other, "complete"), number)
            .await?;
        let key = format!("{other}/complete");
        scene.expect_named(&key, number, false).await?;
    }
    Ok(())
}

async fn a_confirmation_adds_the_submit(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend_for(1).await?;
    scene.intend_for(2).await?;
    let first = delivery("t", "complete").with_unconfirmed(true);
    scene.accept(first).await?;
    let accepted = scene.accept_named(delivery("t", "complete"), 1).await?;
    expect("accepted", accepted, Acceptance::Confirmed)?;
    scene.expect_named("t/complete", 1, true).await?;
    let first = delivery("u", "complete").with_unconfirmed(true);
    scene.accept_named(first, 2).await?;
    scene.accept(delivery("u", "complete")).await?;
    scene.expect_named("u/complete", 2, true).await
}

async fn an_entry_of_the_quarantine_keeps_the_address(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let strange = raw_delivery("{", 0).with_suffix(Some(suffix("orders/42")?));
    scene.accept_named(strange, 1).await?;
    let kept = scene.store.quarantine(None, 9).await?.records;
    let [entry] = &kept[..] else {
        return wrong(format!("expected one entry, got {kept:?}"));
    };
    expect("submit", entry.submit, Some(submit(1)))?;
    expect("suffix", entry.suffix.clone(), Some(suffix("orders/42")?))
}

async fn an_open_intent_says_its_reference_and_kind(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend_for(1).await?;
    let plain = Intent::new(submit(2), at(0), Duration::ZERO);
    scene.store.intend(&plain).await?;
    let open = scene.store.open_intents(Duration::ZERO, None, 9).await?;
    let open: Vec<_> = open
        .into_iter()
        .map(|open| (open.reference, open.kind))
        .collect();
    let expected = vec![(Some(reference()?), kind()), (None, TaskKind::default())];
    expect("open intents", open, expected)
}

async fn a_closed_intent_is_not_withdrawn(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend_for(1).await?;
    scene.accept_named(delivery("t", "first"), 1).await?;
    scene.store.withdraw(submit(1)).await?;
    scene.accept_named(delivery("t", "complete"), 1).await?;
    scene.expect_named("t/complete", 1, true).await
}

async fn purging_forgets_the_reference_of_a_closed_intent(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in [1, 2] {
        scene.intend_for(number).await?;
        let task = format!("t{number}");
        scene.accept_named(delivery(&task, "first"), number).await?;
        scene.pass(100).await;
    }
    let request = PurgeRequest {
        keys_after: Duration::from_secs(200),
        ..PurgeRequest::default()
    };
    scene.store.purge(&request).await?;
    for (number, has_reference) in [(1, false), (2, true)] {
        let task = format!("t{number}");
        scene
            .accept_named(delivery(&task, "complete"), number)
            .await?;
        let key = format!("{task}/complete");
        scene.expect_named(&key, number, has_reference).await?;
    }
    Ok(())
}

async fn a_due_task_says_its_submit_and_kind(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let task = ExpectedTask::new(task_id("t")?, Duration::ZERO);
    scene.store.expect(&task).await?;
    let due = scene.take_due().await?;
    let found = (due.submit, due.kind);
    expect("without a submit", found, (None, TaskKind::default()))?;
    let task = ExpectedTask::new(task_id("u")?, Duration::ZERO)
        .with_submit(submit(1))
        .with_kind(kind());
    scene.store.expect(&task).await?;
    let due = scene.take_due().await?;
    let found = (due.submit, due.kind);
    expect("expected", found, (Some(submit(1)), kind()))?;
    scene.intend_for(2).await?;
    scene.accept_named(delivery("v", "first"), 2).await?;
    let due = scene.take_due().await?;
    let found = (due.submit, due.kind);
    expect("made known by a callback", found, (Some(submit(2)), kind()))
}

impl Scene<'_> {
    /// The numbers of the submits of the reference, and whether their tasks are known.
    async fn submits(&self) -> Result<Vec<(SubmitId, Option<TaskId>)>, Failed> {
        let found = self.store.submits(&reference()?, 99).await?;
        let is_right = |one: &RecordedSubmit| one.kind == kind() && one.intended_at == at(0);
        expect(
            "kind and time of each submit",
            found.iter().all(is_right),
            true,
        )?;
        Ok(found
            .into_iter()
            .map(|one| (one.submit, one.task_id))
            .collect())
    }
}

async fn the_submits_of_a_reference_are_found_open_and_closed(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    expect("before any submit", scene.submits().await?, vec![])?;
    for number in 1..=4 {
        scene.intend_for(number).await?;
    }
    let other = Intent::new(submit(5), at(0), Duration::ZERO);
    scene.store.intend(&other).await?;
    scene.accept_named(delivery("one", "first"), 1).await?;
    let expected = ExpectedTask::new(task_id("two")?, Duration::ZERO).with_submit(submit(2));
    scene.store.expect(&expected).await?;
    scene.store.withdraw(submit(4)).await?;
    let all = vec![
        (submit(1), Some(task_id("one")?)),
        (submit(2), Some(task_id("two")?)),
        (submit(3), None),
    ];
    expect("open and closed ones", scene.submits().await?, all)?;
    let first = scene.store.submits(&reference()?, 1).await?;
    expect("at most one", first.len(), 1)
}

async fn racing_submits_of_a_reference_see_each_other(bench: &dyn Bench) -> CaseResult {
    for _ in 0..8 {
        let scene = Scene::fresh(bench).await?;
        let one = async |number| {
            scene.intend_for(number).await?;
            Ok::<_, Failed>(scene.submits().await?.len())
        };
        let (one, other) = tokio::join!(one(1), one(2));
        expect("what one of two sees", one?.max(other?), 2)?;
    }
    Ok(())
}
