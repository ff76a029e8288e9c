//! Cases for inspecting a store: pages, filters and counts.

use super::scene::{Scene, at, dead, delivery, delivery_at, expect, raw_delivery, retry, wrong};
use super::{Bench, CaseResult, Failed, cases};
use crate::key::EventId;
use crate::store::{Counts, EventFilter, EventRecord, ListRequest, Settlement, StateName};

cases! {
    pages_neither_repeat_nor_skip: "I1",
    pages_of_the_quarantine_neither_repeat_nor_skip: "I1",
    a_list_contains_the_events_of_a_state: "I2",
    a_list_contains_the_events_of_a_stage: "I2",
    a_list_contains_the_events_of_a_time: "I2",
    conditions_of_a_filter_hold_together: "I2",
    counts_add_up: "I9",
    the_events_of_a_task_are_found_in_the_order_of_arrival: "I2",
}

/// More pages than any case needs.
const PAGES_MAX: usize = 100;

/// Returns every event that matches a filter, in pages of `events_max`.
async fn listed(
    scene: &Scene<'_>,
    events_max: u32,
    filter: &EventFilter,
) -> Result<Vec<EventRecord>, Failed> {
    let (mut events, mut after) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let mut request = ListRequest::first(events_max, filter.clone());
        request.after = after;
        let page = scene.store.list(&request).await?;
        let is_bounded = page.records.len() <= events_max as usize;
        expect("no more records than asked for", is_bounded, true)?;
        events.extend(page.records);
        after = page.next;
        if after.is_none() {
            return Ok(events);
        }
    }
    wrong("the list has no end")
}

/// Returns the tasks of the events that match a filter.
async fn tasks(scene: &Scene<'_>, filter: EventFilter) -> Result<Vec<String>, Failed> {
    let events = listed(scene, 2, &filter).await?;
    Ok(events
        .iter()
        .map(|event| event.key.task_id().to_string())
        .collect())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn pages_neither_repeat_nor_skip(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let mut expected: Vec<_> = (0..10).map(|number| format!("t{number}")).collect();
    for task in &expected {
        scene.accept_stages(task, &["complete"]).await?;
    }
    let (mut tasks, mut last) = (Vec::new(), EventId(i64::MIN));
    let mut request = ListRequest::first(3, EventFilter::default());
    for _ in 0..PAGES_MAX {
        let page = scene.store.list(&request).await?;
        for event in page.records {
            expect("numbers grow", event.id > last, true)?;
            last = event.id;
            tasks.push(event.key.task_id().to_string());
        }
        let Some(next) = page.next else { break };
        request = request.with_after(next);
        // Changes and arrivals in the meantime must not move any record.
        scene.accept(delivery("t3", "first")).await?;
        for claim in scene.claim(1).await? {
            scene.settle(claim.ticket, Settlement::Done).await?;
        }
    }
    expected.push("t3".to_owned());
    expect("tasks", tasks, expected)
}

async fn pages_of_the_quarantine_neither_repeat_nor_skip(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 0..7 {
        scene.accept(raw_delivery(format!("{{{number}"), 0)).await?;
    }
    let (mut bodies, mut after) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        let page = scene.store.quarantine(after, 3).await?;
        expect("entries of a page", page.records.len() <= 3, true)?;
        bodies.extend(page.records.iter().map(|entry| entry.raw.to_vec()));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = (0..7)
        .map(|number| format!("{{{number}").into_bytes())
        .collect();
    expect("bodies", bodies, expected)
}

/// Creates a task in each state, named after the state. The event of `superseded` has the stage
/// `first`.
async fn one_of_each_state(scene: &Scene<'_>) -> CaseResult {
    scene
        .accept_tasks(&["done", "dead", "waiting", "claimed"])
        .await?;
    let claims = scene.claim_exactly::<4>().await?;
    let settlements = [Settlement::Done, dead(), retry(10)];
    for (claim, settlement) in claims.iter().zip(settlements) {
        scene.settle(claim.ticket, settlement).await?;
    }
    scene.accept_tasks(&["ready"]).await?;
    scene
        .accept_stages("superseded", &["complete", "first"])
        .await?;
    scene.pass(1).await;
    Ok(())
}

async fn a_list_contains_the_events_of_a_state(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    one_of_each_state(&scene).await?;
    for state in StateName::ALL {
        let expected = match state {
            StateName::Ready => names(&["ready", "superseded"]),
            state => names(&[state.as_str()]),
        };
        let found = tasks(&scene, EventFilter::in_state(state)).await?;
        expect(state.as_str(), found, expected)?;
    }
    let all = tasks(&scene, EventFilter::default()).await?;
    expect("without a condition", all.len(), 7)?;
    // A claim whose lease has ended still counts as claimed until it is taken, and a retry that
    // is due still counts as waiting.
    scene.pass(100).await;
    for state in [StateName::Claimed, StateName::Waiting] {
        let found = tasks(&scene, EventFilter::in_state(state)).await?;
        expect(
            &format!("{state} after a while"),
            found,
            names(&[state.as_str()]),
        )?;
    }
    Ok(())
}

async fn a_list_contains_the_events_of_a_stage(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, word) in [
        ("a", "text"),
        ("b", "mixed"),
        ("c", "text"),
        ("d", "failed"),
    ] {
        scene.accept_stages(task, &[word]).await?;
    }
    for (word, expected) in [("text", &["a", "c"][..]), ("mixed", &["b"]), ("first", &[])] {
        let filter = EventFilter::default().with_stage(word.into());
        expect(word, tasks(&scene, filter).await?, names(expected))?;
    }
    Ok(())
}

async fn a_list_contains_the_events_of_a_time(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, seconds) in [("a", 10), ("b", -5), ("c", 20), ("d", 19)] {
        scene
            .accept(delivery_at(task, "complete", 10, seconds))
            .await?;
    }
    for (from, before, expected) in [
        (None, None, &["a", "b", "c", "d"][..]),
        (Some(10), None, &["a", "c", "d"]),
        (None, Some(10), &["b"]),
        (Some(10), Some(20), &["a", "d"]),
        (Some(20), Some(10), &[]),
    ] {
        let filter = EventFilter::default().with_received(from.map(at), before.map(at));
        let what = format!("received from {from:?} until before {before:?}");
        expect(&what, tasks(&scene, filter).await?, names(expected))?;
    }
    Ok(())
}

async fn conditions_of_a_filter_hold_together(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 0..20 {
        let word = if number % 2 == 0 { "text" } else { "complete" };
        let delivery = delivery_at(&format!("t{number}"), word, 10, number);
        scene.accept(delivery).await?;
    }
    for claim in scene.claim(12).await? {
        scene.settle(claim.ticket, dead()).await?;
    }
    let filter = EventFilter::in_state(StateName::Dead)
        .with_stage("text".into())
        .with_received(Some(at(3)), Some(at(15)));
    let found = tasks(&scene, filter).await?;
    expect(
        "dead texts of a time",
        found,
        names(&["t4", "t6", "t8", "t10"]),
    )
}

async fn the_events_of_a_task_are_found_in_the_order_of_arrival(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let sent = delivery("t", "first");
    scene.accept_stages("u", &["first"]).await?;
    scene.accept(sent.clone()).await?;
    scene.accept_stages("t", &["text", "complete"]).await?;
    let found = scene.find("t").await?;
    let words: Vec<_> = found
        .iter()
        .map(|event| event.key.stage().as_str())
        .collect();
    expect("stages", words, vec!["first", "text", "complete"])?;
    expect("the body", &found[0].raw, &Some(sent.raw))?;
    expect("code", found[0].code, suno_types::Code::SUCCESS)?;
    expect("an unknown task", scene.find("none").await?, Vec::new())
}

async fn counts_add_up(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    one_of_each_state(&scene).await?;
    scene.accept(raw_delivery("{", 0)).await?;
    let expected = Counts {
        ready: 2,
        claimed: 1,
        waiting: 1,
        done: 1,
        dead: 1,
        superseded: 1,
        quarantined: 1,
        ..Counts::default()
    };
    expect("counts", scene.counts().await?, expected)?;
    scene.pass(100).await;
    expect("counts after a while", scene.counts().await?, expected)?;
    scene.claim(9).await?;
    let expected = Counts {
        ready: 0,
        claimed: 4,
        waiting: 0,
        ..expected
    };
    expect(
        "counts when all are claimed",
        scene.counts().await?,
        expected,
    )
}
