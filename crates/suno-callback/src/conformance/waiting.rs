//! Cases for waiting until there is something to claim.
//!
//! No case depends on the speed of a store: each wait has a much longer limit than it needs, and a
//! store that returns for the right reason returns long before.

use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::scene::{Scene, complete, dead, delivery, expect, raw_delivery, retry, wrong};
use super::{Bench, CaseResult, cases};
use crate::store::{ClaimRequest, Redrive, Settlement, WorkerId};

cases! {
    a_wait_ends_at_once_if_an_event_is_ready: "C12",
    a_wait_ends_no_later_than_it_was_told: "C12",
    a_delivery_ends_a_wait: "C12",
    a_delivery_in_another_process_ends_a_wait: "C12",
    a_wait_ends_when_a_retry_is_due: "C12",
    a_wait_ends_when_a_lease_ends: "C12",
    a_settlement_that_lets_another_stage_go_on_ends_a_wait: "C12",
    what_people_make_ready_ends_a_wait: "C12",
}

/// The time limit of the waits.
const LONG: Duration = Duration::from_secs(600);
/// The time after which a wait that should have ended counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);
/// The steps in which time passes during a wait.
const STEP: Duration = Duration::from_millis(20);

/// Expects that a wait ends because of what happens during it.
async fn expect_woken(scene: &Scene<'_>, by: impl Future<Output = CaseResult>) -> CaseResult {
    let wait = async { timeout(PATIENCE, scene.store.wait(LONG)).await };
    let (waited, happened) = tokio::join!(wait, by);
    happened?;
    match waited {
        Ok(waited) => Ok(waited?),
        Err(_) => wrong("the wait did not end although an event became ready"),
    }
}

/// Lets time pass until a wait ends, which may return early, and then until an event is ready.
async fn expect_woken_by_time(scene: &Scene<'_>, key: &str) -> CaseResult {
    let ready = async {
        loop {
            scene.store.wait(LONG).await?;
            let claims = scene.claim_keys(9).await?;
            if !claims.is_empty() {
                return expect("claims", claims, vec![key.to_owned()]);
            }
            // A store may return early, but it need not return at once.
            tokio::task::yield_now().await;
        }
    };
    let clock = async {
        loop {
            scene.bench.pass(STEP).await;
            sleep(STEP).await;
        }
    };
    tokio::select! {
        biased;
        ready = ready => ready,
        () = clock => Ok(()),
        () = sleep(PATIENCE) => wrong("the wait did not end although an event became ready"),
    }
}

async fn a_wait_ends_at_once_if_an_event_is_ready(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    expect_woken(&scene, async { Ok(()) }).await
}

async fn a_wait_ends_no_later_than_it_was_told(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["done", "waits"]).await?;
    let [done, waits] = scene.claim_exactly().await?;
    scene.settle(done.ticket, Settlement::Done).await?;
    scene.settle(waits.ticket, retry(80_000)).await?;
    for at_most in [Duration::ZERO, STEP] {
        match timeout(PATIENCE, scene.store.wait(at_most)).await {
            Ok(waited) => waited?,
            Err(_) => return wrong(format!("a wait of {at_most:?} did not end")),
        }
    }
    Ok(())
}

async fn a_delivery_ends_a_wait(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    expect_woken(&scene, scene.accept_tasks(&["t"])).await
}

async fn a_delivery_in_another_process_ends_a_wait(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let another = scene.another().await?;
    let deliver = async {
        another.accept(&[delivery("t", "complete")]).await?;
        Ok(())
    };
    expect_woken(&scene, deliver).await?;
    expect("claims", scene.claim_keys(9).await?, complete(&["t"]))
}

async fn a_wait_ends_when_a_retry_is_due(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let soon = Settlement::Retry {
        after: 5 * STEP,
        reason: String::new(),
    };
    scene.handle(soon).await?;
    expect_woken_by_time(&scene, "t/complete").await
}

async fn a_wait_ends_when_a_lease_ends(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_tasks(&["t"]).await?;
    let short = ClaimRequest::new(WorkerId(9), 1, 5 * STEP, 1);
    expect("claims", scene.ask(&short).await?.claims.len(), 1)?;
    expect_woken_by_time(&scene, "t/complete").await
}

async fn a_settlement_that_lets_another_stage_go_on_ends_a_wait(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text", "complete"]).await?;
    let text = scene.claim_one().await?;
    scene.expect_no_claim("while a stage is claimed").await?;
    let settle = async {
        scene.settle(text.ticket, Settlement::Done).await?;
        Ok(())
    };
    expect_woken(&scene, settle).await?;
    scene.claim_key("t/complete").await?;
    Ok(())
}

async fn what_people_make_ready_ends_a_wait(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete", "failed"]).await?;
    let event = scene.handle(dead()).await?.event;
    let redrive = async {
        scene.redrive(event, Redrive::Current).await?;
        Ok(())
    };
    expect_woken(&scene, redrive).await?;
    scene.handle(Settlement::Done).await?;
    let decide = async {
        let failed = suno_types::Stage::Failed;
        scene
            .store
            .decide(&super::scene::task_id("t")?, &failed)
            .await?;
        Ok(())
    };
    expect_woken(&scene, decide).await?;
    scene.handle(Settlement::Done).await?;
    scene.accept(raw_delivery("{", 0)).await?;
    let entry = scene.store.quarantine(None, 1).await?.records[0].id;
    let requeue = async {
        scene
            .store
            .requeue(entry, &delivery("u", "complete"))
            .await?;
        Ok(())
    };
    expect_woken(&scene, requeue).await
}
