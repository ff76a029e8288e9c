//! Cases for what a store says of tasks that are expected, and of the submits that made them.

use std::time::Duration;

use suno_types::{Product, Route, TaskKind};

use super::scene::{LEASE, Scene, at, delivery, expect, expect_near, task_id, wrong};
use super::{Bench, CaseResult, Failed, cases};
use crate::key::{Reference, SubmitId};
use crate::store::bounds::OVERDUE_AFTER;
use crate::store::{
    DueRequest, DueTask, Expectation, ExpectedTask, Intent, PollState, Postponement, PurgeRequest,
    RecordedTask,
};

cases! {
    expected_tasks_are_listed_latest_first_and_in_pages: "L10",
    a_list_that_is_continued_neither_repeats_nor_skips: "L10",
    a_task_is_listed_until_it_is_forgotten: "L10",
    an_expected_task_says_when_it_is_asked_about: "L11",
    a_task_that_a_delivery_made_known_is_as_old_as_its_intent: "L11",
    the_record_of_a_task_says_its_submit: "L12",
    a_submit_is_known_after_its_task_was_forgotten_until_it_is_purged: "L12",
    of_several_submits_of_a_task_the_first_is_known: "L12",
    what_is_recorded_survives_the_process: "L12",
    expected_and_overdue_tasks_and_open_intents_are_counted: "L13",
}

fn submit(number: u8) -> SubmitId {
    SubmitId::from_bytes([number; 16])
}

fn reference(number: u8) -> Result<Reference, Failed> {
    Reference::new(format!("order-{number}")).map_err(|err| Failed::Wrong(err.to_string()))
}

fn kind() -> TaskKind {
    TaskKind::new(Route::Jobs, Product::LYRICS)
}

fn ids(tasks: &[RecordedTask]) -> Vec<&str> {
    tasks.iter().map(|task| task.task_id.as_str()).collect()
}

fn expectation(task: &RecordedTask) -> Result<Expectation, Failed> {
    let missing = || Failed::Wrong(format!("nothing is expected of {}", task.task_id));
    task.expectation.ok_or_else(missing)
}

impl Scene<'_> {
    async fn expects(&self, task: &str, due_after: u64) -> CaseResult {
        let task = ExpectedTask::new(task_id(task)?, Duration::from_secs(due_after));
        Ok(self.store.expect(&task).await?)
    }

    async fn intends(&self, number: u8, due_after: u64) -> CaseResult {
        let due_after = Duration::from_secs(due_after);
        let intent = Intent::new(submit(number), at(number.into()), due_after)
            .with_reference(Some(reference(number)?))
            .with_kind(kind());
        Ok(self.store.intend(&intent).await?)
    }

    async fn listed(&self, before: Option<u64>) -> Result<Vec<RecordedTask>, Failed> {
        Ok(self.store.expected_tasks(before, 99).await?)
    }

    async fn recorded(&self, task: &str) -> Result<RecordedTask, Failed> {
        let recorded = self.store.recorded_tasks(&[task_id(task)?]).await?;
        match <[RecordedTask; 1]>::try_from(recorded) {
            Ok([recorded]) => Ok(recorded),
            Err(other) => wrong(format!("expected one record, got {other:?}")),
        }
    }

    /// Expects a list, and that each of its tasks is found by its id as well.
    async fn expect_listed(&self, tasks: &[&str]) -> CaseResult {
        let listed = self.listed(None).await?;
        expect("expected tasks", ids(&listed), tasks.to_vec())?;
        let wanted: Vec<_> = listed.iter().map(|task| task.task_id.clone()).collect();
        let found = self.store.recorded_tasks(&wanted).await?;
        expect("found by their ids", ids(&found), tasks.to_vec())?;
        for (listed, found) in listed.iter().zip(&found) {
            let numbers = (expectation(listed)?.number, expectation(found)?.number);
            expect("number", numbers.0, numbers.1)?;
        }
        Ok(())
    }

    async fn expect_poll(&self, task: &str, what: &str, expected: PollState) -> CaseResult {
        let poll = expectation(&self.recorded(task).await?)?.poll;
        let (found, wanted) = match (poll, expected) {
            (PollState::Waiting { due_in }, PollState::Waiting { due_in: wanted }) => {
                (due_in, wanted)
            }
            (PollState::Due { due_for }, PollState::Due { due_for: wanted }) => (due_for, wanted),
            (PollState::Asked { holds_for }, PollState::Asked { holds_for: wanted }) => {
                (holds_for, wanted)
            }
            _ => return wrong(format!("{what}: expected {expected:?}, got {poll:?}")),
        };
        expect_near(what, found, wanted.as_secs())
    }

    async fn take_one(&self) -> Result<DueTask, Failed> {
        let due = self.store.due(&DueRequest::new(LEASE, 9)).await?.tasks;
        match <[DueTask; 1]>::try_from(due) {
            Ok([due]) => Ok(due),
            Err(due) => wrong(format!("expected one due task, got {due:?}")),
        }
    }
}

fn waiting(seconds: u64) -> PollState {
    let due_in = Duration::from_secs(seconds);
    PollState::Waiting { due_in }
}

fn due(seconds: u64) -> PollState {
    let due_for = Duration::from_secs(seconds);
    PollState::Due { due_for }
}

fn asked(seconds: u64) -> PollState {
    let holds_for = Duration::from_secs(seconds);
    PollState::Asked { holds_for }
}

async fn expected_tasks_are_listed_latest_first_and_in_pages(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expect_listed(&[]).await?;
    for (task, due_after) in [("c", 50), ("a", 10), ("e", 40), ("b", 0), ("d", 20)] {
        scene.expects(task, due_after).await?;
    }
    // Expected again, which changes nothing.
    scene.expects("c", 0).await?;
    scene.expect_listed(&["d", "b", "e", "a", "c"]).await?;
    let first = scene.store.expected_tasks(None, 2).await?;
    expect("the first page", ids(&first), vec!["d", "b"])?;
    let before = expectation(&first[1])?.number;
    let second = scene.store.expected_tasks(Some(before), 2).await?;
    expect("the second page", ids(&second), vec!["e", "a"])?;
    let before = expectation(&second[1])?.number;
    expect(
        "the rest",
        ids(&scene.listed(Some(before)).await?),
        vec!["c"],
    )?;
    let none = scene.store.expected_tasks(None, 0).await?;
    expect("none asked for", ids(&none), vec![])
}

async fn a_list_that_is_continued_neither_repeats_nor_skips(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, due_after) in [("a", 50), ("b", 50), ("c", 0), ("d", 50), ("e", 0)] {
        scene.expects(task, due_after).await?;
    }
    let first = scene.store.expected_tasks(None, 2).await?;
    expect("the first page", ids(&first), vec!["e", "d"])?;
    // One is forgotten, one is asked later, and one is new.
    for due in scene.store.due(&DueRequest::new(LEASE, 9)).await?.tasks {
        match due.ticket.task_id.as_str() {
            "e" => drop(scene.store.finish(&due.ticket).await?),
            _ => {
                let later = Postponement::answered(Duration::from_secs(500));
                scene.store.postpone(&due.ticket, later).await?;
            }
        }
    }
    scene.expects("f", 0).await?;
    let before = expectation(&first[1])?.number;
    let rest = scene.listed(Some(before)).await?;
    expect("the rest", ids(&rest), vec!["c", "b", "a"])?;
    scene.expect_listed(&["f", "d", "c", "b", "a"]).await
}

async fn a_task_is_listed_until_it_is_forgotten(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for (task, due_after) in [("open", 90), ("ended", 10), ("given-up", 0)] {
        scene.expects(task, due_after).await?;
    }
    let given_up = scene.take_one().await?;
    scene.accept_stages("open", &["text"]).await?;
    scene.accept_stages("ended", &["complete"]).await?;
    scene.expect_listed(&["given-up", "ended", "open"]).await?;
    scene.store.finish(&given_up.ticket).await?;
    scene.expect_listed(&["ended", "open"]).await?;
    scene.pass(10).await;
    // Forgets the task that has ended.
    scene.store.due(&DueRequest::new(LEASE, 9)).await?;
    scene.expect_listed(&["open"]).await?;
    for task in ["ended", "given-up", "unknown"] {
        let recorded = scene.recorded(task).await?;
        expect(task, recorded, RecordedTask::new(task_id(task)?))?;
    }
    Ok(())
}

async fn an_expected_task_says_when_it_is_asked_about(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.expects("t", 10).await?;
    scene
        .expect_poll("t", "before it is due", waiting(10))
        .await?;
    scene.pass(15).await;
    scene
        .expect_poll("t", "after it became due", due(5))
        .await?;
    scene.take_one().await?;
    scene.pass(20).await;
    scene
        .expect_poll("t", "while it is asked about", asked(40))
        .await?;
    scene.pass(45).await;
    scene.expect_poll("t", "after the lease", due(5)).await?;
    let taken = scene.take_one().await?;
    let answered = Postponement::answered(Duration::from_secs(60));
    scene.store.postpone(&taken.ticket, answered).await?;
    scene
        .expect_poll("t", "after an answer", waiting(60))
        .await?;
    scene.pass(60).await;
    let taken = scene.take_one().await?;
    let unanswered = Postponement::unanswered(Duration::from_secs(30));
    scene.store.postpone(&taken.ticket, unanswered).await?;
    scene
        .expect_poll("t", "after no answer", waiting(30))
        .await?;
    for task in [&scene.recorded("t").await?, &scene.listed(None).await?[0]] {
        let expectation = expectation(task)?;
        expect("answers", expectation.answers, 1)?;
        expect_near("age", expectation.age, 140)?;
    }
    Ok(())
}

async fn a_task_that_a_delivery_made_known_is_as_old_as_its_intent(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intends(1, 90).await?;
    scene.pass(30).await;
    let first = delivery("t", "first").with_submit(Some(submit(1)));
    scene.accept(first).await?;
    scene.expect_listed(&["t"]).await?;
    expect_near("age", expectation(&scene.recorded("t").await?)?.age, 30)?;
    scene
        .expect_poll("t", "the rest of the delay", waiting(60))
        .await
}

async fn the_record_of_a_task_says_its_submit(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 1..=3 {
        scene.intends(number, 0).await?;
    }
    let answered = ExpectedTask::new(task_id("answered")?, Duration::ZERO)
        .with_submit(submit(2))
        .with_kind(kind());
    scene.store.expect(&answered).await?;
    let called = delivery("called", "first").with_submit(Some(submit(1)));
    scene.accept(called).await?;
    let unrecorded = ExpectedTask::new(task_id("unrecorded")?, Duration::ZERO)
        .with_submit(submit(9))
        .with_kind(kind());
    scene.store.expect(&unrecorded).await?;
    let tasks = ["called", "none", "answered", "unrecorded"];
    let wanted: Result<Vec<_>, _> = tasks.iter().map(|task| task_id(task)).collect();
    let found = scene.store.recorded_tasks(&wanted?).await?;
    expect("in the order of the ids", ids(&found), tasks.to_vec())?;
    let submits = [Some((1, true)), None, Some((2, true)), Some((9, false))];
    for (found, known) in found.iter().zip(submits) {
        let mut expected = RecordedTask::new(found.task_id.clone());
        expected.expectation = found.expectation;
        if let Some((number, is_recorded)) = known {
            expected.submit = Some(submit(number));
            expected.kind = Some(kind());
            if is_recorded {
                expected.intended_at = Some(at(number.into()));
                expected.reference = Some(reference(number)?);
            }
        }
        expect("what is recorded", found, &expected)?;
        expect("expected", found.expectation.is_some(), known.is_some())?;
    }
    let listed = scene.listed(None).await?;
    let listed: Vec<_> = listed.into_iter().map(|task| task.reference).collect();
    let references = vec![None, Some(reference(1)?), Some(reference(2)?)];
    expect("references in the list", listed, references)
}

async fn a_submit_is_known_after_its_task_was_forgotten_until_it_is_purged(
    bench: &dyn Bench,
) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intends(1, 0).await?;
    let first = delivery("t", "first").with_submit(Some(submit(1)));
    scene.accept(first).await?;
    let taken = scene.take_one().await?;
    scene.store.finish(&taken.ticket).await?;
    let recorded = scene.recorded("t").await?;
    let expected = RecordedTask {
        submit: Some(submit(1)),
        intended_at: Some(at(1)),
        reference: Some(reference(1)?),
        kind: Some(kind()),
        ..RecordedTask::new(task_id("t")?)
    };
    expect("after it was forgotten", &recorded, &expected)?;
    scene.pass(100).await;
    let request = PurgeRequest {
        keys_after: Duration::from_secs(100),
        ..PurgeRequest::default()
    };
    scene.store.purge(&request).await?;
    let purged = scene.recorded("t").await?;
    expect("after a purge", purged, RecordedTask::new(task_id("t")?))
}

async fn of_several_submits_of_a_task_the_first_is_known(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    for number in 1..=3 {
        scene.intends(number, 0).await?;
    }
    for number in [3, 2] {
        let task = ExpectedTask::new(task_id("t")?, Duration::ZERO).with_submit(submit(number));
        scene.store.expect(&task).await?;
    }
    // A repeated intent is a new one, which has made nothing yet.
    let recorded = scene.recorded("t").await?;
    expect("submit", recorded.submit, Some(submit(2)))?;
    scene.intends(2, 0).await?;
    let recorded = scene.recorded("t").await?;
    expect("submit", recorded.submit, Some(submit(3)))?;
    expect("reference", recorded.reference, Some(reference(3)?))
}

async fn what_is_recorded_survives_the_process(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    scene.intends(1, 0).await?;
    let task = ExpectedTask::new(task_id("t")?, Duration::from_secs(90)).with_submit(submit(1));
    scene.store.expect(&task).await?;
    scene.expects("u", 0).await?;
    scene.take_one().await?;
    let scene = scene.reopen().await?;
    scene.expect_listed(&["u", "t"]).await?;
    scene
        .expect_poll("u", "while it is asked about", asked(60))
        .await?;
    let recorded = scene.recorded("t").await?;
    expect("reference", recorded.reference, Some(reference(1)?))
}

async fn expected_and_overdue_tasks_and_open_intents_are_counted(bench: &dyn Bench) -> CaseResult {
    let scene = Scene::fresh(bench).await?;
    let overdue_after = OVERDUE_AFTER.as_secs();
    let counted = async || {
        let counts = scene.store.counts().await?;
        Ok::<_, Failed>((counts.expected, counts.overdue, counts.open_intents))
    };
    expect("in an empty store", counted().await?, (0, 0, 0))?;
    for number in 1..=3 {
        scene.intends(number, 0).await?;
    }
    scene.store.withdraw(submit(1)).await?;
    let made = ExpectedTask::new(task_id("made")?, Duration::from_secs(900)).with_submit(submit(2));
    scene.store.expect(&made).await?;
    scene.expects("t", 0).await?;
    scene.pass(overdue_after - 2).await;
    expect("due, but not for long", counted().await?, (2, 0, 1))?;
    scene.pass(4).await;
    expect("due for long", counted().await?, (2, 1, 1))?;
    scene.take_one().await?;
    expect("while it is asked about", counted().await?, (2, 0, 1))?;
    scene.pass(LEASE.as_secs() + overdue_after + 2).await;
    expect("long after the lease", counted().await?, (2, 1, 1))?;
    let taken = scene.take_one().await?;
    scene.store.finish(&taken.ticket).await?;
    expect("after one was forgotten", counted().await?, (1, 0, 1))
}
