//! The ledger of submits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use suno_types::TaskId;

use super::scene::{LEASE, Scene, at, delivery, expect, raw_delivery};
use super::{Failed, Report, Verdict, cases};
use crate::store::{
    Due, DueRequest, DueTicket, Expected, Held, Inspect, Intent, PurgeRequest, Redriven,
    Settlement, StoreError, SubmitId, TaskLedger,
};

/// Where the ledgers come from.
#[async_trait]
pub trait LedgerBench: Send + Sync {
    /// An empty store.
    async fn fresh(&self) -> Result<Arc<dyn TaskLedger>, StoreError>;

    /// The same store after its process has ended; see [`Bench::reopen`](super::Bench::reopen).
    async fn reopen(
        &self,
        ledger: Arc<dyn TaskLedger>,
    ) -> Result<Option<Arc<dyn TaskLedger>>, StoreError>;
}

/// Runs every case of the ledger's contract against fresh stores.
pub async fn check_ledger(bench: &dyn LedgerBench) -> Report {
    super::run(&[CASES], |case| (case.run)(bench)).await
}

cases! { LedgerBench;
    an_intent_is_open_until_it_is_withdrawn_or_expected: "an intent stays open until it is withdrawn, its task is expected, or a delivery names it",
    open_intents_come_in_order_and_by_age: "open_intents come in the order of their making",
    a_delivery_closes_the_intent_that_it_names: "a delivery that names an open intent closes it and makes its task expected",
    a_delivery_without_a_task_leaves_the_intent: "one of which no task can be read leaves the intent as it is",
    a_delivery_that_names_no_open_intent_expects_nothing: "a delivery that names an open intent closes it",
    a_task_is_expected_once: "another expect changes nothing but closes its intent",
    a_task_is_due_from_its_moment_on: "a task is due from its moment on, the longest due first",
    a_task_that_is_asked_about_is_left_alone_until_its_lease_ends: "nobody else does before its lease ends, and from then on it is due again",
    racing_for_what_is_due_gives_each_task_to_one: "of any number of concurrent calls of due, one gets a task",
    a_task_with_its_last_event_needs_no_asking: "a task with one event of a last stage that is no dead letter needs no asking: due forgets it",
    an_earlier_stage_does_not_decide_a_task: "a task with one event of a last stage needs no asking",
    a_task_with_both_last_stages_is_asked_about: "one with both last stages, or with a dead letter, is asked about",
    a_task_with_a_dead_letter_is_asked_about: "one with both last stages, or with a dead letter, is asked about",
    what_is_forgotten_makes_room_for_what_is_behind_it: "a task is due from its moment on",
    only_the_latest_ticket_postpones_or_finishes: "only the ticket of the latest lease can postpone or finish; any other is lost and changes nothing",
    a_finished_task_is_due_no_more: "forgets a task about which nothing more is to be asked",
    purge_forgets_intents_by_age_and_tasks_never: "purge forgets intents with the keys of their age, and tasks never",
    the_ledger_survives_the_process: "returns only after what it wrote would survive a power cut",
}

/// A ledger and short words for what is done with it.
struct Desk {
    ledger: Arc<dyn TaskLedger>,
    /// The same store, as far as events are concerned.
    scene: Scene,
}

impl Desk {
    async fn fresh(bench: &dyn LedgerBench) -> Result<Self, Failed> {
        Ok(Self::at(bench.fresh().await?))
    }

    fn at(ledger: Arc<dyn TaskLedger>) -> Self {
        let store: Arc<dyn Inspect> = ledger.clone();
        Self {
            ledger,
            scene: Scene { store },
        }
    }

    async fn reopen(self, bench: &dyn LedgerBench) -> Result<Self, Failed> {
        let Self { ledger, scene } = self;
        drop(scene);
        match bench.reopen(ledger).await? {
            Some(ledger) => Ok(Self::at(ledger)),
            None => Err(Failed::NotApplicable),
        }
    }

    async fn intend(&self, number: u8, seconds: i64) -> Verdict {
        let intent = Intent::new(submit(number), at(seconds), Duration::from_secs(10));
        Ok(self.ledger.intend(intent).await?)
    }

    async fn expect(&self, task: &str, due_at: i64) -> Verdict {
        Ok(self.ledger.expect(expected(task, due_at)?).await?)
    }

    /// The intents that were made before a moment, by number.
    async fn open(&self, before: i64) -> Result<Vec<u8>, Failed> {
        let open = self.ledger.open_intents(at(before), 9).await?;
        Ok(open.iter().map(|intent| intent.submit.bytes()[0]).collect())
    }

    async fn due(&self, seconds: i64, tasks_max: usize) -> Result<Vec<Due>, Failed> {
        let request = DueRequest::new(at(seconds), LEASE, tasks_max);
        Ok(self.ledger.due(request).await?)
    }

    /// Takes what is due, by name.
    async fn due_names(&self, seconds: i64, tasks_max: usize) -> Result<Vec<String>, Failed> {
        let due = self.due(seconds, tasks_max).await?;
        Ok(due
            .iter()
            .map(|due| due.ticket.task_id.to_string())
            .collect())
    }

    /// Takes the one task that is due.
    async fn due_one(&self, seconds: i64) -> Result<DueTicket, Failed> {
        match &self.due(seconds, 9).await?[..] {
            [due] => Ok(due.ticket.clone()),
            due => Err(Failed::Wrong(format!(
                "expected one task that is due, got {}",
                due.len()
            ))),
        }
    }

    /// Ends the one event that there is to claim.
    async fn settle(&self, settlement: Settlement) -> Verdict {
        let claim = self.scene.claim_one(0).await?;
        let held = self.scene.settle(claim.ticket, settlement).await?;
        expect("settled", held, Held::Held)
    }
}

fn submit(number: u8) -> SubmitId {
    SubmitId::from_bytes([number; 16])
}

fn task_id(task: &str) -> Result<TaskId, Failed> {
    TaskId::new(task).map_err(|err| Failed::Wrong(format!("the case is broken: {err}")))
}

fn expected(task: &str, due_at: i64) -> Result<Expected, Failed> {
    let mut expected = Expected::new(task_id(task)?, at(0), Duration::ZERO);
    expected.due_at = at(due_at);
    Ok(expected)
}

fn dead() -> Settlement {
    Settlement::Dead {
        reason: "why".to_owned(),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn an_intent_is_open_until_it_is_withdrawn_or_expected(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    for number in 1..=3 {
        desk.intend(number, 0).await?;
    }
    expect("intents", desk.open(1).await?, vec![1, 2, 3])?;
    desk.ledger.withdraw(submit(1)).await?;
    let expected = expected("t", 10)?.with_submit(submit(3));
    desk.ledger.expect(expected).await?;
    expect("intents that are left", desk.open(1).await?, vec![2])?;
    desk.ledger.withdraw(submit(9)).await?;
    expect("withdrawn in vain", desk.open(1).await?, vec![2])
}

async fn open_intents_come_in_order_and_by_age(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
        desk.intend(number, seconds).await?;
    }
    expect("before 40 s", desk.open(40).await?, vec![2, 3, 1])?;
    expect("before 10 s", desk.open(10).await?, vec![])?;
    let two = desk.ledger.open_intents(at(99), 2).await?;
    let intended = two.iter().map(|intent| (intent.intended_at, intent.due_at));
    expect(
        "the oldest two",
        intended.collect(),
        vec![(at(10), at(20)), (at(20), at(30))],
    )
}

async fn a_delivery_closes_the_intent_that_it_names(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.intend(1, 0).await?;
    desk.intend(2, 0).await?;
    let first = delivery("t", "first")?.with_submit(Some(submit(1)));
    desk.scene.accept(first.clone()).await?;
    // Trusted, not understood, but the task can be read.
    let mut strange = raw_delivery(r#"{"code":{},"data":{"task_id":"u"}}"#, 0)?;
    strange = strange.with_submit(Some(submit(2)));
    desk.scene.accept(strange).await?;
    expect("intents", desk.open(1).await?, vec![])?;
    expect("before it is due", desk.due_names(9, 9).await?, names(&[]))?;
    let mut due = desk.due_names(10, 9).await?;
    due.sort();
    expect("due", due, names(&["t", "u"]))?;
    // The same again finds nothing to close.
    desk.scene.accept(first).await?;
    expect("due again", desk.due_names(11, 9).await?, names(&[]))
}

async fn a_delivery_without_a_task_leaves_the_intent(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.intend(1, 0).await?;
    let unread = raw_delivery("{", 0)?.with_submit(Some(submit(1)));
    desk.scene.accept(unread).await?;
    expect("intents", desk.open(1).await?, vec![1])
}

async fn a_delivery_that_names_no_open_intent_expects_nothing(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    let first = delivery("t", "first")?;
    desk.scene
        .accept(first.with_submit(Some(submit(1))))
        .await?;
    expect("due", desk.due_names(99, 9).await?, names(&[]))
}

async fn a_task_is_expected_once(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.intend(1, 0).await?;
    desk.expect("t", 10).await?;
    let again = expected("t", 90)?.with_submit(submit(1));
    desk.ledger.expect(again).await?;
    expect("intents", desk.open(1).await?, vec![])?;
    expect("due", desk.due_names(10, 9).await?, names(&["t"]))
}

async fn a_task_is_due_from_its_moment_on(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    for (task, due_at) in [("b", 20), ("a", 30), ("c", 10), ("d", 31)] {
        desk.expect(task, due_at).await?;
    }
    expect("before", desk.due_names(9, 9).await?, names(&[]))?;
    expect("none asked for", desk.due_names(30, 0).await?, names(&[]))?;
    expect("two", desk.due_names(30, 2).await?, names(&["c", "b"]))?;
    expect("the rest", desk.due_names(30, 9).await?, names(&["a"]))
}

async fn a_task_that_is_asked_about_is_left_alone_until_its_lease_ends(
    bench: &dyn LedgerBench,
) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.expect("t", 10).await?;
    let first = desk.due_one(10).await?;
    let end = 10 + 60;
    expect("during", desk.due_names(end - 1, 9).await?, names(&[]))?;
    let second = desk.due_one(end).await?;
    expect("another ticket", second == first, false)
}

async fn racing_for_what_is_due_gives_each_task_to_one(bench: &dyn LedgerBench) -> Verdict {
    const TASKS: usize = 20;
    let desk = Desk::fresh(bench).await?;
    for number in 0..TASKS {
        desk.expect(&format!("t{number}"), 0).await?;
    }
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let ledger = Arc::clone(&desk.ledger);
        racers.spawn(async move { ledger.due(DueRequest::new(at(1), LEASE, 7)).await });
    }
    let mut taken = Vec::new();
    while let Some(raced) = racers.join_next().await {
        let due = raced.map_err(|err| Failed::Wrong(err.to_string()))??;
        taken.extend(due.into_iter().map(|due| due.ticket.task_id));
    }
    let distinct: BTreeSet<_> = taken.iter().collect();
    expect("tasks", (taken.len(), distinct.len()), (TASKS, TASKS))
}

async fn a_task_with_its_last_event_needs_no_asking(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    for (task, word) in [("ready", "complete"), ("failed", "failed")] {
        desk.expect(task, 0).await?;
        desk.scene.accept_stages(task, &["first", word]).await?;
    }
    expect("due", desk.due_names(1, 9).await?, names(&[]))?;
    // They are forgotten: a dead letter that comes of them later brings them not back.
    for claim in desk.scene.claim(1, 9).await? {
        desk.scene.settle(claim.ticket, dead()).await?;
    }
    for claim in desk.scene.claim(1, 9).await? {
        desk.scene.settle(claim.ticket, dead()).await?;
    }
    expect("due later", desk.due_names(99, 9).await?, names(&[]))
}

async fn an_earlier_stage_does_not_decide_a_task(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.expect("t", 0).await?;
    let stages = ["text", "first", "mixed"];
    desk.scene.accept_stages("t", &stages).await?;
    expect("due", desk.due_names(1, 9).await?, names(&["t"]))
}

async fn a_task_with_both_last_stages_is_asked_about(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    for (task, words) in [("t", ["failed", "complete"]), ("u", ["complete", "failed"])] {
        desk.expect(task, 0).await?;
        desk.scene.accept_stages(task, &words).await?;
    }
    let mut due = desk.due_names(1, 9).await?;
    due.sort();
    expect("due", due, names(&["t", "u"]))
}

async fn a_task_with_a_dead_letter_is_asked_about(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.expect("t", 0).await?;
    desk.scene.accept_stages("t", &["complete"]).await?;
    desk.settle(dead()).await?;
    expect("due", desk.due_names(1, 9).await?, names(&["t"]))?;
    // Redriven, it is no dead letter any more.
    let event = desk.scene.find_one("t").await?.id;
    let redriven = desk.scene.store.redrive(event).await?;
    expect("redriven", redriven, Redriven::Ready)?;
    expect("due after that", desk.due_names(99, 9).await?, names(&[]))
}

async fn what_is_forgotten_makes_room_for_what_is_behind_it(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    for number in 0..5 {
        let task = format!("t{number}");
        desk.expect(&task, number).await?;
        if number < 4 {
            desk.scene.accept_stages(&task, &["complete"]).await?;
        }
    }
    expect("due", desk.due_names(9, 1).await?, names(&["t4"]))
}

async fn only_the_latest_ticket_postpones_or_finishes(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.expect("t", 0).await?;
    let zombie = desk.due_one(0).await?;
    let ticket = desk.due_one(60).await?;
    let ledger = &desk.ledger;
    expect(
        "postponed",
        ledger.postpone(&zombie, at(0)).await?,
        Held::Lost,
    )?;
    expect("finished", ledger.finish(&zombie).await?, Held::Lost)?;
    expect("left alone", desk.due_names(61, 9).await?, names(&[]))?;
    expect(
        "postponed",
        ledger.postpone(&ticket, at(500)).await?,
        Held::Held,
    )?;
    expect("until then", desk.due_names(499, 9).await?, names(&[]))?;
    let ticket = desk.due_one(500).await?;
    expect("finished", ledger.finish(&ticket).await?, Held::Held)?;
    expect("finished again", ledger.finish(&ticket).await?, Held::Lost)?;
    let unknown = DueTicket {
        task_id: task_id("unknown")?,
        epoch: 1,
    };
    expect(
        "unknown",
        ledger.postpone(&unknown, at(0)).await?,
        Held::Lost,
    )
}

async fn a_finished_task_is_due_no_more(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.expect("t", 0).await?;
    desk.expect("u", 0).await?;
    for due in desk.due(0, 9).await? {
        if due.ticket.task_id.as_str() == "t" {
            desk.ledger.finish(&due.ticket).await?;
        }
    }
    expect("due", desk.due_names(1_000, 9).await?, names(&["u"]))
}

async fn purge_forgets_intents_by_age_and_tasks_never(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    for (number, seconds) in [(1, 99), (2, 100)] {
        desk.intend(number, seconds).await?;
    }
    desk.expect("t", 0).await?;
    let mut request = PurgeRequest::at(at(0));
    request.bodies_before = at(1_000);
    request.keys_before = at(100);
    desk.ledger.purge(request).await?;
    expect("intents", desk.open(1_000).await?, vec![2])?;
    expect("due", desk.due_names(1_000, 9).await?, names(&["t"]))
}

async fn the_ledger_survives_the_process(bench: &dyn LedgerBench) -> Verdict {
    let desk = Desk::fresh(bench).await?;
    desk.intend(1, 0).await?;
    desk.intend(2, 0).await?;
    let early = delivery("early", "first")?.with_submit(Some(submit(2)));
    desk.scene.accept(early).await?;
    desk.expect("asked", 0).await?;
    let ticket = desk.due_one(0).await?;
    let desk = desk.reopen(bench).await?;
    expect("intents", desk.open(1).await?, vec![1])?;
    expect("due", desk.due_names(10, 9).await?, names(&["early"]))?;
    let postponed = desk.ledger.postpone(&ticket, at(20)).await?;
    expect("the ticket", postponed, Held::Held)?;
    expect("due later", desk.due_names(20, 9).await?, names(&["asked"]))
}
