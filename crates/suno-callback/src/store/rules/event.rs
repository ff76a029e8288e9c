//! An event as plain data, and the operations on it.

mod saying;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use suno_types::{Code, Product, TaskKind};

pub use saying::{StoredConflict, StoredPrint};

use crate::content::Content;
use crate::delivery::Delivery;
use crate::key::{EventId, EventKey, Reference, SubmitId};
use crate::origin::{Source, VerifiedBy};
use crate::simulation::{Mutation, mutated};
use crate::store::bounds::{LAPSES_SUSPECT, LEASE_MAX, RETRY_AFTER_MAX};
use crate::store::ledger::KnownSubmit;
use crate::store::{
    AdoptedEvent, Claim, DeadCause, EventRecord, EventState, ExtendResult, Redrive, RedriveResult,
    SettleResult, Settlement, Sibling, Ticket, WorkerId,
};
use crate::url_suffix::UrlSuffix;

/// The minimum lease: no claim may lapse at the moment at which it is granted.
const LEASE_MIN: Duration = Duration::from_nanos(1);

/// The state of an event, with times of the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredState {
    /// It can be claimed.
    Ready {
        /// The time at which it became ready.
        since: Duration,
    },
    /// It is claimed.
    Claimed {
        /// The end of the lease.
        until: Duration,
    },
    /// Handling failed, and the event waits for a retry.
    Waiting {
        /// The end of the wait.
        until: Duration,
    },
    /// It was handled.
    Done,
    /// It is a dead letter.
    Dead,
    /// A later stage of its task superseded it.
    Superseded,
}

impl StoredState {
    /// Returns the state at a time.
    #[must_use]
    pub fn at(self, now: Duration) -> EventState {
        match self {
            Self::Ready { .. } => EventState::Ready,
            Self::Claimed { until } => EventState::Claimed {
                holds_for: until.saturating_sub(now),
            },
            Self::Waiting { until } => EventState::Waiting {
                ready_in: until.saturating_sub(now),
            },
            Self::Done => EventState::Done,
            Self::Dead => EventState::Dead,
            Self::Superseded => EventState::Superseded,
        }
    }
}

/// An event as plain data.
#[derive(Clone)]
#[non_exhaustive]
pub struct StoredEvent {
    /// The store's number.
    pub id: EventId,
    /// The task, the stage and the revision.
    pub key: EventKey,
    /// The code that was sent.
    pub code: Code,
    /// What the task makes.
    pub product: Product,
    /// The number of results that it reports.
    pub results: u16,
    /// The body, until it is purged.
    pub raw: Option<Bytes>,
    /// The part of the callback URL that the application chose, of the first delivery.
    pub suffix: Option<UrlSuffix>,
    /// The submit that the callback URL named.
    pub submit: Option<SubmitId>,
    /// The application's name for that submit.
    pub reference: Option<Reference>,
    /// The kind of the task, if its submit is known.
    pub kind: Option<TaskKind>,
    /// The way in which the event became known.
    pub source: Source,
    /// The methods by which the sender was verified.
    pub verified_by: VerifiedBy,
    /// Whether the provider's record must confirm it.
    pub unconfirmed: bool,
    /// The time at which the first delivery was received.
    pub received_at: Timestamp,
    /// Its state.
    pub state: StoredState,
    /// The time at which it was stored.
    pub stored_at: Duration,
    /// The time at which it was stored or redriven.
    pub open_since: Duration,
    /// The number of claims since then.
    pub attempts: u32,
    /// The number of claims that have lapsed in a row.
    pub lapses: u32,
    /// The number of claims that were granted.
    pub epoch: u32,
    /// The worker that claimed it last.
    pub worker: WorkerId,
    /// The reason why the last attempt failed.
    pub reason: Option<String>,
    /// The cause that made it a dead letter, if it is one.
    pub dead_cause: Option<DeadCause>,
    /// The number of deliveries that ended a wait of the event early (A8).
    pub nudges: u32,
    /// The fingerprints of its body.
    pub print: StoredPrint,
    /// The deliveries with different content that are kept with it, in the order of their arrival.
    pub conflicts: Vec<StoredConflict>,
}

/// Leaves out the body.
impl fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredEvent")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("state", &self.state)
            .field("attempts", &self.attempts)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl StoredEvent {
    /// Creates the event that a delivery reports: ready, or superseded if it `is_late`. Returns
    /// `None` if the delivery could not be decoded.
    #[must_use]
    pub fn new(
        id: EventId,
        delivery: &Delivery,
        submit: &KnownSubmit,
        is_late: bool,
        now: Duration,
    ) -> Option<Self> {
        let Content::Event {
            key,
            code,
            product,
            results,
            ..
        } = &delivery.content
        else {
            return None;
        };
        let print = StoredPrint::of(delivery)?;
        Some(Self {
            code: *code,
            product: product.clone(),
            results: *results,
            raw: Some(delivery.raw.clone()),
            suffix: delivery.suffix.clone(),
            submit: delivery.submit,
            reference: submit.reference.clone(),
            kind: submit.kind.clone(),
            source: delivery.source,
            verified_by: delivery.verified_by,
            unconfirmed: delivery.unconfirmed,
            received_at: delivery.received_at,
            state: match is_late {
                true => StoredState::Superseded,
                false => StoredState::Ready { since: now },
            },
            ..Self::ready(id, key.clone(), print, now)
        })
    }

    /// Creates the event that was adopted from another store (I11).
    #[must_use]
    pub fn adopted(id: EventId, adopted: &AdoptedEvent, now: Duration) -> Self {
        let record = &adopted.record;
        let print = StoredPrint::of_body(record.raw.as_ref());
        let mut event = Self::ready(id, record.key.clone(), print, now);
        event.code = record.code;
        event.product = record.product.clone();
        event.results = record.results;
        event.raw.clone_from(&record.raw);
        event.suffix.clone_from(&record.suffix);
        event.submit = record.submit;
        event.reference.clone_from(&record.reference);
        event.kind.clone_from(&record.kind);
        event.source = record.source;
        event.verified_by = record.verified_by;
        event.unconfirmed = record.unconfirmed;
        event.received_at = record.received_at;
        event.reason.clone_from(&record.reason);
        event.state = match record.state {
            EventState::Done => StoredState::Done,
            EventState::Superseded => StoredState::Superseded,
            EventState::Dead => StoredState::Dead,
            EventState::Ready | EventState::Claimed { .. } | EventState::Waiting { .. } => {
                StoredState::Ready { since: now }
            }
        };
        if event.ready_at().is_none() {
            event.attempts = record.attempts;
            event.dead_cause = record.dead_cause;
        }
        for conflict in adopted.conflicts.iter().filter(|it| it.raw.is_some()) {
            let print = StoredPrint::of_body(conflict.raw.as_ref());
            event.add_conflict(conflict.clone(), print);
        }
        event
    }

    /// Creates a confirmed event of a song that has become ready now, without a body. Stores that
    /// read events from their storage set the other fields.
    #[must_use]
    pub fn ready(id: EventId, key: EventKey, print: StoredPrint, now: Duration) -> Self {
        Self {
            id,
            key,
            code: Code::SUCCESS,
            product: Product::SONG,
            results: 0,
            raw: None,
            suffix: None,
            submit: None,
            reference: None,
            kind: None,
            source: Source::Callback,
            verified_by: VerifiedBy::default(),
            unconfirmed: false,
            received_at: Timestamp::UNIX_EPOCH,
            state: StoredState::Ready { since: now },
            stored_at: now,
            open_since: now,
            attempts: 0,
            lapses: 0,
            epoch: 0,
            worker: WorkerId::default(),
            reason: None,
            dead_cause: None,
            nudges: 0,
            print,
            conflicts: Vec::new(),
        }
    }

    /// Redrives the event if its state and the events of its task allow that (I3).
    pub fn try_redrive(
        &mut self,
        siblings: &[Sibling],
        how: Redrive,
        now: Duration,
    ) -> RedriveResult {
        let this = self.sibling(now);
        let is_superseded = siblings
            .iter()
            .any(|other| other.state == EventState::Done && other.supersedes(&this));
        if self.raw.is_none() {
            RedriveResult::Gone
        } else if !self.state.at(now).is_settled() {
            RedriveResult::NotSettled
        } else if is_superseded && how == Redrive::Current {
            RedriveResult::Superseded
        } else {
            self.redrive(now);
            RedriveResult::Ready
        }
    }

    /// Makes the event ready, with attempts, lapses and age counted from zero (I3).
    pub fn redrive(&mut self, now: Duration) {
        (self.attempts, self.lapses, self.open_since) = (0, 0, now);
        self.dead_cause = None;
        self.state = StoredState::Ready { since: now };
    }

    /// Returns the event as the other events of its task see it.
    #[must_use]
    pub fn sibling(&self, now: Duration) -> Sibling {
        Sibling::new(
            self.key.stage().clone(),
            self.state.at(now),
            self.unconfirmed,
        )
        .with_revision(self.key.revision())
        .with_results(self.results)
    }

    /// Returns the time at which the event is or becomes ready, ignoring the other events of its
    /// task. Claims are ordered by it (C6).
    #[must_use]
    pub fn ready_at(&self) -> Option<Duration> {
        match self.state {
            StoredState::Ready { since: at }
            | StoredState::Claimed { until: at }
            | StoredState::Waiting { until: at } => Some(at),
            StoredState::Done | StoredState::Dead | StoredState::Superseded => None,
        }
    }

    /// Returns the number of claims in a row that have lapsed, including the current one if it has
    /// lapsed.
    fn lapses_at(&self, now: Duration) -> u32 {
        self.lapses + u32::from(self.state.at(now).is_lapsed())
    }

    /// Whether the event must be claimed alone (C8).
    #[must_use]
    pub fn is_suspected(&self, now: Duration) -> bool {
        self.lapses_at(now) >= LAPSES_SUSPECT && !mutated(Mutation::SuspectsTogether)
    }

    /// Grants a claim.
    pub fn claim(&mut self, worker: WorkerId, lease: Duration, now: Duration) -> Claim {
        self.lapses = self.lapses_at(now);
        self.attempts += 1;
        self.epoch += 1;
        self.worker = worker;
        self.state = StoredState::Claimed {
            until: now + lease.clamp(LEASE_MIN, LEASE_MAX),
        };
        self.to_claim(now)
    }

    /// Returns the claim of a ticket while it holds: the answer to a repeated request (C9).
    #[must_use]
    pub fn held_claim(&self, ticket: &Ticket, now: Duration) -> Option<Claim> {
        let holds = self.is_held_by(ticket) && self.state.at(now).is_held();
        holds.then(|| self.to_claim(now))
    }

    fn to_claim(&self, now: Duration) -> Claim {
        let raw = self.raw.clone().unwrap_or_default();
        let mut claim = Claim::new(self.ticket(), self.key.clone(), raw);
        if let EventState::Claimed { holds_for } = self.state.at(now) {
            claim.holds_for = holds_for;
        }
        claim.attempt = self.attempts;
        claim.lapses = self.lapses;
        claim.age = now.saturating_sub(self.open_since);
        claim.source = self.source;
        claim.verified_by = self.verified_by;
        claim.unconfirmed = self.unconfirmed;
        claim.received_at = self.received_at;
        claim.suffix.clone_from(&self.suffix);
        claim.submit = self.submit;
        claim.reference.clone_from(&self.reference);
        claim.kind.clone_from(&self.kind);
        claim
    }

    /// Returns the ticket of the latest claim.
    fn ticket(&self) -> Ticket {
        Ticket {
            event: self.id,
            epoch: self.epoch,
            worker: self.worker,
        }
    }

    fn is_held_by(&self, ticket: &Ticket) -> bool {
        *ticket == self.ticket() && matches!(self.state, StoredState::Claimed { .. })
    }

    /// Whether a delivery names the latest claim of the event (A14).
    #[must_use]
    pub fn is_claimed_by(&self, delivery: &Delivery) -> bool {
        let claim = delivery.claim.as_ref();
        claim.is_some_and(|ticket| self.is_held_by(ticket))
    }

    /// Extends a claim to `lease` from now (S1).
    pub fn extend(&mut self, ticket: &Ticket, lease: Duration, now: Duration) -> ExtendResult {
        if !self.is_held_by(ticket) {
            return ExtendResult::Lost;
        }
        self.state = StoredState::Claimed {
            until: now + lease.clamp(LEASE_MIN, LEASE_MAX),
        };
        ExtendResult::Extended
    }

    /// Settles a claim (S1, S2, S3). The store itself must change the events that a done event
    /// supersedes, using [`superseded_by`](super::superseded_by).
    pub fn settle(
        &mut self,
        ticket: &Ticket,
        settlement: &Settlement,
        now: Duration,
    ) -> SettleResult {
        if !self.is_held_by(ticket) {
            let has_settled = *ticket == self.ticket() && self.epoch > 0;
            return match has_settled {
                true => SettleResult::AlreadySettled,
                false => SettleResult::Lost,
            };
        }
        self.state = match settlement {
            Settlement::Done => StoredState::Done,
            Settlement::Retry { after, reason } => {
                self.reason = Some(reason.clone());
                StoredState::Waiting {
                    until: now + (*after).min(RETRY_AFTER_MAX),
                }
            }
            Settlement::Dead { cause, reason } => {
                self.reason = Some(reason.clone());
                self.dead_cause = Some(*cause);
                StoredState::Dead
            }
            Settlement::Release => {
                self.attempts -= 1;
                self.state = StoredState::Ready { since: now };
                return SettleResult::Settled;
            }
        };
        self.lapses = 0;
        SettleResult::Settled
    }

    /// Returns the event for lists, without its body.
    #[must_use]
    pub fn record(&self, now: Duration) -> EventRecord {
        let mut record = EventRecord::new(self.id, self.key.clone(), self.code, self.received_at);
        record.product = self.product.clone();
        record.results = self.results;
        record.suffix.clone_from(&self.suffix);
        record.submit = self.submit;
        record.reference.clone_from(&self.reference);
        record.state = self.state.at(now);
        record.attempts = self.attempts;
        record.lapses = self.lapses;
        record.reason.clone_from(&self.reason);
        record.dead_cause = self.dead_cause;
        record.source = self.source;
        record.verified_by = self.verified_by;
        record.unconfirmed = self.unconfirmed;
        record.kind.clone_from(&self.kind);
        record.conflicts = u32::try_from(self.conflicts.len()).unwrap_or(u32::MAX);
        record
    }

    /// Returns the event with its body.
    #[must_use]
    pub fn record_with_body(&self, now: Duration) -> EventRecord {
        let mut record = self.record(now);
        record.raw.clone_from(&self.raw);
        record
    }
}
