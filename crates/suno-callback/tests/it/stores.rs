//! The suite passes for the stores in memory, and fails for each store that breaks a sentence of the
//! contract: in the case that is there for it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use suno_callback::conformance::{Bench, ManualClock, VolatileBench, check, check_only};
use suno_callback::{EventId, IdempotencyStore, MemoryStore, StoreError};
use suno_testkit::wrapper::Wrapped;

use crate::wrong_store::Breach::{self, *};
use crate::wrong_store::{Shared, WrongStore};

#[tokio::test(start_paused = true)]
async fn the_store_in_memory_keeps_the_contract() {
    let bench = VolatileBench::new(|clock| Arc::new(MemoryStore::with_clock(clock)));
    let report = check(&bench).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.kept().len() > 140, "{report}");
}

#[tokio::test(start_paused = true)]
async fn the_wrapper_around_it_changes_nothing_and_can_be_opened_again_and_damaged() {
    let report = check(&WrongBench::new(Nothing)).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.not_applicable().is_empty(), "{report}");
}

/// Checks that each store fails the case that is there for it.
async fn assert_caught(breaches: &[(Breach, &str)]) {
    for (breach, case) in breaches {
        let report = check_only(&WrongBench::new(*breach), &[case]).await;
        assert_eq!(report.broken().len(), 1, "{breach:?} passes {case}");
    }
}

#[tokio::test(start_paused = true)]
async fn stores_that_break_general_sentences_are_caught() {
    assert_caught(&[
        (
            AcceptsOneByOne,
            "a_slice_that_is_cut_off_is_stored_completely_or_not_at_all",
        ),
        (
            SettlesAndClaimsApart,
            "a_claim_request_that_is_cut_off_settles_and_claims_or_does_neither",
        ),
        (
            BelievesZombies,
            "any_sequence_of_operations_does_what_the_contract_says",
        ),
        (ForgetsAtTheEnd, "what_was_accepted_survives_the_process"),
        (
            ForgetsAtTheEnd,
            "a_settled_event_stays_known_after_the_process",
        ),
        (
            ForgetsAtTheEnd,
            "intents_and_expected_tasks_survive_the_process",
        ),
        (
            FollowsTheSystemClock,
            "steps_of_the_system_clock_change_nothing",
        ),
        (
            CountsAgesFromTheReceipt,
            "the_time_of_receipt_decides_nothing",
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn stores_that_accept_otherwise_are_caught() {
    assert_caught(&[
        (
            AnswersInReverse,
            "a_slice_is_accepted_and_answered_in_its_order",
        ),
        (LooksThenWrites, "racing_deliveries_are_one_event"),
        (
            KnowsBytesOnly,
            "the_same_said_in_other_bytes_is_a_duplicate",
        ),
        (
            KnowsMeaningOnly,
            "the_same_bytes_are_a_duplicate_however_they_were_understood",
        ),
        (
            SeesNoConflicts,
            "another_thing_said_is_a_conflict_and_kept_once",
        ),
        (
            CountsConflictsTogether,
            "conflicts_are_counted_for_each_event",
        ),
        (
            KeepsEveryConflict,
            "an_event_keeps_a_bounded_number_of_conflicts",
        ),
        (TakesStagesForTasks, "a_stage_after_a_later_one_is_late"),
        (
            ConfirmsEverything,
            "an_unconfirmed_event_makes_no_other_late",
        ),
        (
            ConfirmsNothing,
            "a_confirmation_that_says_the_same_confirms",
        ),
        (
            IgnoresNudges,
            "another_delivery_makes_an_unconfirmed_event_ready",
        ),
        (
            DropsWhatItDoesNotUnderstand,
            "what_was_not_understood_is_kept_once",
        ),
        (TakesEveryStage, "a_task_has_a_bounded_number_of_events"),
        (
            DropsWithoutCounting,
            "the_quarantine_is_bounded_and_counts_what_it_drops",
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn stores_that_claim_otherwise_are_caught() {
    assert_caught(&[
        (GrantsTwice, "of_racing_claims_one_is_granted"),
        (TakesLiveClaims, "a_live_claim_is_never_taken"),
        (
            LeasesTooLong,
            "a_lapsed_claim_can_be_taken_exactly_at_its_end",
        ),
        (CountsNoAttempts, "each_claim_counts_an_attempt"),
        (CountsNoLapses, "each_lapse_is_counted_until_a_settlement"),
        (
            TakesStagesForTasks,
            "stages_of_a_task_are_claimed_one_at_a_time_and_in_order",
        ),
        (
            TakesStagesForTasks,
            "a_stage_that_waits_does_not_hold_up_a_later_one",
        ),
        (NewestFirst, "what_arrived_first_is_claimed_first"),
        (GrantsTooMany, "no_more_is_claimed_than_was_asked_for"),
        (NeverSaysMore, "a_claim_says_whether_there_is_more_and_when"),
        (
            SuspectsNothing,
            "a_suspected_event_is_left_by_a_worker_that_runs_others",
        ),
        (AnswersOnce, "a_repeated_request_is_given_the_same_claims"),
        (LosesBodies, "a_claim_carries_what_was_accepted"),
        (
            AgesFromTheClaim,
            "a_claim_says_for_how_long_the_event_has_been_waiting",
        ),
        (
            OverlooksDamage,
            "a_damaged_event_becomes_a_dead_letter_and_keeps_up_no_other",
        ),
        (SleepsThrough, "a_delivery_ends_a_wait"),
        (NeverReturns, "a_wait_ends_no_later_than_it_was_told"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn stores_that_settle_otherwise_are_caught() {
    assert_caught(&[
        (BelievesZombies, "a_zombie_can_neither_settle_nor_extend"),
        (ForgetsWhatWasSettled, "settling_twice_changes_nothing"),
        (DoesNotWait, "a_retry_waits_until_it_is_due"),
        (BuriesNothing, "a_dead_letter_is_kept_and_not_claimed"),
        (
            CountsReleases,
            "a_released_event_is_as_if_it_had_not_been_claimed",
        ),
        (MixesUpAnswers, "settlements_are_answered_in_their_order"),
        (
            ClaimsBeforeItSettles,
            "settlements_come_before_the_claims_of_their_request",
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn stores_that_list_redrive_and_purge_otherwise_are_caught() {
    assert_caught(&[
        (SkipsARecord, "pages_neither_repeat_nor_skip"),
        (EndsAfterAPage, "pages_neither_repeat_nor_skip"),
        (FiltersNoStates, "a_list_contains_the_events_of_a_state"),
        (FiltersNoTimes, "a_list_contains_the_events_of_a_time"),
        (
            RedrivesWhatIsSuperseded,
            "what_a_done_event_supersedes_is_redriven_only_if_asked_for",
        ),
        (
            RequeuesWithoutTaking,
            "a_requeued_delivery_is_accepted_as_it_is_understood_now",
        ),
        (
            DecidesNothing,
            "a_decision_makes_a_superseded_last_stage_ready",
        ),
        (ForgetsKeysWithBodies, "a_purged_body_leaves_the_key_known"),
        (
            PurgesDeadLettersWithKeys,
            "dead_letters_are_purged_by_an_age_of_their_own",
        ),
        (PurgesAtOnce, "purging_looks_at_a_bounded_number_of_events"),
        (CountsWaitingAsReady, "counts_add_up"),
        (
            ListsConflictsInReverse,
            "conflicts_are_returned_in_the_order_in_which_they_were_kept",
        ),
        (
            HandlesWhatItAdopts,
            "an_adopted_event_keeps_its_state_and_is_adopted_once",
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sequence_that_fails_is_made_short() {
    let case = "any_sequence_of_operations_does_what_the_contract_says";
    let report = check_only(&WrongBench::new(CountsReleases), &[case]).await;
    let what = &report.broken()[0].what;
    let operations = [
        what.matches("Accept {").count(),
        what.matches("Claim {").count(),
    ];
    // An operation that was needed before the others became simpler is not tried again.
    assert!(operations[0] <= 2 && operations[1] <= 3, "{what}");
}

#[tokio::test]
async fn a_broken_sentence_is_reported_with_its_number_and_its_text() {
    let case = "a_live_claim_is_never_taken";
    let report = check_only(&WrongBench::new(TakesLiveClaims), &[case]).await;
    let broken = &report.broken()[0];
    assert_eq!((broken.case, broken.id), (case, "C2"));
    assert!(broken.sentence.starts_with("A live claim is never taken."));
    let text = report.to_string();
    let expected = "0 cases kept, 1 broken, 0 not applicable\na_live_claim_is_never_taken: claims";
    assert!(text.starts_with(expected), "{text}");
    assert!(
        text.contains("\n  C2: A live claim is never taken."),
        "{text}"
    );
}

/// Where the wrong stores come from.
struct WrongBench {
    breach: Breach,
    clock: ManualClock,
    latest: Mutex<Option<Shared>>,
}

impl WrongBench {
    fn new(breach: Breach) -> Self {
        Self {
            breach,
            clock: ManualClock::new(),
            latest: Mutex::default(),
        }
    }

    fn make(&self) -> Shared {
        let store = WrongStore::new(self.breach, self.clock.clone());
        let store = Arc::new(Wrapped(store));
        *self.latest.lock().unwrap() = Some(Arc::clone(&store));
        store
    }
}

#[async_trait]
impl Bench for WrongBench {
    async fn fresh(&self) -> Result<Arc<dyn IdempotencyStore>, StoreError> {
        Ok(self.make())
    }

    /// The memory outlives the process, unless that is what is wrong.
    async fn reopen(
        &self,
        store: Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        Ok(Some(match self.breach {
            ForgetsAtTheEnd => self.make(),
            _ => store,
        }))
    }

    async fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    async fn another(
        &self,
        store: &Arc<dyn IdempotencyStore>,
    ) -> Result<Option<Arc<dyn IdempotencyStore>>, StoreError> {
        Ok(Some(Arc::clone(store)))
    }

    async fn step_wall_clock(&self, seconds: i64) -> bool {
        self.clock.step_wall(SignedDuration::from_secs(seconds));
        true
    }

    async fn damage(&self, _: &Arc<dyn IdempotencyStore>, event: EventId) -> bool {
        let latest = self.latest.lock().unwrap();
        let damaged = &latest.as_ref().unwrap().0.damaged;
        damaged.lock().unwrap().insert(event)
    }
}
