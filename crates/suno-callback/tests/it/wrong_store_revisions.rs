//! Stores in memory that are wrong about revisions, or about what an event keeps of its address: each
//! fails the case that is there for it.

use std::sync::Arc;

use async_trait::async_trait;
use suno_callback::conformance::{ManualClock, VolatileBench, check, check_only};
use suno_callback::{
    Acceptance, Claim, ClaimRequest, Claims, Content, Delivery, DueRequest, DueTasks, EventId,
    EventKey, EventRecord, EventState, IdempotencyStore, ListRequest, MemoryStore, Page, Redrive,
    RedriveResult, StoreError,
};
use suno_testkit::wrapper::{Faults, Wrapped, Wrapper};
use suno_types::{TaskId, TaskKind};

type Result<T> = std::result::Result<T, StoreError>;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breach {
    /// None of it: the suite must not fail because of the wrapper.
    Nothing,
    SeesNoRevisions,
    RevisesWhateverDiffers,
    RevisesWithoutBound,
    RevisesWhatWillBeAskedAbout,
    NumbersNoRevisions,
    CountsNoResults,
    TakesRevisionsForTasks,
    MakesNoRevisionLate,
    RedrivesEarlierRevisions,
    TrustsEveryRecord,
    TrustsNoRecord,
    BelievesDoneRevisions,
    LosesSuffixes,
    LosesReferences,
    NamesOneDelivery,
    GivesReferencesToAll,
    LosesKinds,
}

use Breach::*;

#[derive(Debug)]
struct WrongStore {
    breach: Breach,
    store: MemoryStore,
    faults: Faults,
}

impl WrongStore {
    fn create(breach: Breach, clock: ManualClock) -> Arc<dyn IdempotencyStore> {
        Arc::new(Wrapped(Self {
            breach,
            store: MemoryStore::with_clock(clock),
            faults: Faults::default(),
        }))
    }

    fn is(&self, breach: Breach) -> bool {
        self.breach == breach
    }

    /// The events that the stage of a delivery has.
    async fn of_stage(&self, delivery: &Delivery) -> Result<Vec<EventRecord>> {
        let Content::Event { key, .. } = &delivery.content else {
            return Ok(Vec::new());
        };
        let mut events = self.store.find(key.task_id()).await?;
        events.retain(|event| event.key.stage() == key.stage());
        Ok(events)
    }

    /// The delivery as this store sees it.
    async fn seen_as(&self, mut delivery: Delivery) -> Result<Delivery> {
        let events = self.of_stage(&delivery).await?;
        let most = events.iter().map(|event| event.results).max();
        if self.is(NamesOneDelivery) && !events.is_empty() {
            delivery.submit = None;
        }
        let is_unconfirmed = delivery.unconfirmed;
        let Content::Event { key, results, .. } = &mut delivery.content else {
            return Ok(delivery);
        };
        match self.breach {
            SeesNoRevisions => *results = 0,
            RevisesWhateverDiffers => *results = most.map_or(0, |most| most + 1),
            TrustsEveryRecord if !is_unconfirmed && most > Some(*results) => *results = u16::MAX,
            TrustsNoRecord if !events.is_empty() => delivery.unconfirmed = true,
            BelievesDoneRevisions => {
                let done = events
                    .iter()
                    .filter(|event| event.state == EventState::Done);
                let done = done.map(|event| event.results).max();
                if done >= Some(*results) {
                    *results = 0;
                }
            }
            TakesRevisionsForTasks if most < Some(*results) && !events.is_empty() => {
                let name = format!("{}.{results}", key.task_id());
                *key = EventKey::new(TaskId::new(name).unwrap(), key.stage().clone());
            }
            _ => {}
        }
        Ok(delivery)
    }

    fn changed_answer(&self, delivery: &Delivery, accepted: Acceptance) -> Acceptance {
        match (self.breach, accepted) {
            (RevisesWithoutBound, Acceptance::Conflict) => Acceptance::Revised,
            (RevisesWhatWillBeAskedAbout, Acceptance::Conflict) if delivery.unconfirmed => {
                Acceptance::Revised
            }
            (MakesNoRevisionLate, Acceptance::Late) => Acceptance::Revised,
            _ => accepted,
        }
    }

    fn change(&self, event: &mut EventRecord) {
        match self.breach {
            NumbersNoRevisions => event.key = event.key.clone().with_revision(0),
            CountsNoResults => event.results = 0,
            LosesSuffixes => event.suffix = None,
            LosesReferences => event.reference = None,
            GivesReferencesToAll if event.submit.is_some() => {
                event.reference = "order-42 ü".parse().ok();
            }
            _ => {}
        }
    }

    fn change_claim(&self, claim: &mut Claim) {
        match self.breach {
            NumbersNoRevisions => claim.key = claim.key.clone().with_revision(0),
            LosesKinds => claim.kind = None,
            _ => {}
        }
    }
}

#[async_trait]
impl Wrapper for WrongStore {
    fn inner(&self) -> &dyn IdempotencyStore {
        &self.store
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Acceptance>> {
        let mut answers = Vec::new();
        for delivery in deliveries {
            let seen = self.seen_as(delivery.clone()).await?;
            let accepted = self.store.accept(&[seen]).await?[0];
            answers.push(self.changed_answer(delivery, accepted));
        }
        Ok(answers)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        let mut claims = self.store.claim(request).await?;
        let changed = claims.claims.iter_mut();
        changed.for_each(|claim| self.change_claim(claim));
        Ok(claims)
    }

    async fn find(&self, task_id: &TaskId) -> Result<Vec<EventRecord>> {
        let mut events = self.store.find(task_id).await?;
        events.iter_mut().for_each(|event| self.change(event));
        Ok(events)
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>> {
        let mut page = self.store.list(request).await?;
        page.records.iter_mut().for_each(|event| self.change(event));
        Ok(page)
    }

    async fn redrive(&self, events: &[EventId], redrive: Redrive) -> Result<Vec<RedriveResult>> {
        let redrive = match self.breach {
            RedrivesEarlierRevisions => Redrive::EvenIfSuperseded,
            _ => redrive,
        };
        self.store.redrive(events, redrive).await
    }

    async fn due(&self, request: &DueRequest) -> Result<DueTasks> {
        let mut due = self.store.due(request).await?;
        if self.is(LosesKinds) {
            due.tasks
                .iter_mut()
                .for_each(|task| task.kind = TaskKind::default());
        }
        Ok(due)
    }
}

#[tokio::test(start_paused = true)]
async fn the_wrapper_changes_nothing_that_is_about_revisions_and_addresses() {
    let bench = VolatileBench::new(|clock| WrongStore::create(Nothing, clock));
    let report = check(&bench).await;
    let broken: Vec<_> = report.broken().iter().map(|broken| broken.case).collect();
    // The wrapper accepts a slice one by one.
    assert!(
        broken
            .iter()
            .all(|case| case.contains("cut_off") || case.contains("racing")),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn stores_that_are_wrong_about_revisions_or_addresses_are_caught() {
    for (breach, case) in [
        (SeesNoRevisions, "a_delivery_that_says_more_is_a_revision"),
        (
            RevisesWhateverDiffers,
            "a_delivery_that_says_other_or_less_is_a_conflict_of_the_latest_event",
        ),
        (
            RevisesWithoutBound,
            "a_stage_has_a_bounded_number_of_revisions",
        ),
        (
            RevisesWhatWillBeAskedAbout,
            "there_is_no_revision_while_the_latest_event_will_be_asked_about",
        ),
        (NumbersNoRevisions, "lists_and_counts_show_revisions"),
        (
            CountsNoResults,
            "a_revision_has_a_body_and_a_state_of_its_own",
        ),
        (
            TakesRevisionsForTasks,
            "revisions_are_claimed_one_at_a_time_and_in_order",
        ),
        (
            TakesRevisionsForTasks,
            "a_revision_supersedes_an_earlier_one_that_waits",
        ),
        (
            MakesNoRevisionLate,
            "a_revision_of_an_earlier_stage_is_late",
        ),
        (
            RedrivesEarlierRevisions,
            "what_a_done_revision_supersedes_is_redriven_only_if_asked_for",
        ),
        (
            TrustsEveryRecord,
            "a_record_that_says_no_more_confirms_no_revision",
        ),
        (
            TrustsNoRecord,
            "a_fuller_record_takes_the_place_of_an_unconfirmed_revision",
        ),
        (
            BelievesDoneRevisions,
            "what_an_unconfirmed_revision_claims_hides_nothing",
        ),
        (
            LosesSuffixes,
            "an_event_keeps_the_url_suffix_of_its_first_delivery",
        ),
        (
            LosesReferences,
            "an_event_carries_the_reference_of_its_submit",
        ),
        (
            NamesOneDelivery,
            "an_event_carries_the_reference_of_its_submit",
        ),
        (
            GivesReferencesToAll,
            "a_submit_of_another_task_has_no_reference",
        ),
        (
            GivesReferencesToAll,
            "purging_forgets_the_reference_of_a_closed_intent",
        ),
        (LosesKinds, "a_due_task_says_its_submit_and_kind"),
    ] {
        let bench = VolatileBench::new(move |clock| WrongStore::create(breach, clock));
        let report = check_only(&bench, &[case]).await;
        assert_eq!(report.broken().len(), 1, "{breach:?} passes {case}");
    }
}
