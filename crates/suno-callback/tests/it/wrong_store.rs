//! A store in memory that breaks one sentence of the contract.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use suno_callback::bounds::UNRANKED_EVENTS_MAX;
use suno_callback::conformance::ManualClock;
use suno_callback::{
    Acceptance, AdoptedEvent, Adoption, Claim, ClaimRequest, Claims, Clock, ConflictRecord,
    Content, Counts, DeadCause, Decision, Delivery, EventId, EventKey, EventRecord, EventState,
    ExtendResult, Fingerprint, IdempotencyStore, ListRequest, MemoryStore, Page, PurgeReport,
    PurgeRequest, Redrive, RedriveResult, SettleResult, Settlement, StoreError, Ticket, WorkerId,
};
use suno_testkit::wrapper::{Faults, Wrapper};
use suno_types::{Stage, TaskId};

type Result<T> = std::result::Result<T, StoreError>;

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    /// None of it: the suite must not fail because of the wrapper.
    Nothing,

    AcceptsOneByOne,
    SettlesAndClaimsApart,
    ForgetsAtTheEnd,
    FollowsTheSystemClock,
    CountsAgesFromTheReceipt,

    AnswersInReverse,
    LooksThenWrites,
    KnowsBytesOnly,
    KnowsMeaningOnly,
    SeesNoConflicts,
    CountsConflictsTogether,
    KeepsEveryConflict,
    TakesStagesForTasks,
    ConfirmsEverything,
    ConfirmsNothing,
    IgnoresNudges,
    DropsWhatItDoesNotUnderstand,
    TakesEveryStage,
    DropsWithoutCounting,

    GrantsTwice,
    TakesLiveClaims,
    LeasesTooLong,
    CountsNoAttempts,
    CountsNoLapses,
    NewestFirst,
    GrantsTooMany,
    NeverSaysMore,
    SuspectsNothing,
    AnswersOnce,
    LosesBodies,
    AgesFromTheClaim,
    OverlooksDamage,
    SleepsThrough,
    NeverReturns,

    BelievesZombies,
    ForgetsWhatWasSettled,
    DoesNotWait,
    BuriesNothing,
    CountsReleases,
    MixesUpAnswers,
    ClaimsBeforeItSettles,

    SkipsARecord,
    EndsAfterAPage,
    FiltersNoStates,
    FiltersNoTimes,
    RedrivesWhatIsSuperseded,
    RequeuesWithoutTaking,
    DecidesNothing,
    ForgetsKeysWithBodies,
    PurgesDeadLettersWithKeys,
    PurgesAtOnce,
    CountsWaitingAsReady,
    ListsConflictsInReverse,
    HandlesWhatItAdopts,
}

use Breach::*;

/// A clock that should be monotonic and is not.
#[derive(Debug)]
struct WallClock(ManualClock);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.now().as_second().unsigned_abs())
    }
}

/// A store in memory that breaks one sentence of the contract.
#[derive(Debug)]
pub(crate) struct WrongStore {
    breach: Breach,
    store: MemoryStore,
    faults: Faults,
    /// The latest ticket of each event.
    latest: Mutex<HashMap<EventId, Ticket>>,
    granted: Mutex<Vec<Claim>>,
    numbers: AtomicU64,
    pub(crate) damaged: Mutex<BTreeSet<EventId>>,
}

impl WrongStore {
    pub(crate) fn new(breach: Breach, clock: ManualClock) -> Self {
        Self {
            breach,
            store: match breach {
                FollowsTheSystemClock => MemoryStore::with_clock(WallClock(clock)),
                _ => MemoryStore::with_clock(clock),
            },
            faults: Faults::default(),
            latest: Mutex::default(),
            granted: Mutex::default(),
            // Greater than any number in a case.
            numbers: AtomicU64::new(1_000_000),
            damaged: Mutex::default(),
        }
    }

    fn is(&self, breach: Breach) -> bool {
        self.breach == breach
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// The delivery as this store sees it.
    fn seen_as(&self, mut delivery: Delivery) -> Delivery {
        let strict = delivery.strict;
        if self.is(ConfirmsEverything) {
            delivery.unconfirmed = false;
        }
        let Content::Event { key, semantic, .. } = &mut delivery.content else {
            return delivery;
        };
        match self.breach {
            KnowsBytesOnly => *semantic = strict,
            KnowsMeaningOnly => delivery.strict = *semantic,
            SeesNoConflicts => *semantic = Fingerprint([0; 16]),
            TakesStagesForTasks => {
                let name = format!("{}.{}", key.task_id(), key.stage());
                let stage = key.stage().clone();
                *key = EventKey::new(TaskId::new(name).unwrap(), stage);
            }
            _ => {}
        }
        delivery
    }

    /// The event that is known by the key of a delivery, and how many its task has.
    async fn known(&self, delivery: &Delivery) -> Result<(Option<EventRecord>, usize)> {
        let Content::Event { key, .. } = &delivery.content else {
            return Ok((None, 0));
        };
        let events = self.store.find(key.task_id()).await?;
        let count = events.len();
        let known = events.into_iter().find(|event| event.key == *key);
        Ok((known, count))
    }

    async fn accept_one(&self, delivery: &Delivery) -> Result<Acceptance> {
        let mut delivery = self.seen_as(delivery.clone());
        let is_understood = matches!(delivery.content, Content::Event { .. });
        let (known, events) = self.known(&delivery).await?;
        match (self.breach, &known) {
            (LooksThenWrites, _) => tokio::task::yield_now().await,
            (ConfirmsNothing, Some(event)) => delivery.unconfirmed = event.unconfirmed,
            (IgnoresNudges, Some(_)) => return Ok(Acceptance::Duplicate),
            (TakesEveryStage, None) if events >= UNRANKED_EVENTS_MAX => return Ok(Acceptance::New),
            (DropsWhatItDoesNotUnderstand, _) if !is_understood => {
                return Ok(Acceptance::Quarantined);
            }
            _ => {}
        }
        let accepted = self.store.accept(&[delivery]).await?[0];
        Ok(match (self.breach, accepted) {
            (LooksThenWrites, _) if known.is_none() => Acceptance::New,
            (KeepsEveryConflict, Acceptance::Dropped) => Acceptance::Conflict,
            _ => accepted,
        })
    }

    /// The ticket that this store takes another one for.
    fn believed(&self, ticket: Ticket) -> Ticket {
        let latest = self.latest.lock().unwrap();
        match latest.get(&ticket.event) {
            Some(latest) if self.is(BelievesZombies) => *latest,
            _ => ticket,
        }
    }

    fn changed(&self, settlement: Settlement) -> Settlement {
        match (self.breach, settlement) {
            (DoesNotWait, Settlement::Retry { reason, .. }) => retry(reason),
            (CountsReleases, Settlement::Release) => retry(String::new()),
            (BuriesNothing, Settlement::Dead { .. }) => Settlement::Done,
            (_, settlement) => settlement,
        }
    }

    /// The request as this store sees it.
    fn changed_request(&self, request: &ClaimRequest) -> ClaimRequest {
        let mut request = request.clone();
        for (ticket, settlement) in &mut request.settlements {
            *ticket = self.believed(*ticket);
            *settlement = self.changed(settlement.clone());
        }
        match self.breach {
            TakesLiveClaims => request.lease /= 2,
            LeasesTooLong => request.lease += Duration::from_secs(5),
            GrantsTooMany => request.events_max += 1,
            SuspectsNothing => request.running = 0,
            AnswersOnce => request.number = self.number(),
            _ => {}
        }
        request
    }

    async fn settle_only(
        &self,
        settlements: Vec<(Ticket, Settlement)>,
    ) -> Result<Vec<SettleResult>> {
        let request = ClaimRequest::new(WorkerId(99), self.number(), Duration::ZERO, 0);
        let request = request.with_settlements(settlements);
        Ok(self.store.claim(&request).await?.settled)
    }

    /// Makes dead letters of the events that cannot be read.
    async fn bury_damaged(&self) -> Result<()> {
        let damaged = std::mem::take(&mut *self.damaged.lock().unwrap());
        if damaged.is_empty() || self.is(OverlooksDamage) {
            return Ok(());
        }
        let lease = Duration::from_secs(1);
        let request = ClaimRequest::new(WorkerId(99), self.number(), lease, 99);
        let claims = self.store.claim(&request).await?.claims;
        let settlements = claims.iter().map(|claim| match claim.ticket.event {
            event if damaged.contains(&event) => (claim.ticket, unreadable()),
            _ => (claim.ticket, Settlement::Release),
        });
        self.settle_only(settlements.collect()).await?;
        Ok(())
    }

    /// Settles and claims in this order, or in the wrong one.
    async fn claim_apart(&self, request: &ClaimRequest) -> Result<Claims> {
        let mut rest = request.clone();
        let settlements = std::mem::take(&mut rest.settlements);
        if self.is(ClaimsBeforeItSettles) {
            let mut claims = self.store.claim(&rest).await?;
            claims.settled = self.settle_only(settlements).await?;
            return Ok(claims);
        }
        let settled = self.settle_only(settlements).await?;
        tokio::task::yield_now().await;
        let mut claims = self.store.claim(&rest).await?;
        claims.settled = settled;
        Ok(claims)
    }

    /// Claims everything, and gives back all but the newest.
    async fn claim_newest(&self, request: &ClaimRequest) -> Result<Claims> {
        let mut all = request.clone();
        all.events_max = usize::MAX;
        let mut claims = self.store.claim(&all).await?;
        let excess = claims.claims.len().saturating_sub(request.events_max);
        let excess = claims.claims.drain(..excess);
        let release = excess.map(|claim| (claim.ticket, Settlement::Release));
        self.settle_only(release.collect()).await?;
        Ok(claims)
    }

    fn change_claim(&self, claim: &mut Claim) {
        match self.breach {
            CountsNoAttempts => claim.attempt = 1,
            CountsNoLapses => claim.lapses = 0,
            LosesBodies => claim.raw = bytes::Bytes::new(),
            AgesFromTheClaim => claim.age = Duration::ZERO,
            CountsAgesFromTheReceipt => {
                let second = claim.received_at.as_second().unsigned_abs();
                claim.age = Duration::from_secs(1_800_000_000_u64.abs_diff(second));
            }
            _ => {}
        }
    }

    fn change_claims(&self, claims: &mut Claims) {
        claims
            .claims
            .iter_mut()
            .for_each(|claim| self.change_claim(claim));
        let tickets = claims.claims.iter().map(|claim| claim.ticket);
        let latest = tickets.map(|ticket| (ticket.event, ticket));
        self.latest.lock().unwrap().extend(latest);
        let mut granted = self.granted.lock().unwrap();
        match self.breach {
            GrantsTwice if claims.claims.is_empty() => claims.claims.clone_from(&granted),
            NeverSaysMore => claims.more = false,
            MixesUpAnswers => claims
                .settled
                .sort_by_key(|settled| *settled == SettleResult::Lost),
            ForgetsWhatWasSettled => {
                let forgotten = claims.settled.iter_mut();
                forgotten
                    .filter(|settled| **settled == SettleResult::AlreadySettled)
                    .for_each(|settled| *settled = SettleResult::Lost);
            }
            _ => {}
        }
        granted.clone_from(&claims.claims);
    }
}

fn retry(reason: String) -> Settlement {
    let after = Duration::ZERO;
    Settlement::Retry { after, reason }
}

fn unreadable() -> Settlement {
    Settlement::Dead {
        cause: DeadCause::Unreadable,
        reason: "its record is damaged".to_owned(),
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
        if self.is(Nothing) {
            return self.store.accept(deliveries).await;
        }
        let mut accepted = Vec::new();
        for delivery in deliveries {
            accepted.push(self.accept_one(delivery).await?);
            if self.is(AcceptsOneByOne) {
                tokio::task::yield_now().await;
            }
        }
        if self.is(AnswersInReverse) {
            accepted.reverse();
        }
        Ok(accepted)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Claims> {
        self.bury_damaged().await?;
        let request = self.changed_request(request);
        let mut claims = match self.breach {
            SettlesAndClaimsApart | ClaimsBeforeItSettles => self.claim_apart(&request).await?,
            NewestFirst => self.claim_newest(&request).await?,
            _ => self.store.claim(&request).await?,
        };
        self.change_claims(&mut claims);
        Ok(claims)
    }

    async fn extend(&self, tickets: &[Ticket], lease: Duration) -> Result<Vec<ExtendResult>> {
        let believed = |ticket: &Ticket| self.believed(*ticket);
        let tickets: Vec<_> = tickets.iter().map(believed).collect();
        self.store.extend(&tickets, lease).await
    }

    async fn wait(&self, at_most: Duration) -> Result<()> {
        match self.breach {
            SleepsThrough => tokio::time::sleep(at_most).await,
            NeverReturns => std::future::pending().await,
            _ => self.store.wait(at_most).await?,
        }
        Ok(())
    }

    async fn list(&self, request: &ListRequest) -> Result<Page<EventRecord>> {
        let mut request = request.clone();
        match self.breach {
            FiltersNoStates => request.filter.state = None,
            FiltersNoTimes => request.filter.received_before = None,
            _ => {}
        }
        let mut page = self.store.list(&request).await?;
        match self.breach {
            SkipsARecord => page.next = page.next.map(|next| EventId(next.0 + 1)),
            EndsAfterAPage => page.next = None,
            CountsConflictsTogether => {
                let sum = page.records.iter().map(|record| record.conflicts).sum();
                page.records
                    .iter_mut()
                    .for_each(|record| record.conflicts = sum);
            }
            _ => {}
        }
        Ok(page)
    }

    async fn conflicts(&self, event: EventId) -> Result<Vec<ConflictRecord>> {
        let mut conflicts = self.store.conflicts(event).await?;
        if self.is(ListsConflictsInReverse) {
            conflicts.reverse();
        }
        Ok(conflicts)
    }

    async fn adopt(&self, events: &[AdoptedEvent]) -> Result<Vec<Adoption>> {
        let mut events = events.to_vec();
        if self.is(HandlesWhatItAdopts) {
            let events = events.iter_mut();
            events.for_each(|event| event.record.state = EventState::Ready);
        }
        self.store.adopt(&events).await
    }

    async fn counts(&self) -> Result<Counts> {
        let mut counts = self.store.counts().await?;
        match self.breach {
            DropsWithoutCounting => counts.dropped = 0,
            CountsWaitingAsReady => counts.ready += counts.waiting,
            _ => {}
        }
        Ok(counts)
    }

    async fn redrive(&self, events: &[EventId], redrive: Redrive) -> Result<Vec<RedriveResult>> {
        let redrive = match self.breach {
            RedrivesWhatIsSuperseded => Redrive::EvenIfSuperseded,
            _ => redrive,
        };
        self.store.redrive(events, redrive).await
    }

    async fn requeue(&self, entry: EventId, delivery: &Delivery) -> Result<Option<Acceptance>> {
        if self.is(RequeuesWithoutTaking) {
            let accepted = self.store.accept(std::slice::from_ref(delivery)).await?;
            return Ok(accepted.first().copied());
        }
        self.store.requeue(entry, delivery).await
    }

    async fn decide(&self, task_id: &TaskId, stage: &Stage) -> Result<Decision> {
        match self.breach {
            DecidesNothing => Ok(Decision::Ready),
            _ => self.store.decide(task_id, stage).await,
        }
    }

    async fn purge(&self, request: &PurgeRequest) -> Result<PurgeReport> {
        let mut request = *request;
        match self.breach {
            ForgetsKeysWithBodies => request.keys_after = request.bodies_after,
            PurgesDeadLettersWithKeys => request.dead_after = request.keys_after,
            PurgesAtOnce => request.events_max = u32::MAX,
            _ => {}
        }
        self.store.purge(&request).await
    }
}

/// The store of a bench, as what it is.
pub(crate) type Shared = Arc<suno_testkit::wrapper::Wrapped<WrongStore>>;
