//! Settling: only the ticket of the latest claim counts.

use super::scene::{Scene, at, delivery, expect, retry_at};
use super::{Bench, Verdict, cases};
use crate::store::{EventId, EventState, Held, Settlement, Ticket};

cases! {
    what_is_done_is_never_claimed_again: "a settled event is not claimed",
    a_zombie_can_neither_settle_nor_extend_nor_release: "only the ticket of the latest claim can extend or settle; any other is lost and changes nothing",
    a_lapsed_claim_that_nobody_took_can_still_be_settled: "a ticket is worthless from the moment another claim is granted",
    settling_twice_changes_nothing: "any other is lost and changes nothing, also after the event was settled",
    a_stale_ticket_does_not_change_a_finished_event: "any other is lost and changes nothing, also after the event was settled",
    another_attempt_waits_until_it_is_due: "handling failed; try again, not before this moment",
    a_released_event_is_as_if_it_had_not_been_claimed: "the event was not handled at all: as if it had not been claimed",
    a_dead_letter_is_kept_and_not_claimed: "keep the event as a dead letter",
    a_ticket_that_was_never_granted_is_lost: "only the ticket of the latest claim can extend or settle",
    a_slice_is_answered_in_order: "records how claims ended",
}

async fn what_is_done_is_never_claimed_again(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let claim = scene.claim_one(0).await?;
    expect(
        "settle",
        scene.settle(claim.ticket, Settlement::Done).await?,
        Held::Held,
    )?;
    scene.expect_no_claim(1_000_000, "of what is done").await?;
    scene
        .expect_states("t", &[("complete", EventState::Done)])
        .await
}

async fn a_zombie_can_neither_settle_nor_extend_nor_release(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let zombie = scene.claim_one(0).await?.ticket;
    let owner = scene.claim_one(60).await?.ticket;
    let settlements = [
        Settlement::Done,
        retry_at(61),
        Settlement::Dead {
            reason: "zombie".to_owned(),
        },
        Settlement::Release,
    ];
    for settlement in settlements {
        let what = format!("zombie's {settlement:?}");
        expect(&what, scene.settle(zombie, settlement).await?, Held::Lost)?;
    }
    expect(
        "zombie's extend",
        scene.extend(zombie, 10_000).await?,
        Held::Lost,
    )?;
    scene
        .expect_no_claim(119, "while the owner's claim lasts")
        .await?;
    expect(
        "owner's extend",
        scene.extend(owner, 200).await?,
        Held::Held,
    )?;
    expect(
        "owner's settle",
        scene.settle(owner, Settlement::Done).await?,
        Held::Held,
    )?;
    scene
        .expect_states("t", &[("complete", EventState::Done)])
        .await
}

async fn a_lapsed_claim_that_nobody_took_can_still_be_settled(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete", "u"]).await?;
    let [claim] = scene.claim_exactly(0).await?;
    expect(
        "extend after the end",
        scene.extend(claim.ticket, 500).await?,
        Held::Held,
    )?;
    expect(
        "settle",
        scene.settle(claim.ticket, Settlement::Done).await?,
        Held::Held,
    )
}

async fn settling_twice_changes_nothing(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let ticket = scene.claim_one(0).await?.ticket;
    expect(
        "once",
        scene.settle(ticket, Settlement::Done).await?,
        Held::Held,
    )?;
    expect(
        "twice",
        scene.settle(ticket, Settlement::Done).await?,
        Held::Lost,
    )?;
    expect(
        "released",
        scene.settle(ticket, Settlement::Release).await?,
        Held::Lost,
    )?;
    expect("extended", scene.extend(ticket, 10).await?, Held::Lost)?;
    scene
        .expect_states("t", &[("complete", EventState::Done)])
        .await
}

async fn a_stale_ticket_does_not_change_a_finished_event(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let stale = scene.claim_one(0).await?.ticket;
    let owner = scene.claim_one(60).await?.ticket;
    scene.settle(owner, Settlement::Done).await?;
    expect(
        "stale",
        scene.settle(stale, retry_at(61)).await?,
        Held::Lost,
    )?;
    scene
        .expect_states("t", &[("complete", EventState::Done)])
        .await?;
    scene
        .expect_no_claim(1_000_000, "of a finished event")
        .await
}

async fn another_attempt_waits_until_it_is_due(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let claim = scene.claim_one(0).await?;
    expect(
        "settle",
        scene.settle(claim.ticket, retry_at(100)).await?,
        Held::Held,
    )?;
    scene
        .expect_no_claim(99, "a second before it is due")
        .await?;
    let record = scene.find_one("t").await?;
    expect("reason", record.reason, Some("no luck".to_owned()))?;
    expect("state", record.state, EventState::Waiting { at: at(100) })?;
    let again = scene.claim_one(100).await?;
    expect("attempt", again.attempt, 2)
}

async fn a_released_event_is_as_if_it_had_not_been_claimed(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let claim = scene.claim_one(0).await?;
    expect(
        "settle",
        scene.settle(claim.ticket, Settlement::Release).await?,
        Held::Held,
    )?;
    let again = scene.claim_one(0).await?;
    expect("attempt", again.attempt, 1)?;
    let old = scene.settle(claim.ticket, Settlement::Done).await?;
    expect("the released ticket", old, Held::Lost)
}

async fn a_dead_letter_is_kept_and_not_claimed(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let claim = scene.claim_one(0).await?;
    let dead = Settlement::Dead {
        reason: "why".to_owned(),
    };
    expect(
        "settle",
        scene.settle(claim.ticket, dead).await?,
        Held::Held,
    )?;
    scene.expect_no_claim(1_000_000, "of a dead letter").await?;
    let record = scene.find_one("t").await?;
    expect("reason", record.reason, Some("why".to_owned()))?;
    expect("body", record.raw, Some(claim.raw))?;
    let accepted = scene.accept(delivery("t", "complete")?).await?;
    expect("a delivery of it", accepted, crate::Accepted::Duplicate)
}

async fn a_ticket_that_was_never_granted_is_lost(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    scene.accept_stages("t", &["complete"]).await?;
    let event = scene.find_one("t").await?.id;
    let unclaimed = Ticket { event, epoch: 0 };
    expect(
        "before any claim",
        scene.settle(unclaimed, Settlement::Done).await?,
        Held::Lost,
    )?;
    let granted = scene.claim_one(0).await?.ticket;
    for ticket in [
        Ticket {
            event,
            epoch: granted.epoch + 1,
        },
        Ticket {
            event: EventId(i64::MAX),
            epoch: 1,
        },
        Ticket {
            event: EventId(-1),
            epoch: 1,
        },
    ] {
        expect(
            "settle",
            scene.settle(ticket, Settlement::Done).await?,
            Held::Lost,
        )?;
        expect("extend", scene.extend(ticket, 100).await?, Held::Lost)?;
    }
    Ok(())
}

async fn a_slice_is_answered_in_order(bench: &dyn Bench) -> Verdict {
    let scene = Scene::fresh(bench).await?;
    for task in ["a", "b", "c"] {
        scene.accept_stages(task, &["complete"]).await?;
    }
    let claims = scene.claim_exactly::<3>(0).await?;
    let strange = Ticket {
        event: claims[1].ticket.event,
        epoch: 99,
    };
    let settled = [
        (claims[0].ticket, Settlement::Done),
        (strange, Settlement::Done),
        (claims[2].ticket, retry_at(500)),
    ];
    let held = scene.store.settle(&settled).await?;
    expect("held", held, vec![Held::Held, Held::Lost, Held::Held])?;
    let tickets: Vec<_> = claims.iter().map(|claim| claim.ticket).collect();
    let held = scene.store.extend(&tickets, at(100)).await?;
    expect("extended", held, vec![Held::Lost, Held::Held, Held::Lost])
}
