//! The suite passes for the store in memory, and fails for every store that is wrong on purpose.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_callback::conformance::{Bench, check};
use suno_callback::{
    Accepted, Claim, ClaimRequest, Content, Counts, Delivery, EventId, Fingerprint, Held,
    IdempotencyStore, Inspect, MemoryStore, Page, PurgeRequest, Purged, Quarantined, Record,
    Redriven, Settlement, StoreError, Ticket,
};
use suno_types::TaskId;

struct InMemory;

#[async_trait]
impl Bench for InMemory {
    async fn fresh(&self) -> Result<Arc<dyn Inspect>, StoreError> {
        Ok(Arc::new(MemoryStore::new()))
    }

    async fn reopen(&self, _: Arc<dyn Inspect>) -> Result<Option<Arc<dyn Inspect>>, StoreError> {
        Ok(None)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_in_memory_keeps_the_contract() {
    let report = check(&InMemory).await;
    assert!(report.broken().is_empty(), "{report}");
    assert!(report.kept().len() >= 40, "{report}");
    let not_applicable = [
        "what_was_accepted_survives_the_process",
        "a_settled_event_stays_known_after_the_process",
        "attempts_and_epochs_survive_the_process",
    ];
    assert_eq!(report.not_applicable(), not_applicable);
}

/// What a store gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing: the suite must not be caught by the wrapper itself.
    None,
    /// Forgets at the end of the process.
    Forgets,
    /// Looks, then writes: two that come together are both new.
    LooksThenWrites,
    /// Takes claims before they have ended.
    TakesLiveClaims,
    /// Takes claims a second after they have ended.
    WaitsTooLong,
    /// Lets whoever once had a claim settle it.
    BelievesZombies,
    /// Counts attempts when they are settled.
    CountsAtTheEnd,
    /// Knows a delivery by its bytes only.
    KnowsBytesOnly,
    /// Takes every delivery of a known key for the same.
    SeesNoConflicts,
    /// Forgets the order of stages: each task and stage is a task of its own.
    TakesStagesForTasks,
    /// Tries again at once.
    DoesNotWait,
    /// Purges by age alone.
    ForgetsKeysWithBodies,
    /// Answers settlements in the wrong order.
    MixesUpAnswers,
    /// Drops what it did not understand.
    DropsWhatItDoesNotKnow,
    /// Hands out the newest first.
    NewestFirst,
}

/// Each with the case that is there to catch it; others may fail too.
const FAULTS: [(Fault, &str); 14] = [
    (Fault::Forgets, "what_was_accepted_survives_the_process"),
    (Fault::LooksThenWrites, "racing_deliveries_are_one_event"),
    (Fault::TakesLiveClaims, "a_live_claim_is_never_taken"),
    (
        Fault::WaitsTooLong,
        "a_lapsed_claim_can_be_taken_exactly_at_its_end",
    ),
    (
        Fault::BelievesZombies,
        "a_zombie_can_neither_settle_nor_extend_nor_release",
    ),
    (Fault::CountsAtTheEnd, "each_claim_counts_an_attempt"),
    (
        Fault::KnowsBytesOnly,
        "the_same_said_in_other_bytes_is_a_duplicate",
    ),
    (
        Fault::SeesNoConflicts,
        "another_thing_said_is_a_conflict_and_kept_once",
    ),
    (
        Fault::TakesStagesForTasks,
        "stages_of_a_task_are_claimed_one_at_a_time_and_in_order",
    ),
    (Fault::DoesNotWait, "another_attempt_waits_until_it_is_due"),
    (
        Fault::ForgetsKeysWithBodies,
        "a_purged_body_leaves_the_key_known",
    ),
    (Fault::MixesUpAnswers, "a_slice_is_answered_in_order"),
    (
        Fault::DropsWhatItDoesNotKnow,
        "what_was_not_understood_is_kept_once",
    ),
    (Fault::NewestFirst, "what_came_first_is_claimed_first"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_store_that_is_wrong_on_purpose_is_caught() {
    let report = check(&WrongBench(Fault::None)).await;
    assert!(report.broken().is_empty(), "{report}");
    for (fault, case) in FAULTS {
        let report = check(&WrongBench(fault)).await;
        assert!(
            report.broken().iter().any(|broken| broken.case == case),
            "{fault:?} was not caught by {case}: {report}"
        );
    }
}

struct WrongBench(Fault);

#[async_trait]
impl Bench for WrongBench {
    async fn fresh(&self) -> Result<Arc<dyn Inspect>, StoreError> {
        Ok(Arc::new(Wrong::new(self.0)))
    }

    async fn reopen(
        &self,
        store: Arc<dyn Inspect>,
    ) -> Result<Option<Arc<dyn Inspect>>, StoreError> {
        Ok(match self.0 {
            Fault::Forgets => Some(Arc::new(Wrong::new(self.0))),
            _ => Some(store),
        })
    }
}

/// How often a racer lets others run before it goes on alone.
const YIELDS_MAX: usize = 1_000_000;

/// A store in memory with a fault.
#[derive(Debug)]
struct Wrong {
    fault: Fault,
    store: MemoryStore,
    seen: Mutex<HashSet<String>>,
    latest: Mutex<HashMap<EventId, u32>>,
    /// How many have looked for what is raced for, and found nothing.
    looked: Mutex<HashMap<String, usize>>,
}

impl Wrong {
    fn new(fault: Fault) -> Self {
        Self {
            fault,
            store: MemoryStore::new(),
            seen: Mutex::default(),
            latest: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    /// Goes on when another racer has looked as well, so that the fault shows in whatever order they
    /// run. Where nobody races it goes on by itself.
    async fn wait_for_another_look(&self, name: &str) {
        *self
            .looked
            .lock()
            .unwrap()
            .entry(name.to_owned())
            .or_default() += 1;
        for _ in 0..YIELDS_MAX {
            if self.looked.lock().unwrap()[name] > 1 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The delivery as the faulty store sees it.
    fn seen_as(&self, mut delivery: Delivery) -> Delivery {
        let strict = delivery.strict;
        if let Content::Event { key, semantic, .. } = &mut delivery.content {
            match self.fault {
                Fault::KnowsBytesOnly => *semantic = strict,
                Fault::SeesNoConflicts => *semantic = Fingerprint([0; 16]),
                Fault::TakesStagesForTasks => {
                    let name = format!("{}.{}", key.task_id(), key.stage());
                    if let Ok(task_id) = TaskId::new(name) {
                        *key = suno_callback::EventKey::new(task_id, key.stage().clone());
                    }
                }
                _ => {}
            }
        }
        delivery
    }

    fn tickets(&self, ticket: Ticket) -> Ticket {
        let latest = self.latest.lock().unwrap();
        match (self.fault, latest.get(&ticket.event)) {
            (Fault::BelievesZombies, Some(epoch)) => Ticket {
                event: ticket.event,
                epoch: *epoch,
            },
            _ => ticket,
        }
    }
}

#[async_trait]
impl IdempotencyStore for Wrong {
    async fn accept(&self, deliveries: &[Delivery]) -> Result<Vec<Accepted>, StoreError> {
        let mut accepted = Vec::new();
        for delivery in deliveries {
            let quarantined = matches!(delivery.content, Content::Quarantined { .. });
            if self.fault == Fault::DropsWhatItDoesNotKnow && quarantined {
                accepted.push(Accepted::Quarantined);
                continue;
            }
            let name = format!("{:?}", delivery.content);
            let seen = self.seen.lock().unwrap().contains(&name);
            let seen_as = self.seen_as(delivery.clone());
            if self.fault == Fault::LooksThenWrites && !seen && name.contains("race-") {
                self.wait_for_another_look(&name).await;
            }
            let one = self.store.accept(&[seen_as]).await?;
            self.seen.lock().unwrap().insert(name);
            match self.fault {
                Fault::LooksThenWrites if !seen && one[..] == [Accepted::Duplicate] => {
                    accepted.push(Accepted::New);
                }
                _ => accepted.extend(one),
            }
        }
        Ok(accepted)
    }

    async fn claim(&self, mut request: ClaimRequest) -> Result<Vec<Claim>, StoreError> {
        let shift = |seconds: i64| {
            let second = request.now.as_second() + seconds;
            Timestamp::from_second(second).unwrap()
        };
        match self.fault {
            Fault::TakesLiveClaims => request.now = shift(30),
            Fault::WaitsTooLong => {
                request.now = shift(-1);
                // The claims that are granted last as long as they should.
                request.lease += Duration::from_secs(1);
            }
            _ => {}
        }
        let wanted = request.events_max;
        if self.fault == Fault::NewestFirst {
            request.events_max = usize::MAX;
        }
        let mut claims = self.store.claim(request).await?;
        if self.fault == Fault::NewestFirst {
            let rest = claims.drain(..claims.len().saturating_sub(wanted));
            let release: Vec<_> = rest
                .map(|claim| (claim.ticket, Settlement::Release))
                .collect();
            self.store.settle(&release).await?;
        }
        for claim in &mut claims {
            let ticket = claim.ticket;
            self.latest
                .lock()
                .unwrap()
                .insert(ticket.event, ticket.epoch);
            if self.fault == Fault::CountsAtTheEnd {
                claim.attempt = 1;
            }
        }
        Ok(claims)
    }

    async fn extend(&self, tickets: &[Ticket], until: Timestamp) -> Result<Vec<Held>, StoreError> {
        let tickets: Vec<_> = tickets.iter().map(|ticket| self.tickets(*ticket)).collect();
        self.store.extend(&tickets, until).await
    }

    async fn settle(&self, settled: &[(Ticket, Settlement)]) -> Result<Vec<Held>, StoreError> {
        let changed = settled.iter().map(|(ticket, settlement)| {
            let settlement = match settlement {
                Settlement::RetryAt { at, reason } if self.fault == Fault::DoesNotWait => {
                    let at = at.checked_sub(Duration::from_secs(60)).unwrap();
                    let reason = reason.clone();
                    Settlement::RetryAt { at, reason }
                }
                other => other.clone(),
            };
            (self.tickets(*ticket), settlement)
        });
        let changed: Vec<_> = changed.collect();
        let mut held = self.store.settle(&changed).await?;
        if self.fault == Fault::MixesUpAnswers {
            held.sort_by_key(|held| *held == Held::Lost);
        }
        Ok(held)
    }
}

#[async_trait]
impl Inspect for Wrong {
    async fn find(&self, task_id: &TaskId) -> Result<Vec<Record>, StoreError> {
        self.store.find(task_id).await
    }

    async fn list(&self, page: Page) -> Result<Vec<Record>, StoreError> {
        self.store.list(page).await
    }

    async fn quarantine(&self, page: Page) -> Result<Vec<Quarantined>, StoreError> {
        self.store.quarantine(page).await
    }

    async fn redrive(&self, event: EventId) -> Result<Redriven, StoreError> {
        self.store.redrive(event).await
    }

    async fn purge(&self, mut request: PurgeRequest) -> Result<Purged, StoreError> {
        if self.fault == Fault::ForgetsKeysWithBodies {
            request.keys_before = request.bodies_before;
        }
        self.store.purge(request).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.counts().await
    }
}
