//! The suite fails for each ledger that breaks a sentence of the contract: in the case that is there
//! for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use suno_callback::conformance::{ManualClock, VolatileBench, check_only};
use suno_callback::{
    Acceptance, Counts, Delivery, DueRequest, DueTasks, DueTicket, ExpectedTask, IdempotencyStore,
    Intent, MemoryStore, OpenIntent, PollState, Postponement, PurgeReport, PurgeRequest,
    RecordedSubmit, RecordedTask, Reference, StoreError, SubmitId,
};
use suno_testkit::wrapper::{Faults, Wrapped, Wrapper};
use suno_types::TaskId;

type Result<T> = std::result::Result<T, StoreError>;

/// What a ledger does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breach {
    PassesOverSubmits,
    ExpectsFromTheDelivery,
    WithdrawsNothing,
    ListsTheNewestFirst,
    ListsEveryAge,
    LeavesTheIntent,
    ExpectsEveryTime,
    TakesTheLatestFirst,
    SaysNothingOfTheNext,
    LeasesNothing,
    LeasesTooLong,
    AsksForEver,
    BelievesZombies,
    FinishesWhatIsPostponed,
    CountsNoAnswers,
    KeepsIntents,
    ForgetsTasks,
    FindsOpenSubmitsOnly,
    FindsSubmitsLate,
    ListsTheOldestExpectedFirst,
    BeginsTheListAnew,
    TakesEveryTaskAsWaiting,
    ForgetsTheSubmit,
    CountsAskedTasksAsOverdue,
}

use Breach::*;

/// Each breach with the case that is there for it.
const BREACHES: [(Breach, &str); 24] = [
    (
        ListsTheOldestExpectedFirst,
        "expected_tasks_are_listed_latest_first_and_in_pages",
    ),
    (
        BeginsTheListAnew,
        "a_list_that_is_continued_neither_repeats_nor_skips",
    ),
    (
        TakesEveryTaskAsWaiting,
        "an_expected_task_says_when_it_is_asked_about",
    ),
    (
        ForgetsTheSubmit,
        "a_submit_is_known_after_its_task_was_forgotten_until_it_is_purged",
    ),
    (
        CountsAskedTasksAsOverdue,
        "expected_and_overdue_tasks_and_open_intents_are_counted",
    ),
    (
        FindsOpenSubmitsOnly,
        "the_submits_of_a_reference_are_found_open_and_closed",
    ),
    (
        FindsSubmitsLate,
        "racing_submits_of_a_reference_see_each_other",
    ),
    (
        PassesOverSubmits,
        "a_delivery_closes_the_intent_that_it_names",
    ),
    (
        ExpectsFromTheDelivery,
        "a_delivery_that_names_no_open_intent_expects_nothing",
    ),
    (
        WithdrawsNothing,
        "an_intent_is_open_until_it_is_withdrawn_or_expected",
    ),
    (ListsTheNewestFirst, "open_intents_are_listed_oldest_first"),
    (ListsEveryAge, "open_intents_are_listed_by_age_and_in_pages"),
    (LeavesTheIntent, "a_task_is_expected_once"),
    (ExpectsEveryTime, "a_task_is_expected_once"),
    (TakesTheLatestFirst, "a_task_is_due_after_its_delay"),
    (
        SaysNothingOfTheNext,
        "the_answer_says_when_the_next_task_is_due",
    ),
    (
        LeasesNothing,
        "a_task_that_was_taken_is_due_again_when_its_lease_has_ended",
    ),
    (
        LeasesTooLong,
        "a_task_that_was_taken_is_due_again_when_its_lease_has_ended",
    ),
    (AsksForEver, "a_task_with_its_last_event_needs_no_asking"),
    (
        BelievesZombies,
        "only_the_latest_ticket_postpones_or_finishes",
    ),
    (
        FinishesWhatIsPostponed,
        "only_the_latest_ticket_postpones_or_finishes",
    ),
    (CountsNoAnswers, "a_postponement_counts_answers"),
    (
        KeepsIntents,
        "purging_forgets_intents_by_age_and_tasks_never",
    ),
    (
        ForgetsTasks,
        "purging_forgets_intents_by_age_and_tasks_never",
    ),
];

#[tokio::test(start_paused = true)]
async fn ledgers_that_break_a_sentence_are_caught() {
    for (breach, case) in BREACHES {
        let make = move |clock| -> Arc<dyn IdempotencyStore> {
            Arc::new(Wrapped(WrongLedger::new(breach, clock)))
        };
        let report = check_only(&VolatileBench::new(make), &[case]).await;
        assert_eq!(report.broken().len(), 1, "{breach:?} passes {case}");
    }
}

/// A store in memory whose ledger breaks one sentence of the contract.
#[derive(Debug)]
struct WrongLedger {
    breach: Breach,
    store: MemoryStore,
    /// Where events go that the ledger does not see.
    unseen: MemoryStore,
    faults: Faults,
    /// The latest ticket of each task.
    latest: Mutex<HashMap<TaskId, DueTicket>>,
}

impl WrongLedger {
    fn new(breach: Breach, clock: ManualClock) -> Self {
        Self {
            breach,
            store: MemoryStore::with_clock(clock.clone()),
            unseen: MemoryStore::with_clock(clock),
            faults: Faults::default(),
            latest: Mutex::default(),
        }
    }

    fn is(&self, breach: Breach) -> bool {
        self.breach == breach
    }

    fn latest(&self, task_id: &TaskId) -> Option<DueTicket> {
        self.latest.lock().unwrap().get(task_id).cloned()
    }

    /// The ticket that this ledger takes another one for.
    fn believed(&self, ticket: &DueTicket) -> DueTicket {
        match self.latest(&ticket.task_id) {
            Some(latest) if self.is(BelievesZombies) => latest,
            _ => ticket.clone(),
        }
    }
}

#[async_trait]
impl Wrapper for WrongLedger {
    fn inner(&self) -> &dyn IdempotencyStore {
        &self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>> {
        let mut deliveries = deliveries.to_vec();
        for delivery in &mut deliveries {
            match (self.breach, delivery.task_id()) {
                (PassesOverSubmits, _) => delivery.submit = None,
                (ExpectsFromTheDelivery, Some(task_id)) => {
                    let task = ExpectedTask::new(task_id.clone(), Duration::ZERO);
                    self.store.expect(&task).await?;
                }
                _ => {}
            }
        }
        match self.breach {
            AsksForEver => self.unseen.accept(&deliveries).await,
            _ => self.store.accept(&deliveries).await,
        }
    }

    async fn claim(&self, request: &suno_callback::ClaimRequest) -> Result<suno_callback::Claims> {
        match self.breach {
            AsksForEver => self.unseen.claim(request).await,
            _ => self.store.claim(request).await,
        }
    }

    async fn withdraw(&self, submit: SubmitId) -> Result<()> {
        match self.breach {
            WithdrawsNothing => Ok(()),
            _ => self.store.withdraw(submit).await,
        }
    }

    async fn open_intents(
        &self,
        mut open_for: Duration,
        after: Option<u64>,
        intents_max: u32,
    ) -> Result<Vec<OpenIntent>> {
        if self.is(ListsEveryAge) {
            open_for = Duration::ZERO;
        }
        let mut open = self
            .store
            .open_intents(open_for, after, intents_max)
            .await?;
        if self.is(ListsTheNewestFirst) {
            open.reverse();
        }
        Ok(open)
    }

    async fn submits(&self, reference: &Reference, most: u32) -> Result<Vec<RecordedSubmit>> {
        let mut found = self.store.submits(reference, most).await?;
        match self.breach {
            FindsOpenSubmitsOnly => found.retain(|one| one.task_id.is_none()),
            FindsSubmitsLate => found.truncate(1),
            _ => {}
        }
        Ok(found)
    }

    async fn intend(&self, intent: &Intent) -> Result<()> {
        self.store.intend(intent).await
    }

    async fn expect(&self, task: &ExpectedTask) -> Result<()> {
        let mut task = task.clone();
        match (self.breach, self.latest(&task.task_id)) {
            (LeavesTheIntent, _) => task.submit = None,
            // Takes it as a new one.
            (ExpectsEveryTime, Some(ticket)) => drop(self.store.finish(&ticket).await?),
            _ => {}
        }
        self.store.expect(&task).await
    }

    async fn expected_tasks(&self, before: Option<u64>, most: u32) -> Result<Vec<RecordedTask>> {
        let before = before.filter(|_| !self.is(BeginsTheListAnew));
        let mut tasks = self.store.expected_tasks(before, most).await?;
        if self.is(ListsTheOldestExpectedFirst) {
            tasks.reverse();
        }
        Ok(tasks)
    }

    async fn recorded_tasks(&self, task_ids: &[TaskId]) -> Result<Vec<RecordedTask>> {
        let mut tasks = self.store.recorded_tasks(task_ids).await?;
        for task in &mut tasks {
            match (self.breach, &mut task.expectation) {
                (TakesEveryTaskAsWaiting, Some(expectation)) => {
                    let (PollState::Asked { holds_for: due_in }
                    | PollState::Due { due_for: due_in }) = expectation.poll
                    else {
                        continue;
                    };
                    expectation.poll = PollState::Waiting { due_in };
                }
                (ForgetsTheSubmit, None) => *task = RecordedTask::new(task.task_id.clone()),
                _ => {}
            }
        }
        Ok(tasks)
    }

    async fn counts(&self) -> Result<Counts> {
        let mut counts = self.store.counts().await?;
        if self.is(CountsAskedTasksAsOverdue) && !self.latest.lock().unwrap().is_empty() {
            counts.overdue = 1;
        }
        Ok(counts)
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks> {
        let mut request = *request;
        match self.breach {
            LeasesNothing => request.lease = Duration::ZERO,
            LeasesTooLong => request.lease += Duration::from_secs(5),
            _ => {}
        }
        let mut due = self.store.due(&request).await?;
        match self.breach {
            TakesTheLatestFirst => due.tasks.reverse(),
            SaysNothingOfTheNext => due.next_due = None,
            CountsNoAnswers => due.tasks.iter_mut().for_each(|task| task.answers = 0),
            _ => {}
        }
        let tickets = due.tasks.iter().map(|task| task.ticket.clone());
        let latest = tickets.map(|ticket| (ticket.task_id.clone(), ticket));
        self.latest.lock().unwrap().extend(latest);
        Ok(due)
    }

    async fn postpone(&self, ticket: &DueTicket, postponement: Postponement) -> Result<bool> {
        let ticket = self.believed(ticket);
        match self.breach {
            FinishesWhatIsPostponed => self.store.finish(&ticket).await,
            _ => self.store.postpone(&ticket, postponement).await,
        }
    }

    async fn finish(&self, ticket: &DueTicket) -> Result<bool> {
        self.store.finish(&self.believed(ticket)).await
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<PurgeReport> {
        let mut request = *request;
        match self.breach {
            KeepsIntents => request.keys_after = Duration::MAX,
            ForgetsTasks => {
                let all = DueRequest::new(Duration::from_secs(60), usize::MAX);
                for task in self.store.due(&all).await?.tasks {
                    self.store.finish(&task.ticket).await?;
                }
            }
            _ => {}
        }
        self.store.purge(&request).await
    }
}
