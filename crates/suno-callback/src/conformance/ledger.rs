//! Cases for submits and due tasks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::scene::{
    LEASE, Scene, at, dead, delivery, expect, expect_near, raw_delivery, task_id, unconfirmed,
    wrong,
};
use super::{Bench, CaseResult, Failed, cases};
use crate::key::SubmitId;
use crate::store::{
    DueRequest, DueTask, DueTicket, ExpectedTask, Intent, OpenIntent, Postponement, PurgeRequest,
    Settlement,
};

cases! {
    a_delivery_closes_the_intent_that_it_names: "A12",
    a_quarantined_delivery_closes_the_intent_that_it_names: "A12",
    a_delivery_without_a_task_leaves_the_intent: "A12",
    a_delivery_that_names_no_open_intent_expects_nothing: "A12",
    an_intent_is_open_until_it_is_withdrawn_or_expected: "L1",
    open_intents_are_listed_oldest_first: "L1",
    open_intents_are_listed_by_age_and_in_pages: "L1",
    a_task_is_expected_once: "L2",
    a_task_is_due_after_its_delay: "L3",
    the_answer_says_when_the_next_task_is_due: "L3",
    a_due_task_says_how_long_it_has_been_expected: "L3",
    a_task_that_was_taken_is_due_again_when_its_lease_has_ended: "L4",
    racing_for_due_tasks_gives_each_to_one: "L4",
    a_task_with_its_last_event_needs_no_asking: "L5",
    an_earlier_stage_does_not_decide_a_task: "L5",
    an_unconfirmed_last_stage_does_not_decide_a_task: "L5",
    a_task_with_two_last_stages_is_due: "L5",
    tasks_that_need_no_asking_do_not_hide_others: "L5",
    only_the_latest_ticket_postpones_or_finishes: "L6",
    a_postponement_counts_answers: "L6",
    a_finished_task_is_due_no_more: "L6",
    a_ticket_from_before_a_task_was_forgotten_is_lost: "L6",
    purging_forgets_intents_by_age_and_tasks_never: "L7",
}

impl Scene<'_> {
    /// Records an intent whose task is due after 10 s.
    async fn intend(&self, number: u8) -> CaseResult {
        let intent = Intent::new(submit(number), at(0), Duration::from_secs(10));
        Ok(self.store.intend(&intent).await?)
    }

    async fn expect_task(&self, task: &str, due_after: u64) -> CaseResult {
        let expected = ExpectedTask::new(task_id(task)?, Duration::from_secs(due_after));
        Ok(self.store.expect(&expected).await?)
    }

    async fn open_intents(&self) -> Result<Vec<OpenIntent>, Failed> {
        Ok(self.store.open_intents(Duration::ZERO, None, 99).await?)
    }

    async fn expect_open(&self, numbers: &[u8]) -> CaseResult {
        expect(
            "open intents",
            submits(&self.open_intents().await?),
            numbers.to_vec(),
        )
    }

    /// Takes due tasks, in as many requests as the store needs.
    async fn due(&self, tasks_max: usize) -> Result<Vec<DueTask>, Failed> {
        let mut due = Vec::new();
        for _ in 0..100 {
            let request = DueRequest::new(LEASE, tasks_max - due.len());
            let answer = self.store.due(&request).await?;
            due.extend(answer.tasks);
            expect("no more tasks than asked for", due.len() <= tasks_max, true)?;
            if due.len() == tasks_max || !answer.more {
                return Ok(due);
            }
        }
        wrong("the store says without end that more tasks may be due")
    }

    async fn expect_due(&self, what: &str, tasks: &[&str]) -> CaseResult {
        let due = self.due(9).await?;
        let due: Vec<_> = due.iter().map(|due| due.ticket.task_id.as_str()).collect();
        expect(&format!("due tasks {what}"), due, tasks.to_vec())
    }

    /// Takes the only task that is due.
    async fn due_one(&self) -> Result<DueTicket, Failed> {
        match &self.due(9).await?[..] {
            [due] => Ok(due.ticket.clone()),
            due => wrong(format!("expected one due task, got {due:?}")),
        }
    }
}

fn submit(number: u8) -> SubmitId {
    SubmitId::from_bytes([number; 16])
}

fn submits(intents: &[OpenIntent]) -> Vec<u8> {
    intents.iter().map(|open| open.submit.bytes()[0]).collect()
}

fn pause(seconds: u64) -> Postponement {
    Postponement::unanswered(Duration::from_secs(seconds))
}

async fn an_intent_is_open_until_it_is_withdrawn_or_expected(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 1..=3 {
        scene.intend(number).await?;
    }
    scene.expect_open(&[1, 2, 3]).await?;
    scene.store.withdraw(submit(1)).await?;
    let task = ExpectedTask::new(task_id("t")?, Duration::ZERO).with_submit(submit(3));
    scene.store.expect(&task).await?;
    scene.expect_open(&[2]).await?;
    for unknown in [1, 3, 9] {
        scene.store.withdraw(submit(unknown)).await?;
    }
    scene.expect_open(&[2]).await
}

async fn open_intents_are_listed_oldest_first(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in [7, 2, 9, 1] {
        scene.intend(number).await?;
        scene.pass(10).await;
    }
    scene.expect_open(&[7, 2, 9, 1]).await?;
    let open = scene.open_intents().await?;
    let grow = open.windows(2).all(|pair| pair[0].number < pair[1].number);
    expect("numbers grow", grow, true)?;
    expect_near("the oldest has been open for", open[0].open_for, 40)?;
    expect("the time of the caller", open[0].intended_at, at(0))
}

async fn open_intents_are_listed_by_age_and_in_pages(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 1..=5 {
        scene.intend(number).await?;
        scene.pass(10).await;
    }
    let old = Duration::from_secs(25);
    let first = scene.store.open_intents(old, None, 2).await?;
    expect("the first two", submits(&first), vec![1, 2])?;
    let rest = scene
        .store
        .open_intents(old, Some(first[1].number), 2)
        .await?;
    expect("the rest that is old enough", submits(&rest), vec![3])
}

async fn a_delivery_closes_the_intent_that_it_names(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend(1).await?;
    scene.pass(4).await;
    let first = delivery("t", "first").with_submit(Some(submit(1)));
    scene.accept(first.clone()).await?;
    scene.expect_open(&[]).await?;
    scene.expect_due("before the delay ends", &[]).await?;
    scene.pass(6).await;
    scene.expect_due("after it", &["t"]).await?;
    // Another delivery must not find an intent to close.
    scene.accept(first).await?;
    scene.expect_due("after another delivery", &[]).await
}

async fn a_quarantined_delivery_closes_the_intent_that_it_names(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend(1).await?;
    // Trusted and not decodable, but the task can be read.
    let strange = raw_delivery(r#"{"code":{},"data":{"task_id":"u"}}"#, 0);
    scene.accept(strange.with_submit(Some(submit(1)))).await?;
    scene.expect_open(&[]).await?;
    scene.pass(10).await;
    scene.expect_due("after the delay", &["u"]).await
}

async fn a_delivery_without_a_task_leaves_the_intent(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend(1).await?;
    let unread = raw_delivery("{", 0).with_submit(Some(submit(1)));
    scene.accept(unread).await?;
    scene.expect_open(&[1]).await
}

async fn a_delivery_that_names_no_open_intent_expects_nothing(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend(2).await?;
    let first = delivery("t", "first").with_submit(Some(submit(1)));
    scene.accept(first).await?;
    scene.expect_open(&[2]).await?;
    scene.pass(1_000).await;
    scene.expect_due("at any time", &[]).await
}

async fn a_task_is_expected_once(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intend(1).await?;
    scene.expect_task("t", 10).await?;
    let again = ExpectedTask::new(task_id("t")?, Duration::from_secs(90)).with_submit(submit(1));
    scene.store.expect(&again).await?;
    scene.expect_open(&[]).await?;
    scene.pass(10).await;
    scene.expect_task("t", 0).await?;
    scene.expect_due("after the first delay", &["t"]).await?;
    scene.expect_task("t", 0).await?;
    scene.expect_due("while it is taken", &[]).await
}

async fn a_task_is_due_after_its_delay(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, due_after) in [("b", 20), ("a", 30), ("c", 10), ("d", 40)] {
        scene.expect_task(task, due_after).await?;
    }
    scene.pass(8).await;
    scene.expect_due("before any delay has ended", &[]).await?;
    scene.pass(22).await;
    expect("none asked for", scene.due(0).await?.len(), 0)?;
    let two = scene.due(2).await?;
    let two: Vec<_> = two.iter().map(|due| due.ticket.task_id.as_str()).collect();
    expect("the two that have been due longest", two, vec!["c", "b"])?;
    scene.expect_due("after those", &["a"]).await
}

async fn the_answer_says_when_the_next_task_is_due(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let request = DueRequest::new(LEASE, 1);
    expect(
        "in an empty store",
        scene.store.due(&request).await?.next_due,
        None,
    )?;
    for (task, due_after) in [("a", 5), ("b", 5), ("c", 40)] {
        scene.expect_task(task, due_after).await?;
    }
    scene.pass(10).await;
    let answer = scene.store.due(&request).await?;
    expect(
        "more after the first",
        (answer.tasks.len(), answer.more),
        (1, true),
    )?;
    scene.due(9).await?;
    match scene.store.due(&request).await?.next_due {
        Some(next_due) => expect_near("the next task is due in", next_due, 30),
        None => wrong("a task is expected, and the answer does not say when it is due"),
    }
}

async fn a_due_task_says_how_long_it_has_been_expected(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 10).await?;
    for age in [25, 85] {
        scene.pass(if age == 25 { 25 } else { 60 }).await;
        match &scene.due(9).await?[..] {
            [due] => expect_near("age", due.age, age)?,
            due => return wrong(format!("expected one due task, got {due:?}")),
        }
    }
    Ok(())
}

async fn a_task_that_was_taken_is_due_again_when_its_lease_has_ended(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 0).await?;
    let first = scene.due_one().await?;
    scene.pass(58).await;
    scene.expect_due("during the lease", &[]).await?;
    scene.pass(2).await;
    let second = scene.due_one().await?;
    expect("the epoch grows", second.epoch > first.epoch, true)
}

async fn racing_for_due_tasks_gives_each_to_one(bench: &dyn Bench) -> CaseResult {
    const TASKS: usize = 20;
    let scene = Scene::fresh(bench).await?;
    for number in 0..TASKS {
        scene.expect_task(&format!("t{number}"), 0).await?;
    }
    let another = bench.another(&scene.store).await?;
    let another = another.unwrap_or_else(|| Arc::clone(&scene.store));
    let mut racers = tokio::task::JoinSet::new();
    for store in [&scene.store, &another].into_iter().cycle().take(8) {
        let store = Arc::clone(store);
        racers.spawn(async move { store.due(&DueRequest::new(LEASE, 7)).await });
    }
    let mut taken = Vec::new();
    while let Some(raced) = racers.join_next().await {
        let due = raced.map_err(|err| Failed::Wrong(err.to_string()))??;
        taken.extend(due.tasks.into_iter().map(|due| due.ticket.task_id));
    }
    // A store may leave some tasks for the next request.
    let rest = scene.due(TASKS).await?;
    taken.extend(rest.into_iter().map(|due| due.ticket.task_id));
    let distinct: BTreeSet<_> = taken.iter().collect();
    expect(
        "taken and distinct",
        (taken.len(), distinct.len()),
        (TASKS, TASKS),
    )
}

async fn a_task_with_its_last_event_needs_no_asking(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, word) in [
        ("ready", "complete"),
        ("dead", "complete"),
        ("failed", "failed"),
    ] {
        scene.expect_task(task, 5).await?;
        scene.accept_stages(task, &[word, "first"]).await?;
    }
    let claims = scene.claim_exactly::<2>().await?;
    scene.settle(claims[1].ticket, dead()).await?;
    scene.pass(5).await;
    scene.expect_due("after the delay", &[]).await?;
    // The tasks are forgotten: later changes to them do not bring them back.
    scene.accept_stages("ready", &["failed"]).await?;
    scene.pass(1_000).await;
    scene.expect_due("later", &[]).await
}

async fn an_earlier_stage_does_not_decide_a_task(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 0).await?;
    scene
        .accept_stages("t", &["text", "first", "mixed"])
        .await?;
    scene.expect_due("with earlier stages", &["t"]).await
}

async fn an_unconfirmed_last_stage_does_not_decide_a_task(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for task in ["open", "done", "confirmed"] {
        scene.expect_task(task, 0).await?;
        scene.accept(unconfirmed(task, "complete", 10)).await?;
        scene.pass(1).await;
    }
    scene
        .expect_due("without confirmation", &["open", "done", "confirmed"])
        .await?;
    let claims = scene.claim_exactly::<3>().await?;
    scene.settle(claims[1].ticket, Settlement::Done).await?;
    scene.accept(delivery("confirmed", "complete")).await?;
    scene.pass(60).await;
    scene.expect_due("after a confirmation", &["open"]).await
}

async fn a_task_with_two_last_stages_is_due(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, words) in [("t", ["failed", "complete"]), ("u", ["complete", "failed"])] {
        scene.expect_task(task, 0).await?;
        scene.accept_stages(task, &words).await?;
        scene.pass(1).await;
    }
    scene.expect_due("with two last stages", &["t", "u"]).await
}

async fn tasks_that_need_no_asking_do_not_hide_others(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 0..5 {
        let task = format!("t{number}");
        scene.expect_task(&task, number).await?;
        if number < 4 {
            scene.accept_stages(&task, &["complete"]).await?;
        }
    }
    scene.pass(9).await;
    let due = scene.due(1).await?;
    let due: Vec<_> = due.iter().map(|due| due.ticket.task_id.as_str()).collect();
    expect("due", due, vec!["t4"])
}

async fn only_the_latest_ticket_postpones_or_finishes(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 0).await?;
    let mut never = DueTicket {
        task_id: task_id("t")?,
        epoch: 0,
    };
    expect(
        "a ticket before any lease",
        scene.store.finish(&never).await?,
        false,
    )?;
    let zombie = scene.due_one().await?;
    scene.pass(60).await;
    let ticket = scene.due_one().await?;
    never.task_id = task_id("unknown")?;
    for lost in [&zombie, &never] {
        expect(
            "postponed",
            scene.store.postpone(lost, pause(0)).await?,
            false,
        )?;
        expect("finished", scene.store.finish(lost).await?, false)?;
    }
    scene.expect_due("after the lost tickets", &[]).await?;
    let postponed = scene.store.postpone(&ticket, pause(500)).await?;
    expect("postponed by the latest ticket", postponed, true)?;
    scene.pass(498).await;
    scene.expect_due("during the pause", &[]).await?;
    scene.pass(2).await;
    let ticket = scene.due_one().await?;
    expect("finished", scene.store.finish(&ticket).await?, true)?;
    expect("finished again", scene.store.finish(&ticket).await?, false)
}

async fn a_postponement_counts_answers(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 0).await?;
    let answered = Postponement::answered(Duration::from_secs(10));
    for (postponement, answers) in [(answered, 0), (pause(10), 1), (answered, 1), (pause(10), 2)] {
        match &scene.due(9).await?[..] {
            [due] => {
                expect("answers", due.answers, answers)?;
                scene.store.postpone(&due.ticket, postponement).await?;
            }
            due => return wrong(format!("expected one due task, got {due:?}")),
        }
        scene.pass(10).await;
    }
    Ok(())
}

async fn a_finished_task_is_due_no_more(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 0).await?;
    scene.expect_task("u", 0).await?;
    for due in scene.due(9).await? {
        if due.ticket.task_id.as_str() == "t" {
            scene.store.finish(&due.ticket).await?;
        }
    }
    scene.pass(1_000).await;
    scene.expect_due("later", &["u"]).await
}

async fn a_ticket_from_before_a_task_was_forgotten_is_lost(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 0).await?;
    let old = scene.due_one().await?;
    scene.store.finish(&old).await?;
    scene.expect_task("t", 0).await?;
    scene.due_one().await?;
    expect("finished", scene.store.finish(&old).await?, false)?;
    scene.pass(60).await;
    scene.expect_due("after the lease", &["t"]).await
}

async fn purging_forgets_intents_by_age_and_tasks_never(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_task("t", 0).await?;
    scene.intend(1).await?;
    scene.pass(100).await;
    scene.intend(2).await?;
    let request = PurgeRequest {
        bodies_after: Duration::ZERO,
        keys_after: Duration::from_secs(100),
        ..PurgeRequest::default()
    };
    for _ in 0..10 {
        scene.store.purge(&request).await?;
    }
    scene.expect_open(&[2]).await?;
    scene.expect_due("at any age", &["t"]).await
}
