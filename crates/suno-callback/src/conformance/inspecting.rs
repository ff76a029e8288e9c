//! Looking into a store, redriving and purging.

use super::scene::{Scene, at, delivery, delivery_at, expect, key_of, raw_delivery, retry_at};
use super::{Bench, Verdict, cases};
use crate::store::{
    Accepted, Counts, EventId, EventState, Page, PurgeRequest, Redriven, Settlement,
};

cases! {
    pages_neither_repeat_nor_skip: "a page that is continued after its last number neither repeats nor skips what was there",
    counts_add_up: "how many events there are, by state",
    a_redriven_event_is_handled_again_with_its_attempts_counted_anew: "redrive makes a settled event ready again, with its attempts counted anew",
    what_is_not_settled_is_not_redriven: "it leaves others as they are",
    purge_never_touches_what_is_not_settled: "purge never touches what is not settled",
    a_purged_body_leaves_the_key_known: "a purged body leaves the key and the fingerprints known, so that a delivery of it is still a duplicate",
    a_purged_key_is_a_new_event: "until the key is purged",
    the_number_of_a_purged_event_is_not_used_again: "a delivery of a purged key is a new event",
    purge_goes_on_where_it_stopped: "forgets what is old, as much as the request allows at once",
    quarantine_is_purged_by_age: "forgets what is old",
}

async fn pages_neither_repeat_nor_skip(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for number in 0..10 {
        scene
            .accept_stages(&format!("t{number}"), &["complete"])
            .await?;
    }
    let (mut tasks, mut page) = (Vec::new(), Page::first(3));
    loop {
        let records = scene.store.list(page).await?;
        let Some(last) = records.last() else { break };
        page = Page::after(last.id, 3);
        tasks.extend(
            records
                .iter()
                .map(|record| record.key.task_id().to_string()),
        );
        // What changes or comes in the meantime moves nothing.
        scene.accept(delivery("t3", "first")?).await?;
        for claim in scene.claim(0, 1).await? {
            scene.settle(claim.ticket, Settlement::Done).await?;
        }
    }
    let expected: Vec<_> = (0..10).map(|number| format!("t{number}")).collect();
    expect("tasks", tasks[..10].to_vec(), expected)?;
    expect(
        "and the late one",
        tasks[10..].to_vec(),
        vec!["t3".to_owned()],
    )?;
    expect(
        "no records",
        scene.store.list(Page::first(0)).await?.len(),
        0,
    )
}

async fn counts_add_up(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for task in ["done", "dead", "waiting", "claimed", "ready"] {
        scene.accept_stages(task, &["complete"]).await?;
    }
    scene.accept_stages("done", &["first"]).await?;
    scene.accept(raw_delivery("{", 0)?).await?;
    let claims = scene.claim_exactly::<4>(0).await?;
    let dead = Settlement::Dead {
        reason: "why".to_owned(),
    };
    let settled = [
        (claims[0].ticket, Settlement::Done),
        (claims[1].ticket, dead),
        (claims[2].ticket, retry_at(10)),
    ];
    scene.store.settle(&settled).await?;
    let expected = Counts {
        ready: 1,
        claimed: 1,
        waiting: 1,
        done: 1,
        dead: 1,
        superseded: 1,
        quarantined: 1,
    };
    expect("counts", scene.store.counts().await?, expected)
}

async fn a_redriven_event_is_handled_again_with_its_attempts_counted_anew(
    bench: &dyn Bench,
) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete", "first"]).await?;
    scene.accept_stages("u", &["complete"]).await?;
    let mut tickets = Vec::new();
    for claim in scene.claim(0, 10).await? {
        tickets.push(claim.ticket);
        let dead = Settlement::Dead {
            reason: "why".to_owned(),
        };
        scene.settle(claim.ticket, dead).await?;
    }
    let [complete, first] = scene.find_exactly("t").await?;
    expect(
        "redrive",
        scene.store.redrive(complete.id).await?,
        Redriven::Ready,
    )?;
    let claim = scene.claim_one(1).await?;
    expect("claim", key_of(&claim), "t/complete".to_owned())?;
    expect("attempt", claim.attempt, 1)?;
    let new = tickets.iter().all(|old| *old != claim.ticket);
    expect("a new ticket", new, true)?;
    scene.settle(claim.ticket, Settlement::Done).await?;
    expect(
        "superseded",
        scene.store.redrive(first.id).await?,
        Redriven::Ready,
    )?;
    let claim = scene.claim_one(2).await?;
    expect("claim", key_of(&claim), "t/first".to_owned())
}

async fn what_is_not_settled_is_not_redriven(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let id = scene.find_one("t").await?.id;
    expect(
        "ready",
        scene.store.redrive(id).await?,
        Redriven::NotSettled,
    )?;
    let claim = scene.claim_one(0).await?;
    expect(
        "claimed",
        scene.store.redrive(id).await?,
        Redriven::NotSettled,
    )?;
    scene.settle(claim.ticket, retry_at(10)).await?;
    expect(
        "waiting",
        scene.store.redrive(id).await?,
        Redriven::NotSettled,
    )?;
    let unknown = scene.store.redrive(EventId(i64::MAX)).await?;
    expect("unknown", unknown, Redriven::Gone)
}

/// Everything that was received before a moment.
fn all_before(seconds: i64) -> PurgeRequest {
    let mut request = PurgeRequest::at(at(0));
    request.bodies_before = at(seconds);
    request.keys_before = at(seconds);
    request
}

/// The bodies that were received before a moment.
fn bodies_before(seconds: i64) -> PurgeRequest {
    let mut request = all_before(seconds);
    request.keys_before = at(i64::from(i32::MIN));
    request
}

async fn purge_never_touches_what_is_not_settled(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for task in ["claimed", "waiting", "ready"] {
        scene.accept_stages(task, &["complete"]).await?;
    }
    let claims = scene.claim_exactly::<2>(0).await?;
    scene.settle(claims[1].ticket, retry_at(10)).await?;
    let purged = scene.store.purge(all_before(1_000)).await?;
    expect(
        "purged",
        (purged.bodies, purged.keys, purged.more),
        (0, 0, false),
    )?;
    for task in ["claimed", "waiting", "ready"] {
        let found = scene.find(task).await?;
        expect(
            task,
            found.iter().filter(|record| record.raw.is_some()).count(),
            1,
        )?;
    }
    Ok(())
}

/// A task whose event was handled, with a conflict, received at a moment.
async fn handled(scene: &Scene, task: &str, seconds: i64) -> Verdict {
    scene
        .accept(delivery_at(task, "complete", 10, seconds)?)
        .await?;
    scene
        .accept(delivery_at(task, "complete", 11, seconds)?)
        .await?;
    for claim in scene.claim(seconds, 10).await? {
        scene.settle(claim.ticket, Settlement::Done).await?;
    }
    Ok(())
}

async fn a_purged_body_leaves_the_key_known(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    handled(&scene, "old", 0).await?;
    handled(&scene, "new", 100).await?;
    let purged = scene.store.purge(bodies_before(100)).await?;
    expect(
        "purged",
        (purged.bodies, purged.keys, purged.more),
        (2, 0, false),
    )?;
    let again = scene.store.purge(bodies_before(100)).await?;
    expect("purged again", again.bodies, 0)?;
    let old = scene.find_one("old").await?;
    expect("the old body", old.raw, None)?;
    expect(
        "the new body",
        scene.find_one("new").await?.raw.is_some(),
        true,
    )?;
    for duration in [10, 11] {
        let accepted = scene
            .accept(delivery_at("old", "complete", duration, 200)?)
            .await?;
        expect("a delivery of it", accepted, Accepted::Duplicate)?;
    }
    expect(
        "redrive",
        scene.store.redrive(old.id).await?,
        Redriven::Gone,
    )?;
    scene.expect_no_claim(1_000_000, "of what was purged").await
}

async fn a_purged_key_is_a_new_event(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    handled(&scene, "old", 0).await?;
    handled(&scene, "new", 100).await?;
    let before = scene.find_one("new").await?.id;
    let purged = scene.store.purge(all_before(100)).await?;
    expect("purged", (purged.bodies, purged.keys), (2, 1))?;
    expect("events", scene.find("old").await?.len(), 0)?;
    let accepted = scene
        .accept(delivery_at("old", "complete", 10, 200)?)
        .await?;
    expect("a delivery of it", accepted, Accepted::New)?;
    let id = scene.find_one("old").await?.id;
    expect("a number of its own", id > before, true)
}

async fn the_number_of_a_purged_event_is_not_used_again(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    handled(&scene, "t", 0).await?;
    let before = scene.find_one("t").await?.id;
    // Nothing is left, and a ticket of it must not fit what comes next.
    scene.store.purge(all_before(100)).await?;
    expect("events", scene.find("t").await?.len(), 0)?;
    scene.accept(delivery_at("u", "complete", 10, 200)?).await?;
    expect(
        "a number of its own",
        scene.find_one("u").await?.id > before,
        true,
    )
}

async fn purge_goes_on_where_it_stopped(bench: &dyn Bench) -> Verdict {
    let steps_of_five = [(2, true), (2, true), (1, false), (0, false)];
    let steps_of_four = [(2, true), (2, false), (0, false), (0, false)];
    for (events, steps) in [(5, steps_of_five), (4, steps_of_four)] {
        let scene = Scene::fresh(bench).await?;
        for number in 0..events {
            handled(&scene, &format!("t{number}"), 0).await?;
        }
        let mut request = all_before(100);
        request.events_max = 2;
        for (keys, more) in steps {
            let purged = scene.store.purge(request).await?;
            expect("purged", (purged.keys, purged.more), (keys, more))?;
        }
        let left = scene.store.list(Page::first(10)).await?;
        expect("records", left.len(), 0)?;
    }
    Ok(())
}

async fn quarantine_is_purged_by_age(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept(raw_delivery("{", 0)?).await?;
    scene.accept(raw_delivery("[", 100)?).await?;
    scene.store.purge(bodies_before(100)).await?;
    expect(
        "kept as long as keys",
        scene.store.quarantine(Page::first(9)).await?.len(),
        2,
    )?;
    scene.store.purge(all_before(100)).await?;
    let kept = scene.store.quarantine(Page::first(9)).await?;
    let bodies: Vec<_> = kept.iter().map(|kept| kept.raw.to_vec()).collect();
    expect("in quarantine", bodies, vec![b"[".to_vec()])?;
    let first = EventState::Ready;
    scene.accept(delivery("t", "text")?).await?;
    scene.expect_states("t", &[("text", first)]).await
}
