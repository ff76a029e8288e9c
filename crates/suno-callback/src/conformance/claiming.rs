//! Claiming: whose turn it is, and that a claim is one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::scene::{LEASE, Scene, at, delivery, expect, key_of, retry_at};
use super::{Bench, Failed, Verdict, cases};
use crate::store::{ClaimRequest, EventState, Held, Settlement};

cases! {
    a_claim_brings_what_was_delivered: "a claim is the right to handle an event",
    a_live_claim_is_never_taken: "a live claim is never taken",
    a_lapsed_claim_can_be_taken_exactly_at_its_end: "from the moment its lease ends it can be",
    each_claim_counts_an_attempt: "each claim counts an attempt, so that an event that ends the process is counted too",
    attempts_and_epochs_survive_the_process: "each claim counts an attempt, so that an event that ends the process is counted too",
    of_racing_claims_one_is_granted: "of any number of concurrent claims of one event, one is granted",
    stages_of_a_task_are_claimed_one_at_a_time_and_in_order: "events of one task are never claimed at the same time, and are claimed in the order of their stages",
    unknown_stages_come_first_in_the_order_of_their_arrival: "stages without a rank in the order of their arrival, before later ranks",
    a_stage_that_waits_does_not_hold_up_a_later_one: "a stage that waits for another attempt does not hold up a later stage of its task: it is superseded when the later one is claimed",
    a_stage_that_is_being_handled_holds_up_a_later_one: "events of one task are never claimed at the same time",
    what_came_first_is_claimed_first: "among tasks, what came first is claimed first",
    no_more_is_claimed_than_was_asked_for: "claims at most events_max events",
    a_lapsed_claim_comes_before_its_siblings: "one whose claim has lapsed comes before its siblings, since its ticket holds until it is claimed again",
    a_clock_that_goes_back_takes_no_live_claim: "a live claim is never taken",
    every_order_of_arrival_ends_the_same: "a task never goes back",
}

async fn a_claim_brings_what_was_delivered(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let sent = delivery("t", "complete")?;
    let (raw, verified_by) = (sent.raw.clone(), sent.verified_by);
    scene.accept(sent).await?;
    let claim = scene.claim_one(5).await?;
    expect("key", key_of(&claim), "t/complete".to_owned())?;
    expect("body", claim.raw, raw)?;
    expect("verified by", claim.verified_by, verified_by)?;
    expect("received at", claim.received_at, at(0))?;
    expect("attempt", claim.attempt, 1)
}

async fn a_live_claim_is_never_taken(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let claim = scene.claim_one(0).await?;
    scene.expect_no_claim(0, "at once").await?;
    scene.expect_no_claim(59, "a second before the end").await?;
    expect(
        "extend",
        scene.extend(claim.ticket, 1_000).await?,
        Held::Held,
    )?;
    scene
        .expect_no_claim(999, "a second before the extended end")
        .await?;
    expect(
        "settle",
        scene.settle(claim.ticket, Settlement::Done).await?,
        Held::Held,
    )
}

async fn a_lapsed_claim_can_be_taken_exactly_at_its_end(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let lapsed = scene.claim_one(0).await?;
    scene.expect_no_claim(59, "a second before the end").await?;
    let taken = scene.claim_one(60).await?;
    expect("the same event", taken.ticket.event, lapsed.ticket.event)?;
    expect(
        "another epoch",
        taken.ticket.epoch > lapsed.ticket.epoch,
        true,
    )
}

async fn each_claim_counts_an_attempt(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    for attempt in 1..=4 {
        let claim = scene.claim_one(i64::from(attempt) * 60).await?;
        expect("attempt", claim.attempt, attempt)?;
    }
    expect("attempts", scene.find_one("t").await?.attempts, 4)
}

async fn attempts_and_epochs_survive_the_process(bench: &dyn Bench) -> Verdict {
    let mut scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let mut epochs = BTreeSet::new();
    for attempt in 1..=3 {
        let claim = scene.claim_one(i64::from(attempt) * 60).await?;
        expect("attempt", claim.attempt, attempt)?;
        expect("a new epoch", epochs.insert(claim.ticket.epoch), true)?;
        scene = scene.reopen(bench).await?;
    }
    Ok(())
}

async fn of_racing_claims_one_is_granted(bench: &dyn Bench) -> Verdict {
    const RACERS: usize = 16;
    let scene = Scene::fresh(bench).await?;
    for round in 0..8 {
        scene
            .accept_stages(&format!("claimed-{round}"), &["complete"])
            .await?;
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..RACERS {
            let store = Arc::clone(&scene.store);
            let request = ClaimRequest::new(at(round), LEASE, 1);
            racers.spawn(async move { store.claim(request).await });
        }
        let mut granted = 0;
        while let Some(claims) = racers.join_next().await {
            let claims = claims.map_err(|err| Failed::Wrong(err.to_string()))??;
            granted += claims.len();
        }
        expect("granted among the racers", granted, 1)?;
    }
    Ok(())
}

async fn stages_of_a_task_are_claimed_one_at_a_time_and_in_order(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene
        .accept_stages("t", &["text", "first", "complete"])
        .await?;
    for word in ["text", "first", "complete"] {
        let claim = scene.claim_one(0).await?;
        expect("turn", key_of(&claim), format!("t/{word}"))?;
        scene
            .expect_no_claim(0, "while a sibling is claimed")
            .await?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    scene.expect_no_claim(0, "after all were handled").await
}

async fn unknown_stages_come_first_in_the_order_of_their_arrival(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene
        .accept_stages("t", &["text", "mixed", "first", "aired"])
        .await?;
    for word in ["mixed", "aired", "text", "first"] {
        let claim = scene.claim_one(0).await?;
        expect("turn", key_of(&claim), format!("t/{word}"))?;
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    Ok(())
}

async fn a_stage_that_waits_does_not_hold_up_a_later_one(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text", "complete"]).await?;
    let text = scene.claim_one(0).await?;
    scene.settle(text.ticket, retry_at(100)).await?;
    let complete = scene.claim_one(1).await?;
    expect("turn", key_of(&complete), "t/complete".to_owned())?;
    scene.settle(complete.ticket, Settlement::Done).await?;
    scene
        .expect_no_claim(1_000, "of what was superseded")
        .await?;
    let states = [
        ("text", EventState::Superseded),
        ("complete", EventState::Done),
    ];
    scene.expect_states("t", &states).await
}

async fn a_stage_that_is_being_handled_holds_up_a_later_one(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["text"]).await?;
    let text = scene.claim_one(0).await?;
    scene.accept_stages("t", &["complete"]).await?;
    scene
        .expect_no_claim(1, "while an earlier stage is handled")
        .await?;
    scene.settle(text.ticket, Settlement::Done).await?;
    let complete = scene.claim_one(2).await?;
    expect("turn", key_of(&complete), "t/complete".to_owned())
}

async fn what_came_first_is_claimed_first(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    let tasks: Vec<String> = (0..20)
        .map(|number| format!("t{}", (number * 7) % 20))
        .collect();
    for task in &tasks {
        scene.accept_stages(task, &["complete"]).await?;
    }
    let mut claimed = Vec::new();
    for _ in 0..4 {
        claimed.extend(scene.claim(0, 5).await?.iter().map(key_of));
    }
    let expected: Vec<_> = tasks
        .iter()
        .map(|task| format!("{task}/complete"))
        .collect();
    expect("claims", claimed, expected)
}

async fn no_more_is_claimed_than_was_asked_for(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for task in ["a", "b", "c"] {
        scene.accept_stages(task, &["complete"]).await?;
    }
    for (events_max, expected) in [(0, 0), (2, 2), (2, 1), (2, 0)] {
        expect("claims", scene.claim(0, events_max).await?.len(), expected)?;
    }
    Ok(())
}

async fn a_lapsed_claim_comes_before_its_siblings(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let lapsed = scene.claim_one(0).await?.ticket;
    scene.accept_stages("t", &["mixed"]).await?;
    let again = scene.claim_one(60).await?;
    expect("turn", key_of(&again), "t/complete".to_owned())?;
    expect(
        "the lapsed ticket",
        scene.extend(lapsed, 500).await?,
        Held::Lost,
    )?;
    scene.settle(again.ticket, Settlement::Done).await?;
    expect(
        "then",
        key_of(&scene.claim_one(61).await?),
        "t/mixed".to_owned(),
    )
}

async fn a_clock_that_goes_back_takes_no_live_claim(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let claim = scene.claim_one(1_000).await?;
    scene
        .expect_no_claim(-1_000, "by a clock that went back")
        .await?;
    expect(
        "settle",
        scene.settle(claim.ticket, Settlement::Done).await?,
        Held::Held,
    )
}

async fn every_order_of_arrival_ends_the_same(bench: &dyn Bench) -> Verdict {
    const WORDS: [&str; 4] = ["text", "first", "complete", "failed"];
    let scene = Scene::fresh(bench).await?;
    for (number, order) in permutations(WORDS).into_iter().enumerate() {
        let task = format!("order-{number}");
        let mut handled = Vec::new();
        for word in order {
            for _ in 0..2 {
                scene.accept(delivery(&task, word)?).await?;
            }
            for claim in scene.claim(0, 10).await? {
                handled.push(claim.key.stage().clone());
                scene.settle(claim.ticket, Settlement::Done).await?;
            }
        }
        let terminal: Vec<_> = handled.iter().filter(|stage| stage.is_terminal()).collect();
        expect(
            &format!("terminal stages handled of {order:?}"),
            terminal.len(),
            1,
        )?;
        let forward = handled
            .windows(2)
            .all(|pair| pair[0].rank() < pair[1].rank());
        expect(&format!("{handled:?} goes forward"), forward, true)?;
        expect("events", scene.find(&task).await?.len(), WORDS.len())?;
    }
    Ok(())
}

/// Every order of four words.
fn permutations(words: [&'static str; 4]) -> Vec<[&'static str; 4]> {
    let mut orders = Vec::new();
    for number in 0..256_usize {
        let places = [
            number & 3,
            number >> 2 & 3,
            number >> 4 & 3,
            number >> 6 & 3,
        ];
        if BTreeSet::from(places).len() == places.len() {
            orders.push(places.map(|place| words[place]));
        }
    }
    orders
}
