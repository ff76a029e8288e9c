//! Accepting: one key is one event.

use std::sync::Arc;

use super::scene::{Scene, delivery, delivery_of, expect, key_of, raw_delivery};
use super::{Bench, Verdict, cases};
use crate::store::{Accepted, EventState, Page, Settlement};

cases! {
    a_new_event_is_stored: "One key is one event",
    the_same_delivery_again_is_a_duplicate: "a delivery with the key of a known event is a duplicate if its strict or its semantic fingerprint is one that the event has",
    the_same_said_in_other_bytes_is_a_duplicate: "a delivery with the key of a known event is a duplicate if its strict or its semantic fingerprint is one that the event has",
    another_thing_said_is_a_conflict_and_kept_once: "otherwise conflict: it is kept beside the event, which does not change",
    deliveries_of_one_slice_come_one_after_the_other: "deliveries of one slice count as having come one after the other",
    racing_deliveries_are_one_event: "one key is one event, however many deliveries, threads or processes bring it",
    a_stage_after_a_later_one_is_late: "an event whose task has an event of a later stage is late: stored, never claimed",
    the_second_of_complete_and_failed_is_late: "complete and failed are both the last stage: whichever comes second is late",
    an_unknown_stage_is_never_late: "an event whose task has an event of a later stage is late",
    what_was_not_understood_is_kept_once: "a quarantined delivery is kept once for each strict fingerprint",
    tasks_with_strange_names_are_kept_apart: "one key is one event",
    a_body_of_a_megabyte_comes_back_whole: "accept stores deliveries durably",
    what_was_accepted_survives_the_process: "accept returns only after what it accepted would survive a power cut",
    a_settled_event_stays_known_after_the_process: "accept returns only after what it accepted would survive a power cut",
}

async fn a_new_event_is_stored(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let accepted = scene.accept(delivery("t", "text")?).await?;
    expect("accepted", accepted, Accepted::New)?;
    scene
        .expect_states("t", &[("text", EventState::Ready)])
        .await
}

async fn the_same_delivery_again_is_a_duplicate(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for (turn, expected) in [Accepted::New, Accepted::Duplicate, Accepted::Duplicate]
        .into_iter()
        .enumerate()
    {
        let accepted = scene.accept(delivery("t", "complete")?).await?;
        expect(&format!("delivery {}", turn + 1), accepted, expected)?;
    }
    let claim = scene.claim_one(0).await?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    let accepted = scene.accept(delivery("t", "complete")?).await?;
    expect("after it was handled", accepted, Accepted::Duplicate)?;
    scene
        .expect_no_claim(1_000_000, "after it was handled")
        .await
}

async fn the_same_said_in_other_bytes_is_a_duplicate(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let first = delivery("t", "complete")?;
    let other = String::from_utf8_lossy(&first.raw).replace("/t\"", "/t?expires=1\"");
    scene.accept(first).await?;
    let accepted = scene.accept(raw_delivery(other, 0)?).await?;
    expect("another URL", accepted, Accepted::Duplicate)?;
    expect("conflicts", scene.find_one("t").await?.conflicts, 0)
}

async fn another_thing_said_is_a_conflict_and_kept_once(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let first = delivery_of("t", "complete", 10)?;
    let raw = first.raw.clone();
    scene.accept(first).await?;
    for expected in [Accepted::Conflict, Accepted::Duplicate] {
        let accepted = scene.accept(delivery_of("t", "complete", 11)?).await?;
        expect("another duration", accepted, expected)?;
    }
    expect("events", scene.find("t").await?.len(), 1)?;
    let found = scene.find_one("t").await?;
    expect("conflicts", found.conflicts, 1)?;
    expect("the body of the event", found.raw, Some(raw))
}

async fn deliveries_of_one_slice_come_one_after_the_other(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let slice = [
        delivery("t", "complete")?,
        delivery("t", "complete")?,
        delivery_of("t", "complete", 11)?,
        delivery("t", "first")?,
        delivery("u", "first")?,
    ];
    let accepted = scene.store.accept(&slice).await?;
    let expected = vec![
        Accepted::New,
        Accepted::Duplicate,
        Accepted::Conflict,
        Accepted::Late,
        Accepted::New,
    ];
    expect("accepted", accepted, expected)?;
    expect("an empty slice", scene.store.accept(&[]).await?, Vec::new())
}

async fn racing_deliveries_are_one_event(bench: &dyn Bench) -> Verdict {
    const RACERS: usize = 16;
    let scene = Scene::fresh(bench).await?;
    for round in 0..8 {
        let task = format!("race-{round}");
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..RACERS {
            let (store, delivery) = (Arc::clone(&scene.store), delivery(&task, "complete")?);
            racers.spawn(async move { store.accept(&[delivery]).await });
        }
        let mut new = 0;
        while let Some(accepted) = racers.join_next().await {
            let accepted = accepted.map_err(|err| super::Failed::Wrong(err.to_string()))??;
            new += usize::from(accepted[..] == [Accepted::New]);
        }
        expect("new among the racers", new, 1)?;
        expect("events", scene.find(&task).await?.len(), 1)?;
    }
    Ok(())
}

async fn a_stage_after_a_later_one_is_late(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["first"]).await?;
    let accepted = scene.accept(delivery("t", "text")?).await?;
    expect("text after first", accepted, Accepted::Late)?;
    scene.accept_stages("u", &["complete"]).await?;
    for word in ["text", "first"] {
        let accepted = scene.accept(delivery("u", word)?).await?;
        expect(&format!("{word} after complete"), accepted, Accepted::Late)?;
        let again = scene.accept(delivery("u", word)?).await?;
        expect(&format!("{word} again"), again, Accepted::Duplicate)?;
    }
    let mut claimed: Vec<_> = scene.claim(0, 10).await?.iter().map(key_of).collect();
    claimed.sort();
    expect(
        "claims",
        claimed,
        vec!["t/first".to_owned(), "u/complete".to_owned()],
    )?;
    let superseded = EventState::Superseded;
    let states = scene.find("u").await?;
    let late: Vec<_> = states.iter().skip(1).map(|record| record.state).collect();
    expect("late stages", late, vec![superseded, superseded])
}

async fn the_second_of_complete_and_failed_is_late(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for (task, first, second) in [("t", "complete", "failed"), ("u", "failed", "complete")] {
        scene.accept_stages(task, &[first]).await?;
        let accepted = scene.accept(delivery(task, second)?).await?;
        expect(&format!("{second} after {first}"), accepted, Accepted::Late)?;
    }
    Ok(())
}

async fn an_unknown_stage_is_never_late(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let accepted = scene.accept(delivery("t", "mastered")?).await?;
    expect("an unknown stage", accepted, Accepted::New)
}

async fn what_was_not_understood_is_kept_once(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for body in ["{", "{", "[", "\u{0}"] {
        let accepted = scene.accept(raw_delivery(body, 0)?).await?;
        expect("accepted", accepted, Accepted::Quarantined)?;
    }
    let kept = scene.store.quarantine(Page::first(10)).await?;
    let bodies: Vec<_> = kept.iter().map(|kept| kept.raw.to_vec()).collect();
    let expected = vec![b"{".to_vec(), b"[".to_vec(), b"\0".to_vec()];
    expect("in quarantine", bodies, expected)?;
    scene.expect_no_claim(0, "of what was not understood").await
}

async fn tasks_with_strange_names_are_kept_apart(bench: &dyn Bench) -> Verdict {
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
        let accepted = scene.accept(delivery(name, "text")?).await?;
        expect(name, accepted, Accepted::New)?;
    }
    for name in names {
        expect(name, scene.find(name).await?.len(), 1)?;
    }
    Ok(())
}

async fn a_body_of_a_megabyte_comes_back_whole(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let prompt = "ü\u{1F3B5}\\u0000 ".repeat(80_000);
    let body = format!(
        r#"{{"code":200,"data":{{"callbackType":"text","task_id":"t","data":[{{"prompt":"{prompt}"}}]}}}}"#
    );
    scene.accept(raw_delivery(body.clone(), 0)?).await?;
    let claim = scene.claim_one(0).await?;
    expect("the body is the same", claim.raw == body.as_bytes(), true)
}

async fn what_was_accepted_survives_the_process(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let slice = [
        delivery("t", "text")?,
        delivery_of("t", "text", 11)?,
        raw_delivery("{", 0)?,
    ];
    scene.store.accept(&slice).await?;
    let scene = scene.reopen(bench).await?;
    expect("events", scene.find("t").await?.len(), 1)?;
    expect("conflicts", scene.find_one("t").await?.conflicts, 1)?;
    let counts = scene.store.counts().await?;
    expect(
        "ready and quarantined",
        (counts.ready, counts.quarantined),
        (1, 1),
    )?;
    let claim = scene.claim_one(0).await?;
    expect("the body", claim.raw, slice[0].raw.clone())
}

async fn a_settled_event_stays_known_after_the_process(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let claim = scene.claim_one(0).await?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    let scene = scene.reopen(bench).await?;
    let accepted = scene.accept(delivery("t", "complete")?).await?;
    expect("after the process", accepted, Accepted::Duplicate)?;
    scene.expect_no_claim(1_000_000, "after the process").await
}
